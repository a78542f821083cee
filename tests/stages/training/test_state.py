"""The state of training: a few integers in JSON, refused when the data are others."""

import json

import pytest

from stages.training.rows import Cursor, Rows
from stages.training.settings import LengthBucket, MixEntry
from stages.training.source import Source
from stages.training.state import DataMismatchError, State, check_fingerprint


@pytest.fixture
def rows(write_tokens):
    def make(seed=0, lengths=(5, 9, 20), long="split", row_tokens=32, buckets=(), share=1.0):
        file = write_tokens("a", lengths)
        entry = MixEntry(dataset="a", weight=1, long=long)
        return Rows(
            [Source(file, entry, 16)], [share], seed=seed, row_tokens=row_tokens, buckets=buckets
        )

    return make


def test_survives_json(rows):
    made = rows()
    cursor = made.take(Cursor(), 7)[1]
    state = State(cursor, made.fingerprint, {"skipped": 2})
    again = State.from_json(json.loads(json.dumps(state.to_json())))
    assert again == state
    assert again.step == 1
    check_fingerprint(again.fingerprint, rows().fingerprint)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "order.seed: 0 -> 1"),
        ({"lengths": (5, 9, 21)}, "data.a.sha256: .* data.a.tokens: 34 -> 35"),
        ({"long": "drop"}, "order.mix.a.long: split -> drop"),
        ({"row_tokens": 64}, "order.row_tokens: 32 -> 64"),
        ({"share": 0.5}, "order.mix.a.share: 1.0 -> 0.5"),
        (
            {"buckets": (LengthBucket(up_to=8), LengthBucket(up_to=16, reach=4))},
            r"order.buckets: \[\[16, None\]\] -> \[\[8, None\], \[16, 4\]\]",
        ),
    ],
)
def test_other_data_or_order(rows, change, message):
    saved = json.loads(json.dumps(rows().fingerprint))
    with pytest.raises(DataMismatchError, match=message):
        check_fingerprint(saved, rows(**change).fingerprint)


def test_a_data_set_more_or_less(rows):
    now = rows().fingerprint
    with pytest.raises(DataMismatchError, match=r"data\.b\.tokens: 3 -> none"):
        check_fingerprint({**now, "data": now["data"] | {"b": {"tokens": 3}}}, now)
