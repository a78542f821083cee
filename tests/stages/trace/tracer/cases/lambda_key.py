# A lambda is a scope on its line.
def main():
    return sorted([2, 1], key=lambda v: -v)
