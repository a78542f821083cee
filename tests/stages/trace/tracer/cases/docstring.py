# A docstring is no step; another string that stands alone is one where CPython keeps its line.
def f(x):
    """Say x."""
    "and more"
    return x

def main():
    return f(1)
