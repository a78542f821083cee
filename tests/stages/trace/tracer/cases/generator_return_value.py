# A generator's return value leaves by a return; the StopIteration of next() is the caller's.
def g():
    yield 1
    return 3

def main():
    it = g()
    a = next(it)
    try:
        next(it)
    except StopIteration as stop:
        return a, stop.value
