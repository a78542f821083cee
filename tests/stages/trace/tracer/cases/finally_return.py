# The return shows the line of the finally.
def main():
    try:
        return 1
    finally:
        x = 2
