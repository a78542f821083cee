"""A trace without secrets and addresses: everything that it shows goes through `stages.redaction`.

Called on a row before its key counts. What is replaced is replaced alike in the context, in the
values, the arguments and the names, so that what was equal stays equal. A trace in which values are
replaced is no longer what its program would do (the length of an address is another one): its
arguments are not said to be literal. Where a replacement would break a trace it is dropped.
"""

from __future__ import annotations

import ast
from typing import Any

from model.trace import unmark
from stages.redaction import Redactor
from stages.trace.rows import trace_key, values_of

Row = dict[str, Any]

_TEXTS = ("context", "arguments", "result", "name", "entry", "test")


def redact_row(row: Row) -> Row | None:
    """Return a row of `stages.tables.TRACES` with placeholders; itself when it needs none.

    None: a secret goes over several lines of the context, whose numbers would no longer be right;
    the reason is "secret".
    """
    shown = [row[name] for name in _TEXTS]
    values = values_of(row["frames"])
    texts = [*shown, *values]
    redacted = Redactor().redact(texts)
    if redacted == texts:
        return row
    changed = dict(zip(_TEXTS, redacted, strict=False))
    names = dict(zip(values, redacted[len(shown) :], strict=True))
    lines = unmark(changed["context"]).split("\n")
    if len(lines) != row["context"].count("\n") + 1:
        return None
    frames = [
        {
            **frame,
            "source": _line(lines, frame["line"], frame["source"]),
            "value": names.get(frame["value"]),
            "locals": frame["locals"]
            and [{"name": each["name"], "value": names[each["value"]]} for each in frame["locals"]],
        }
        for frame in row["frames"]
    ]
    computed = any(old != new for old, new in names.items())
    return {
        **row,
        **changed,
        "frames": frames,
        "literal": row["literal"] and not computed and _does_the_same(row, changed),
        "key": trace_key(changed["context"], changed["entry"], frames),
    }


def _does_the_same(row: Row, changed: Row) -> bool:
    """Say whether the call is still what it was: placeholders in comments alone change nothing."""
    try:
        old, new = (ast.dump(ast.parse(each["context"])) for each in (row, changed))
    except SyntaxError:  # no context that stands for itself
        return False
    return old == new and row["arguments"] == changed["arguments"]


def _line(lines: list[str], number: int, before: str) -> str:
    """Return the line of the redacted context that a frame shows, ended as it was."""
    return lines[number - 1] + ("\n" if before.endswith("\n") else "")
