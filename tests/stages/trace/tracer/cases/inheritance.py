# super(), and a class with a decorator: its body is called at the line of the class.
def tag(cls):
    cls.tag = "T"
    return cls

def main():
    class A:
        def __init__(self):
            self.a = 1

    @tag
    class B(A):
        def __init__(self):
            super().__init__()
            self.b = self.a + 1

    return B().b, B.tag
