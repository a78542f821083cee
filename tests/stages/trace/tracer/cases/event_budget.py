# A loop without end is cut at the budget of events; there is no result.
def main():
    n = 0
    while True:
        n += 1
