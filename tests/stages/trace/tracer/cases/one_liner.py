# One frame for each turn of a loop on one line.
def main():
    for x in (1, 2): y = x
    return y
