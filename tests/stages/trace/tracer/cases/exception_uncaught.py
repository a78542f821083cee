# The outcome is the exception.
def main():
    x = 1
    return x / 0
