# A dataclass is shown by its repr; its generated __init__ is stepped over.
from dataclasses import dataclass

@dataclass
class Point:
    x: int
    y: int

def main():
    p = Point(1, 2)
    p.x += 1
    return p
