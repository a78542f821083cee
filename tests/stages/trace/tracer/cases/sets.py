# Sets keep the order in which they are iterated; they are not sorted.
def main():
    s = {3, 1, 2}
    f = frozenset(s)
    e = set()
    g = frozenset()
    t = {(1,), (2, 3)}
    return f
