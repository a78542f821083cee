"""What runs inside the sandbox: tracing in batches, in forks.

A batch shares the imports of its functions' modules. Each function is traced in a fork of its own,
and each test module and each module run as a program too: one that never returns or tears the
interpreter down takes only itself along.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from stages.trace.inputs import METHODS
from stages.trace.inputs.calls import Json, NotTraceable, Subject
from stages.trace.inputs.forks import ForkLimits, Harm, Work, in_forks
from stages.trace.inputs.mains import has_main, run_main
from stages.trace.inputs.methods import Methods, Tries, seed_of
from stages.trace.inputs.pure import in_python
from stages.trace.inputs.unittests import run_tests, test_modules
from stages.trace.programs import draw, keeps
from stages.trace.tracer import TraceLimits, trace_source
from stages.trace.tracer.alarm import alarm
from stages.trace.tracer.build import VARIABLE
from stages.trace.tracer.engine import make_engine
from stages.trace.tracer.source import ShownSource, file_lines

make_engine()  # before there are forks, each of which would load it again
os.environ.pop(VARIABLE, None)  # where it lies is no business of the programs

_IMPORT_SECONDS = 60
_TEST_RESTARTS = 3
_PROCESS_IDS = 11


def trace_programs(payload: Mapping[str, Any]) -> list[Json]:
    """Generate and trace programs ``start`` to ``stop`` of a family; those out of bounds are left
    out.
    """
    limits = TraceLimits(**payload["limits"])
    found = []
    for index in range(payload["start"], payload["stop"]):
        program = draw(payload["seed"], payload["family"], payload["difficulty"], index)
        recording = trace_source(program.source, program.entry, program.arguments, limits)
        if keeps(payload["family"], recording.outcome, recording.frames):
            found.append({**recording.to_json(), "program": program.name, "source": program.source})
    return found


def trace_one(payload: Mapping[str, Any]) -> Json:
    """Trace one program; ``payload`` has the arguments of `stages.trace.trace_source`."""
    return trace_source(**{**payload, "limits": TraceLimits(**payload["limits"])}).to_json()


def trace_functions(payload: Mapping[str, Any]) -> list[Json]:
    """Trace a batch of functions with inputs of every method that the payload asks for.

    Returns for each function ``{"recordings": [...], "dropped": [[reason, detail], ...], "tried":
    {method: n}, "cpu": {method: seconds}}``. A recording's ``method`` says how its input was got,
    ``driver`` is what its context shows after the function ("" for plain ones); its ``digest`` is
    over all the rest. With ``digests_only`` the recordings are just these digests.

    Which calls of a function are seen in its module's tests depends on the other functions of the
    module in the batch, and what a function imports by itself, on the modules of the batch, which
    are imported first: how functions are cut into batches is a part of what they are traced with.
    """
    by_module: dict[str, list[_Function]] = defaultdict(list)
    functions = [_Function(each, payload) for each in payload["functions"]]
    for each in functions:
        by_module[each.module].append(each)
    begun = _cpu()
    for name in sorted(by_module):
        with suppress(_ImportError):  # told where it matters
            _imported(name)
    functions[0].cpu["import"] += _cpu() - begun
    if payload.get("digests_only"):
        _use_up_process_ids()
    for name, group in by_module.items():
        _trace_module(name, group, payload)
    made = [each.outcome() for each in functions]
    for outcome in made:
        for recording in outcome["recordings"]:
            # how often what is stepped over calls itself may depend on the machine's load
            text = json.dumps({**recording, "calls": None}, sort_keys=True)
            recording["digest"] = hashlib.sha256(text.encode()).hexdigest()
        if payload.get("digests_only"):
            outcome["recordings"] = [recording["digest"] for recording in outcome["recordings"]]
    return made


def _use_up_process_ids() -> None:
    """Let processes have other ids in the second execution: what shows one is found to differ."""
    for _ in range(_PROCESS_IDS):
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)


class _Function:
    """One function of a batch, and what it came to."""

    def __init__(self, function: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
        self.module, self.name = function["module"], function["function"]
        self.document, self.kind = function["document"], function["kind"]
        self.shown = ShownSource.from_json(function["shown"])
        wanted = payload["methods"]
        self.inputs = [each for each in function["inputs"] if each[0] in wanted]
        self.recordings: dict[str, list[Json]] = defaultdict(list)
        self.dropped: list[tuple[str, str]] = []
        self.tried = Counter[str]()
        self.cpu: dict[str, float] = defaultdict(float)

    def take(self, item: Json) -> None:
        """Add what one item recorded."""
        self.recordings[item["method"]] += item["recordings"]
        self.tried[item["method"]] += item["tried"]
        self.cpu[item["method"]] += item["cpu"]

    def outcome(self) -> Json:
        """Return recordings by method, of equal calls the first, and the counts."""
        found, seen = [], set()
        for method in METHODS:
            for recording in self.recordings[method]:
                call = (recording["driver"], recording["arguments"])
                if call[1] is None or call not in seen:
                    seen.add(call)
                    rest = {name: value for name, value in recording.items() if name != "valid"}
                    found.append({**rest, "method": method})
        return {
            "recordings": found,
            "dropped": self.dropped,
            "tried": dict(self.tried),
            "cpu": dict(self.cpu),
        }


def _trace_module(name: str, group: Sequence[_Function], payload: Mapping[str, Any]) -> None:
    """Trace functions of one module: calls by other code, then their own."""
    try:
        module = _imported(name)
        text = _checked_text(module, group[0].document)
    except _ImportError as error:
        for each in group:
            each.dropped.append(("import-failed", str(error)))
        return
    limits, last_line = TraceLimits(**payload["limits"]), len(file_lines(text))
    homes = in_python(module, [each.name for each in group])
    subjects = [
        Subject(
            homes[each.name], each.name, each.kind, each.shown, last_line, limits, payload["calls"]
        )
        for each in group
    ]
    observed: dict[str, list[Json]] = {each.name: [] for each in group}
    for method, work, made in _observations(module, text, subjects, payload):
        for recording in _run(method, work, made, group, payload):
            if recording["name"] in observed:  # else it is forged
                observed[recording["name"]].append({**recording, "method": method})
    for function, subject in zip(group, subjects, strict=True):
        _trace_function(function, subject, observed[function.name], payload)


def _observations(
    module: ModuleType, text: str, subjects: Sequence[Subject], payload: Mapping[str, Any]
) -> Iterator[tuple[str, Work, list[Json]]]:
    """Yield (method, its work, the list that the work expects its items in)."""
    if "unittest" in payload["methods"]:
        names = [each.name for each in subjects]
        for test_module in test_modules(module, names, payload["test_modules"]):
            made: list[Json] = []
            yield (
                "unittest",
                partial(run_tests, test_module, subjects, payload["tests"], made),
                made,
            )
    if "main" in payload["methods"] and has_main(text):
        yield "main", partial(run_main, module, subjects), []


def _run(
    method: str,
    work: Work,
    made: list[Json],
    group: Sequence[_Function],
    payload: Mapping[str, Any],
) -> Iterator[Json]:
    """Yield the recordings of one execution by other code; its costs are shared by the group."""
    begun = _cpu()
    for item in in_forks(work, _fork_limits(payload), _TEST_RESTARTS):
        if isinstance(item, Harm):
            group[0].dropped.append((item.reason, f"{method}: {item.detail}"))
            continue
        made.append(item)
        named = [each for each in group if each.name in item["names"]]
        for each in named or group[:1]:
            each.tried[method] += item["tried"]
        yield from item["recordings"]
    for each in group:
        each.cpu[method] += (_cpu() - begun) / len(group)


def _trace_function(
    function: _Function, subject: Subject, observed: Sequence[Json], payload: Mapping[str, Any]
) -> None:
    """Trace one function by every method of its own."""
    try:
        methods = Methods(
            subject,
            function.inputs,
            observed,
            Tries(payload["mutations"], payload["fuzz_tries"]),
            seed_of(payload["seed"], function.module, function.name),
            payload["methods"],
        )
    except NotTraceable as error:
        function.dropped.append(("not-traceable", str(error)))
        return
    if subject.kind == "function":
        for each in observed:
            function.recordings[each["method"]].append(each)
    if not methods.steps:
        return
    begun, told = _cpu(), 0.0
    steps = iter(methods.steps)
    for item in in_forks(methods.items, _fork_limits(payload), len(methods.steps)):
        step = next(steps)
        if isinstance(item, Harm):
            function.dropped.append((item.reason, f"{step}: {item.detail}"))
        else:
            methods.take(item["literal"], item["valid"])
            function.take(item)
            told += item["cpu"]
    function.cpu[methods.steps[0]] += _cpu() - begun - told  # the forks


def _fork_limits(payload: Mapping[str, Any]) -> ForkLimits:
    return ForkLimits(payload["cpu_seconds"], payload["wall_seconds"])


def _cpu() -> float:
    """Return the CPU seconds of this process and of the forks that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


class _ImportError(Exception):
    """A module cannot be imported here, or is not the document."""


_FAILED: dict[str, str] = {}


def _imported(name: str) -> ModuleType:
    """Import a module, once; a failure is remembered."""
    if name not in _FAILED:
        try:
            with alarm(_IMPORT_SECONDS, _too_slow):
                return import_module(name)
        except BaseException as error:  # noqa: BLE001  anything may happen in a stranger's module
            _FAILED[name] = f"{type(error).__name__}: {str(error)[:200]}"
    raise _ImportError(_FAILED[name])


def _checked_text(module: ModuleType, document: str) -> str:
    """Return the module's source, which must be the document, byte for byte."""
    file = getattr(module, "__file__", None)
    data = Path(file).read_bytes() if file else b""
    if hashlib.sha256(data).hexdigest() != document:
        raise _ImportError(f"{module.__name__} is not the file of the corpus")
    return data.decode()


def _too_slow() -> NoReturn:
    raise TimeoutError(f"not done in {_IMPORT_SECONDS} s")
