# Huge values cost no more than their budget; an int too long to print is its number of bits.
def main():
    s = "x" * 10**6
    b = b"y" * 10**6
    items = list(range(10**6))
    n = 10**5000
    m = -(2**70)
    return items
