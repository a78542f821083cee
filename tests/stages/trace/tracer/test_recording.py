"""A recording on its way out of the sandbox: small, and no forged one gets in."""

import json

import pytest

from stages.trace.tracer.recording import Recording
from tests.stages.trace.tracer.traces import trace

SOURCE = """\
def g(n):
    for i in range(n):
        yield [i]

def main():
    x = []
    for i in g(30):
        x += i
    return x
"""


def test_there_and_back():
    recording = trace(SOURCE)
    text = json.dumps(recording.to_json())
    assert Recording.from_json(json.loads(text), recording.text) == recording
    assert len(text) < len(json.dumps(recording.frames)) / 3


def change(value, path, to):
    *way, last = path
    for each in way:
        value = value[each]
    value[last] = to


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (["name"], 3),
        (["outcome"], 7),
        (["trace"], []),
        (["trace", "strings", 0], 5),
        (["trace", "locals", 0], [10**9]),
        (["trace", "steps", 0], []),
        (["trace", "steps", 0, 0], "jump"),
        (["trace", "steps", 0, 1], 0),
        (["trace", "steps", 0, 1], 99),
        (["trace", "steps", 0, 2], 10**9),
        (["trace", "steps", 0, 3], 0),
        (["trace", "steps", 0, 5], -1),
        (["trace", "steps", 0, 5], 10**9),
        (["trace", "locals", 0], [0]),
        (["name"], None),
        (["result"], None),
        (["tampered"], "no"),
    ],
)
def test_what_is_no_recording_is_refused(path, to):
    recording = trace(SOURCE)
    value = recording.to_json()
    change(value, path, to)
    with pytest.raises(ValueError, match="no recording"):
        Recording.from_json(value, recording.text)
