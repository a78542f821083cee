# The physical line, not the statement.
def f(a, b):
    return a + b

def main():
    x = f(
        1,
        2,
    )
    return x
