# A function or class that is renamed is shown so.
def main():
    def f():
        pass
    f.__qualname__ = "g"
    class A:
        pass
    A.__qualname__ = "B"
    return f
