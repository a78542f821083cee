# The else of a loop runs when it was not left by break.
def main():
    n = 0
    while n < 2:
        n += 1
    else:
        n = 10
    for i in range(3):
        if i == 1:
            break
    return n
