# A repr that fails is named; the trace goes on.
class B:
    def __repr__(self):
        raise RuntimeError("no")

class N:
    def __repr__(self):
        return 3

def main():
    b = B()
    n = N()
    both = [b, n, 1]
    return b
