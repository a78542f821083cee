# 1, True and 1.0 are three renderings.
def main():
    a = [1]
    a = [True]
    a = [1.0]
    b = 1
    b = True
    b = 1.0
    return a
