# Comprehensions within one another, with a condition, of sets and dicts (3.11: scopes of their own).
def main():
    rows = [[j for j in range(i)] for i in range(3)]
    odd = {n for n in (1, 2) if n % 2}
    names = {k: v for k, v in zip("ab", odd)}
    return rows, names
