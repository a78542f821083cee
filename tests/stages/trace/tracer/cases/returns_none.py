# A return of None is no unwinding.
def main():
    x = 1
