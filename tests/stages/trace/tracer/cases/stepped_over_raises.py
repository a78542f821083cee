# What stepped over code raises appears where it comes through to shown code.
import json

def main():
    try:
        json.loads("{")
    except ValueError as error:
        return type(error).__name__
