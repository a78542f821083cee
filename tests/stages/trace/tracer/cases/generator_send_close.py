# close() is a call at the yield; GeneratorExit, then the finally.
def g():
    try:
        got = yield 1
        yield got
    finally:
        done = True

def main():
    it = g()
    next(it)
    it.send("hi")
    it.close()
