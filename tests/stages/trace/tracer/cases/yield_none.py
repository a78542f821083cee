# A yield of None, written or not, is a return with a value; only what is thrown in unwinds.
def g():
    got = yield
    yield None

def main():
    it = g()
    a = next(it)
    b = it.send(3)
    try:
        it.throw(KeyError)
    except KeyError:
        return a, b
