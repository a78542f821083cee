# A deleted variable disappears, then is shown again.
def main():
    x = 1
    y = 2
    del x
    x = 1
    return x
