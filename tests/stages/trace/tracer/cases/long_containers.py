# Containers are cut at the budget, and an item that is itself cut ends in dots of its own.
def main():
    a = list(range(100))
    d = dict.fromkeys(range(50), "12345")
    s = set(range(80))
    n = [["abc" * 10] * 5] * 5
    e = [[]] * 200
    t = ("long " * 30, 1, [2])
    k = {"key " * 30: 1}
    return t
