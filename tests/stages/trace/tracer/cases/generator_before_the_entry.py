# A generator begun before the entry has a new scope when it goes on.
def g():
    yield 1
    yield 2

it = g()
next(it)

def main():
    return next(it)
