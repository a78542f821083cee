# What is thrown into a generator and passes through it unwinds.
def g():
    yield 1

def main():
    it = g()
    next(it)
    try:
        it.throw(KeyError("k"))
    except KeyError:
        return 3
