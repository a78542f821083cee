# Addresses are left out wherever they are.
import sys

def main():
    try:
        raise KeyError("k")
    except KeyError:
        t = sys.exc_info()[2]
        o = [object(), t]
    return len(o)
