# next() outside a loop: the StopIteration is the program's own.
def main():
    it = iter([])
    try:
        next(it)
    except StopIteration:
        return "end"
