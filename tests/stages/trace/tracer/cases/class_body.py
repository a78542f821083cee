# A class body hides its machinery.
def main():
    class A:
        x = 1

        def f(self):
            return self.x
    return A().f()
