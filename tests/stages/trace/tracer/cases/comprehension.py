# A list comprehension is a scope of its own up to 3.11, and part of its function from 3.12 on.
def main():
    k = 10
    xs = [1, 2]
    return [i * k for i in xs]
