# Subclasses of built-in types are shown by their own repr, unless they are very long.
import collections

class S(str):
    pass

class I(int):
    def __repr__(self):
        return "I!"

class L(list):
    pass

def main():
    s = S("x")
    i = I(3)
    l = L([1])
    big = L(range(2000))
    o = collections.OrderedDict(a=1)
    c = collections.Counter("aab")
    dq = collections.deque([1, 2])
    dd = collections.defaultdict(list)
    nt = collections.namedtuple("NT", "a b")(1, 2)
    return [s, i, l]
