# The else of a try runs where nothing was raised; an inner exception passes a clause that is not its.
def f(n):
    try:
        x = 6 // n
    except TypeError:
        x = 0
    else:
        x += 1
    return x

def main():
    a = f(2)
    try:
        f(0)
    except ZeroDivisionError:
        return a
