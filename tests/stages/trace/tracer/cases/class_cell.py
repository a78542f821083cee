# The __class__ cell of super() is not shown among the locals.
class A:
    def f(self):
        return 1

class B(A):
    def f(self):
        x = super().f()
        return x + 1

def main():
    return B().f()
