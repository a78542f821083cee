# The stack runs out (the limit is lowered so that it soon does) and is caught: each level unwinds.
import sys

LOWER = """
before, limit = sys.getrecursionlimit(), 1
while limit < before:
    try:
        sys.setrecursionlimit(limit)
        break
    except RecursionError:
        limit += 1
sys.setrecursionlimit(limit + 30)
"""

def f(n):
    return f(n + 1)

def main():
    exec(LOWER, globals())
    try:
        f(0)
    except RecursionError:
        return "deep"
    finally:
        sys.setrecursionlimit(before)
