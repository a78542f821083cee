# The name of an except clause is gone after its block.
def main():
    try:
        raise ValueError(1)
    except ValueError as e:
        pass
    return 2
