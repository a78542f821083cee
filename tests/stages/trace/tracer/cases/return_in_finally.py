# A return in the finally swallows the exception: the scope is left with a value, not unwinding.
def f():
    try:
        raise KeyError(1)
    finally:
        return 3

def main():
    return f()
