# A variable of an outer function is shown in both scopes, and changes in both.
def main():
    n = 1
    def g():
        nonlocal n
        n += 1
        return n
    g()
    return n
