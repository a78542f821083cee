# The stack runs out, and is caught.
def f(n):
    return f(n + 1)

def main():
    try:
        f(0)
    except RecursionError:
        return "deep"
