# Values are shown six levels deep, then as dots.
def main():
    a = 0
    for _ in range(9):
        a = [a]
    b = {}
    for _ in range(8):
        b = {"k": (b,)}
    return a
