# What runs outside the entry is not shown.
def helper():
    return 1

helper()

def main():
    return helper()

helper()
