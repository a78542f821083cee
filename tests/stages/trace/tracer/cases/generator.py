# Each resume is a call, each yield a return; no StopIteration ends the loop.
def g():
    x = 1
    yield x
    x = 2
    yield x

def main():
    for v in g():
        pass
