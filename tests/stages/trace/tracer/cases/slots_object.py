# An object without a __dict__ shows what is in its slots.
class P:
    __slots__ = ("x",)

def main():
    p = P()
    p.x = 1
    return p
