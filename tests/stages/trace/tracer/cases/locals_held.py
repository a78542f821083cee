# A program that holds locals() finds in it what it expects.
def main():
    a = [1]
    d = locals()
    b = [2]
    return sorted(d)[:1], d["a"]
