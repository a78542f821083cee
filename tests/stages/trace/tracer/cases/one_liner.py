# A loop on one line: one line event for each turn.
def main():
    for x in (1, 2): y = x
    return y
