# What is called back by stepped over code is shown, the stepped over is not.
import functools

def add(a, b):
    return a + b

def main():
    return functools.reduce(add, [1, 2, 3])
