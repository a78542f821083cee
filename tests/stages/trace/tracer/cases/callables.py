# Functions, methods and built-ins by their qualified names; classes by repr; no addresses.
class A:
    def m(self):
        return 1

    @classmethod
    def k(cls):
        return 2

def main():
    f = main
    g = A().m
    h = A.k
    b = len
    c = [].append
    cls = A
    l = lambda: 0
    it = iter([])
    gen = (x for x in ())
    return [f, g, h, b, c, cls, l, it, gen, int]
