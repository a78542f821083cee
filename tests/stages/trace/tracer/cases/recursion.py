# Each level is a scope of its own.
def f(n):
    return n and f(n - 1)

def main():
    return f(2)
