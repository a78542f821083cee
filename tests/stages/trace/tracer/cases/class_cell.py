# __class__ is the machinery of super().
class A:
    def f(self):
        return 1

class B(A):
    def f(self):
        x = super().f()
        return x + 1

def main():
    return B().f()
