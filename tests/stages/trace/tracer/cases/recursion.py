# Each level of a recursion is a scope of its own, all its arguments in full.
def f(n):
    return n and f(n - 1)

def main():
    return f(2)
