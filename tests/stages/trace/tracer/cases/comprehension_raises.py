# What is raised in a comprehension passes through its scope where it has one.
def main():
    try:
        return [1 // n for n in (1, 0)]
    except ZeroDivisionError:
        return "zero"
