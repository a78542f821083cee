"""One small tokenizer for the tests of the model's language."""

import json

import pytest

from model.tokens import train_tokenizer

# Written here, not read from a file of the project: tests count tokens.
CODE = '''def {name}(items, limit={n}):
    """Return the {name} of the first items, or None when there are none."""
    total = 0
    for index, value in enumerate(items):
        if index >= limit:
            break
        total += value * {n}
        print("{name}", index, value, total)
    return total if items else None


class {name}Error(ValueError):
    pass


def main():
    assert {name}([1, 2, {n}]) is not None
    return [{name}([a, b, a + b]) for a in range({n}) for b in (a, a + 1)]
'''
NAMES = ["sum", "mean", "scale", "double", "count", "merge", "parse", "encode", "decode", "split"]


@pytest.fixture(scope="session")
def tokenizer():
    code = [CODE.format(name=name, n=n) for n, name in enumerate(NAMES * 3)]
    shown = [json.dumps({"a": str(n), "b": "..", "c": ".."}) for n in range(200)]
    return train_tokenizer(iter(code + shown), 600, "json_digits")
