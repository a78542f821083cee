# Sets keep their order.
def main():
    s = {3, 1, 2}
    f = frozenset(s)
    e = set()
    g = frozenset()
    t = {(1,), (2, 3)}
    return f
