# Containers are cut at the budget.
def main():
    a = list(range(100))
    d = {i: str(i) * 5 for i in range(50)}
    s = set(range(80))
    n = [["abc" * 10] * 5] * 5
    e = [[]] * 200
    t = ("long " * 30, 1, [2])
    return n
