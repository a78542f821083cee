# A module is its name; no install path.
import json
import types

def main():
    j = json
    m = types.ModuleType("made")
    del m.__name__
    return [j]
