# What only a weak reference knows is gone at once: the tracer keeps no object alive.
import weakref

class W:
    pass

def main():
    w = W()
    r = weakref.ref(w)
    del w
    gone = r() is None
    return gone
