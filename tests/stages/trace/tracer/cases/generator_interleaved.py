# Generators that take turns keep their scopes apart.
def g(n):
    while True:
        yield n
        n += 1

def main():
    a, b = g(0), g(10)
    return [next(a), next(b), next(a), next(b)]
