# A program that kept settrace can take the tracer away: the trace is lost.
from sys import settrace

def main():
    x = 1
    settrace(None)
    x = 2
    return x
