# Parameters of all kinds, in the order of the code's variables: *rest and **more come last.
def f(a, /, b, *rest, c=3, **more):
    return a

def main():
    return f(1, 2, 4, 5, d=6)
