# match, :=, assert and import: names appear once they are bound, from the next line on.
def main():
    point = (1, 2)
    match point:
        case (0, y):
            r = y
        case (x, y) if (s := x + y) > 2:
            r = s
    assert r == 3
    import math
    return r
