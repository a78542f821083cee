# The call of a decorated function is shown at its def; decorators apply from below upwards.
def deco(f):
    return f

def main():
    @deco
    @deco
    def g():
        return 1
    return g()
