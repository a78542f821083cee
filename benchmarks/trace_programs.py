"""The twelve programs that tracers are measured on: each a ``main()`` of everyday Python."""

from __future__ import annotations

PROGRAMS: dict[str, str] = {
    "quicksort": """\
def quicksort(items):
    if len(items) < 2:
        return items
    pivot = items[0]
    low = [x for x in items[1:] if x < pivot]
    high = [x for x in items[1:] if x >= pivot]
    return quicksort(low) + [pivot] + quicksort(high)


def main():
    state, items = 1, []
    for _ in range(250):
        state = state * 1103515245 % 2147483648
        items.append(state % 1000)
    return quicksort(items)
""",
    "strings": """\
def is_palindrome(text):
    i, j = 0, len(text) - 1
    while i < j:
        if text[i] != text[j]:
            return False
        i, j = i + 1, j - 1
    return True


def count(words):
    counts = {}
    for word in words:
        key = word.lower().strip(".,")
        counts[key] = counts.get(key, 0) + 1
    return counts


def main():
    text = "The quick brown fox jumps over the lazy dog, and level noon kayak. " * 8
    words = text.split()
    found = [word for word in words if is_palindrome(word)]
    return len(found), count(words)
""",
    "fibonacci": """\
def fib(n):
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)


def main():
    return fib(14)
""",
    "graph": """\
def shortest(graph, start):
    distance = {start: 0}
    waiting = [start]
    while waiting:
        node = waiting.pop(0)
        for other, weight in graph[node].items():
            reached = distance[node] + weight
            if other not in distance or reached < distance[other]:
                distance[other] = reached
                waiting.append(other)
    return distance


def main():
    graph = {}
    for i in range(60):
        graph[i] = {(i * k + k) % 60: (i + k) % 7 + 1 for k in range(1, 5)}
    return sum(shortest(graph, 0).values())
""",
    "dataclasses": """\
from dataclasses import dataclass


@dataclass
class Item:
    name: str
    price: int
    count: int = 1


def total(items):
    value = 0
    for item in items:
        item.count += 1
        value += item.price * item.count
    return value


def main():
    items = [Item(f"item {i}", i * 3) for i in range(12)]
    return [total(items) for _ in range(25)]
""",
    "generators": """\
def naturals(stop):
    n = 0
    while n < stop:
        yield n
        n += 1


def evens(numbers):
    for n in numbers:
        if n % 2 == 0:
            yield n


def main():
    total = 0
    for n in evens(naturals(900)):
        total += n
    return total
""",
    "exceptions": """\
class Refused(ValueError):
    pass


def check(n):
    if n % 3 == 0:
        raise Refused(n)
    return n


def outer(n):
    try:
        return check(n)
    finally:
        n += 1


def main():
    total = 0
    for n in range(400):
        try:
            total += outer(n)
        except Refused as error:
            total -= 1
    return total
""",
    "comprehensions": """\
def row(n):
    return [i * n for i in range(12)]


def main():
    table = [row(n) for n in range(60)]
    columns = [sum(line[i] for line in table) for i in range(12)]
    pairs = {(a, b): a * b for a in range(12) for b in range(12) if a < b}
    return columns, len(pairs)
""",
    "classes": """\
class Account:
    def __init__(self, owner, balance):
        self.owner = owner
        self.balance = balance

    def move(self, other, amount):
        if amount > self.balance:
            amount = self.balance
        self.balance -= amount
        other.balance += amount
        return amount


def main():
    accounts = [Account(f"owner {i}", i * 10) for i in range(8)]
    moved = 0
    for step in range(500):
        first, second = accounts[step % 8], accounts[step * 3 % 8]
        moved += first.move(second, step % 11)
    return moved
""",
    "closures": """\
def counter(start):
    value = start

    def step(by):
        nonlocal value
        value += by
        return value

    return step


def main():
    steps = [counter(i) for i in range(5)]
    total = 0
    for i in range(900):
        total += steps[i % 5](i)
    return total
""",
    "longest common subsequence": """\
def lcs(a, b):
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a)):
        for j in range(len(b)):
            if a[i] == b[j]:
                table[i + 1][j + 1] = table[i][j] + 1
            else:
                table[i + 1][j + 1] = max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def main():
    first = lcs("abcbdabxyzzyabcbdab", "bdcabaxyzabdcabaxyz")
    return first, lcs("thequickbrownfoxjum", "thelazydogsleptlong")
""",
    "sieve": """\
def primes(limit):
    sieve = [True] * (limit + 1)
    for n in range(2, limit + 1):
        if sieve[n]:
            for multiple in range(n * n, limit + 1, n):
                sieve[multiple] = False
    return [n for n in range(2, limit + 1) if sieve[n]]


def main():
    return len(primes(1500))
""",
}
