# The call is shown at the def line.
def deco(f):
    return f

def main():
    @deco
    @deco
    def g():
        return 1
    return g()
