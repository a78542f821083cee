# So is that of a decorated entry.
import functools

def deco(f):
    @functools.wraps(f)
    def wrapped():
        return f()
    return wrapped

@deco
def main():
    return 1
