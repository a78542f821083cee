# A program that keeps locals() finds in it what it would find without a tracer's copy.
def main():
    a = [1]
    d = locals()
    b = [2]
    return sorted(d)[:1], d["a"]
