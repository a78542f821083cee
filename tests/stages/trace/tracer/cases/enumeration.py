# An enum's body and members.
import enum

def main():
    class Colour(enum.Enum):
        RED = 1
    c = Colour.RED
    return c
