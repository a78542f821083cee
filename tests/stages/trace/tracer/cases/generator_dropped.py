# A generator that is dropped half way leaves no trace of its frame in another.
def g(n):
    for i in range(n):
        yield i

def main():
    total = 0
    for n in (3, 3, 3):
        for v in g(n):
            total += v
            break
    return total
