# What the entry does not catch is the outcome: an exception, then a return that unwinds.
def main():
    x = 1
    return x / 0
