# __exit__ sees the exception and swallows it.
class C:
    def __enter__(self):
        return 1

    def __exit__(self, *a):
        return True

def main():
    with C():
        raise ValueError(3)
    return 4
