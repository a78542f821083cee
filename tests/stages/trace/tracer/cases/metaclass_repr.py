# A class is shown by its metaclass's repr, its instances by the class's name.
class M(type):
    def __repr__(cls):
        return "M-made"

class A(metaclass=M):
    pass

def main():
    a = A
    b = A()
    return [a, b]
