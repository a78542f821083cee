# A name that is not bound is not shown, and reading it is an exception as any other.
def main():
    try:
        print(x)
    except UnboundLocalError:
        x = 1
    for x in ():
        pass
    return x
