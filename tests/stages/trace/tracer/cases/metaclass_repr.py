# A class with a repr of its metaclass.
class M(type):
    def __repr__(cls):
        return "M-made"

class A(metaclass=M):
    pass

def main():
    a = A
    b = A()
    return [a, b]
