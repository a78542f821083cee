# An exception outcome.
import sys

def main():
    try:
        sys.exit(2)
    finally:
        x = 1
