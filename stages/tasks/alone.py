"""Which questions can be answered from what they show: the function alone gives the value.

A traced function ran inside its module. Where it uses what stands elsewhere in there, such as a
table of names, the recorded value is right, but nobody can tell it from the prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from cluster.sandbox import Sandbox
from model.trace import unmark
from stages.tasks.fixes import BATCH, evaluate
from stages.tasks.verify import same_value

Row = dict[str, Any]


def self_contained(rows: Iterable[Row], box: Sandbox) -> Iterator[Row]:
    """Yield the rows whose context, run by itself, returns the recorded result; in their order.

    Generated programs are whole, so only functions are run.
    """
    waiting = iter(rows)
    while batch := list(islice(waiting, BATCH)):
        functions = [row for row in batch if row["source"] == "function"]
        sources = [unmark(row["context"]) for row in functions]
        calls = [[f"{row['entry']}({row['arguments']})"] for row in functions]
        values = evaluate(box, sources, calls) if functions else []
        wrong = {
            row["key"]
            for row, (value,) in zip(functions, values, strict=True)
            if value is None or not same_value(value, row["result"])
        }
        yield from (row for row in batch if row["key"] not in wrong)
