# A loop without end is cut.
def main():
    n = 0
    while True:
        n += 1
