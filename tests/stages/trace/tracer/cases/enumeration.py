# An enum: its body shows the names that Enum puts there, its members are shown by their repr.
import enum

def main():
    class Colour(enum.Enum):
        RED = 1
    c = Colour.RED
    return c
