# raise from: the new exception takes the place of the old one, which its __cause__ keeps.
def f():
    try:
        raise KeyError(1)
    except KeyError as e:
        raise ValueError(2) from e

def main():
    try:
        f()
    except ValueError as e:
        return repr(e.__cause__)
