# A generator that yields when it is closed: close() raises in the caller, the generator lives on.
def g():
    try:
        yield 1
    except GeneratorExit:
        yield 2

def main():
    it = g()
    next(it)
    try:
        it.close()
    except RuntimeError as error:
        said = str(error)
    return said
