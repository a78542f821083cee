# sys.exit is an exception as any other: the finally runs, and the outcome is SystemExit.
import sys

def main():
    try:
        sys.exit(2)
    finally:
        x = 1
