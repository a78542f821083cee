# A program that catches everything does not go on being traced.
def main():
    n = 0
    while n < 5000:
        try:
            n += 1
        except BaseException:
            pass
    return n
