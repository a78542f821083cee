# A repr that reads ".." is a value like others; only the grammar has to tell it from "unchanged".
class Dots:
    def __repr__(self):
        return ".."

def main():
    d = Dots()
    e = ".."
    d = 1
    return e
