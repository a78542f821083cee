# What does not equal itself, and what equals another, are told by their text.
def main():
    x = float("nan")
    x = x + 0
    y = 0.0
    y = -0.0
    return [x, y, 1e16, 1e-7, 5e-324, float("inf")]
