# break and continue run the finally first; its line is shown each time.
def main():
    seen = []
    for i in range(3):
        try:
            if i == 0:
                continue
            break
        finally:
            seen.append(i)
    return seen
