# Globals are no locals.
count = 0

def bump():
    global count
    count += 1

def main():
    bump()
    return count
