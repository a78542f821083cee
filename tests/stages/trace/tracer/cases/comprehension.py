# A list comprehension (3.11: a scope of its own).
def main():
    k = 10
    xs = [1, 2]
    return [i * k for i in xs]
