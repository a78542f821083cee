# An assertion over several lines: its exception is shown on the line of what is asserted.
def main():
    x = 1
    assert (
        x == 2
    ), f"x is {x}"
