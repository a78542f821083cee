# An object whose __dict__ fails is named; attribute names that are no str are shown as str.
class P:
    @property
    def __dict__(self):
        raise ValueError

class K:
    def __str__(self):
        raise ValueError

class Q:
    pass

def main():
    p = P()
    q = Q()
    q.__dict__[1] = 2
    return [p, q]
