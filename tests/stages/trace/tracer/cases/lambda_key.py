# A lambda is a scope whose lines are that of the lambda: called by sorted, shown in its caller.
def main():
    return sorted([2, 1], key=lambda v: -v)
