# Through both on each step; no StopIteration at the end.
def inner():
    yield 1
    return 5

def outer():
    x = yield from inner()
    yield x

def main():
    return list(outer())
