# Each frame: exception, then a return that unwinds.
def a():
    return 1 // 0

def b():
    a()

def main():
    try:
        b()
    except ZeroDivisionError as e:
        return 2
