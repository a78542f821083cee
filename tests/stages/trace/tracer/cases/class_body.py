# A class body is a scope: a call, its lines, a return; names such as __module__ are left out.
def main():
    class A:
        x = 1

        def f(self):
            return self.x
    return A().f()
