# Two managers on one line: entered in order, left in reverse order, back on the line of the with.
class M:
    def __init__(self, name):
        self.name = name

    def __enter__(self):
        return self.name

    def __exit__(self, *error):
        return False

def main():
    with M("a") as a, M("b") as b:
        c = a + b
    return c
