# Globals are not shown; a global statement is no step.
count = 0

def bump():
    global count
    count += 1

def main():
    bump()
    return count
