# Numbers of all kinds, and the singletons, are shown by their repr.
from decimal import Decimal
from fractions import Fraction

def main():
    c = 1 + 2j
    r = range(3, 9, 2)
    d = Decimal("1.10")
    f = Fraction(1, 3)
    n = 2**63
    m = -(2**63)
    o = 2**63 - 1
    return [c, r, d, f, n, m, o, True, None, ..., NotImplemented]
