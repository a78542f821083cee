# The StopIteration that the program raises is shown, that of the for is not.
class It:
    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration

def main():
    for _ in It():
        pass
    return 1
