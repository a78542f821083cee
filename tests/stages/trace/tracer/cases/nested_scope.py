# A cell variable shows in both frames.
def main():
    n = 1
    def g():
        nonlocal n
        n += 1
        return n
    g()
    return n
