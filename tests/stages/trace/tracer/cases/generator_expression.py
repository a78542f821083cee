# A generator expression is a scope of its own in every version, resumed for each item.
def main():
    k = 2
    return sum(i * k for i in range(2))
