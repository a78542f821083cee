# What the finally raises takes the place of what was raised before; the result is the last one.
def main():
    try:
        raise KeyError(1)
    finally:
        raise ValueError(2)
