"""A sandbox, and a few traced programs as rows of a table."""

import ast
import hashlib
from collections.abc import Iterator

import pytest

from cluster.sandbox import Sandbox
from model.trace import mark_line
from stages.tasks.verify import PRELOAD
from tests.stages.rows import PLAIN_TRACE


@pytest.fixture(scope="session")
def box() -> Iterator[Sandbox]:
    with Sandbox(preload=PRELOAD) as opened:
        yield opened


def frames_of(source: str, arguments: str, result: str) -> list[dict]:
    """Return a call and a return frame: enough of a trace for tasks."""
    lines = source.splitlines(keepends=True)
    call = ast.parse(f"f({arguments})", mode="eval").body
    names = [a.arg for a in ast.parse(source).body[0].args.args]
    values = [ast.unparse(a) for a in call.args]
    shown = [{"name": n, "value": v} for n, v in zip(names, values, strict=True)]
    common = {"unwinding": False, "depth": 0}
    return [
        {"event": "call", "line": 1, "source": lines[0], "locals": shown, "value": None, **common},
        {
            "event": "return",
            "line": len(lines),
            "source": lines[-1],
            "locals": None,
            "value": result,
            **common,
        },
    ]


def trace_row(source: str, arguments: str, result: str, **changes) -> dict:
    context = mark_line(source, 1)
    key = hashlib.sha256(f"{context}{arguments}".encode()).hexdigest()
    row = {
        **PLAIN_TRACE,
        "key": key,
        "name": key[:8],
        "context": context,
        "entry": "f",
        "arguments": arguments,
        "frames": frames_of(source, arguments, result),
        "result": result,
        "group": key,
    }
    return {**row, **changes}
