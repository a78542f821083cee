# The repr of a dataclass.
from dataclasses import dataclass

@dataclass
class Point:
    x: int
    y: int

def main():
    p = Point(1, 2)
    p.x += 1
    return p
