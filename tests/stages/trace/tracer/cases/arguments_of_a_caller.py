# A call shows the arguments as they come in, before any line; defaults are made once.
def f(a, b=[], *, c=None):
    b.append(a)
    a = None
    return len(b)

def main():
    n = f(1)
    return n + f(2, c=f(3, [0]))
