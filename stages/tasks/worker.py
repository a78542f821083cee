"""What runs inside the sandbox: evaluate calls against a source text.

Nothing here knows what a call should return: values go back to the parent, which compares.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

_MAX_REPR = 2_000


class _Late(BaseException):
    """The time of one program is over; no ``except Exception`` of the program's catches it."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Late


def evaluate(payload: dict[str, Any]) -> list[list[str | None]]:
    """Return, for each program, the reprs of its calls' values, None where there is none.

    ``payload`` is ``{"programs": [{"source", "calls"}], "seconds", "repeat"}``. A call has no value
    when it raises, when its repr is very long, when its program has taken ``seconds`` of CPU time,
    or, with ``repeat``, when a second run of it gives another repr.
    """
    signal.signal(signal.SIGPROF, _stop)
    repeat = payload.get("repeat", False)
    results = []
    for program in payload["programs"]:
        found = _evaluate(program["source"], program["calls"], payload["seconds"])
        if repeat:
            again = _evaluate(program["source"], program["calls"], payload["seconds"])
            found = [a if a == b else None for a, b in zip(found, again, strict=True)]
        results.append(found)
    return results


def _evaluate(source: str, calls: list[str], seconds: float) -> list[str | None]:
    values: list[str | None] = []
    namespace: dict[str, Any] = {"__name__": "candidate"}
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        exec(compile(source, "<candidate>", "exec"), namespace)
        for call in calls:
            values.append(_value(call, namespace))
    except (Exception, SystemExit, KeyboardInterrupt, _Late):  # noqa: BLE001  the program's affair
        pass
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return values + [None] * (len(calls) - len(values))


def _value(call: str, namespace: dict[str, Any]) -> str | None:
    try:
        text = repr(eval(call, namespace))
    except (Exception, SystemExit, KeyboardInterrupt):  # noqa: BLE001  no value is an answer too
        return None
    return text if len(text) <= _MAX_REPR else None
