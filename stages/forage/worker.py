"""What runs inside the sandbox: a document's mutants, and the agent's episodes.

A module is imported once per call; no verdict is made here that anyone relies on: outputs go back
to the parent, which compares them.
"""

from __future__ import annotations

import importlib
import signal
from pathlib import Path
from types import FrameType
from typing import Any

from stages.forage.run_tests import output, replace
from stages.forage.tools import call_tool, prepare, workspace_files

_MAX_OUTPUT = 2_000

Outputs = list[str | None]


class _Late(BaseException):
    """The time for a run of tests is over; no ``except Exception`` of a program's catches it."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Late


def screen(payload: dict[str, Any]) -> list[list[Outputs]]:
    """Return, for each function of a module, the outputs of its tests with each of its ``sources``.

    ``payload`` is ``{"module", "functions": [{"name", "tests", "sources"}], "seconds"}``; the
    original is the first source. An output is None when the CPU time was over:
    a busy machine must not change what is found.
    """
    signal.signal(signal.SIGPROF, _stop)
    importlib.import_module(payload["module"])
    found = []
    for function in payload["functions"]:
        original = function["sources"][0]
        calls = [test["call"] for test in function["tests"]]
        found.append(
            [_outputs(payload, function["name"], source, calls) for source in function["sources"]]
        )
        _outputs(payload, function["name"], original, [])  # the next function sees this one unhurt
    return found


def _outputs(payload: dict[str, Any], name: str, source: str, calls: list[str]) -> Outputs:
    outputs: Outputs = []
    signal.setitimer(signal.ITIMER_PROF, payload["seconds"])
    try:
        names = replace(payload["module"], name, source)
        for call in calls:
            outputs.append(output(call, names)[:_MAX_OUTPUT])
    except (Exception, SystemExit, _Late):  # noqa: BLE001  a program's affair; what is left has no output
        pass
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return outputs + [None] * (len(calls) - len(outputs))


def episodes(payload: dict[str, Any]) -> list[dict[str, Any]]:
    """Let the agent act: return each episode's observations, and what the tests give at its end.

    ``payload`` is ``{"episodes": [{"task", "source", "actions": [[tool, content]]}], "seconds"}``;
    all tasks are of one module.
    """
    done: list[dict[str, Any]] = []
    for episode in payload["episodes"]:
        task = episode["task"]
        importlib.import_module(task["module"])  # `python` is a fork of this process
        prepare(workspace_files(task, episode["source"]))
        seen = [
            call_tool(tool, content, payload["seconds"]) for tool, content in episode["actions"]
        ]
        done.append({"observations": seen, "source": Path(f"{task['name']}.py").read_text()})
    signal.signal(signal.SIGPROF, _stop)
    for episode, end in zip(payload["episodes"], done, strict=True):
        task = episode["task"]
        tests = [test["call"] for test in task["tests"]]
        end["outputs"] = _outputs(
            {**payload, "module": task["module"]}, task["name"], end["source"], tests
        )
    return done
