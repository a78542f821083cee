# What is thrown into a generator and caught there does not unwind.
def g():
    try:
        yield 1
    except KeyError:
        yield 2

def main():
    it = g()
    next(it)
    return it.throw(KeyError("k"))
