# The call of a decorated entry is shown at its def; the wrapper around it came before, unseen.
import functools

def deco(f):
    @functools.wraps(f)
    def wrapped():
        return f()
    return wrapped

@deco
def main():
    return 1
