# Names and lines that are not ASCII, a form feed and a line separator that end no line.
def main():
    größe = "a\u2028b"  #  here, and   there
    中 = größe + "é"
    return 中
