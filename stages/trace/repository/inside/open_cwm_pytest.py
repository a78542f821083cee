"""A pytest plugin that says what every test came to and, when asked to, records its call phase.

Of a test only the call of its function is recorded; set-up, fixtures and tear-down are stepped
over. What it finds is written to a pipe line by line as JSON, as soon as a test is done, so that a
test that takes the process down takes nothing else along.

PYTEST_DONT_REWRITE: there is no assert in here.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import CodeType, ModuleType
from typing import Any

import pytest

_open, _write, _close, _getpid = os.open, os.write, os.close, os.getpid  # before a test fakes them
_SPREAD = ("-n", "--numprocesses", "--dist", "--maxprocesses", "--tx")
"""Options of plugins that are switched off: how tests are spread over processes."""
_SUSPENDS = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_PREFIXES = ("--cov", "--no-cov", "--randomly", "--random-order", "-p=no:", "-n=")


def _take_request() -> dict[str, Any]:
    """Read what is to be done, and leave the environment as it would be without it."""
    with open(os.environ.pop("OPEN_CWM_TRACE"), encoding="utf-8") as file:  # noqa: PTH123
        request: dict[str, Any] = json.load(file)
    others = os.environ["PYTEST_PLUGINS"].split(",")[1:]
    del os.environ["PYTEST_PLUGINS"]
    if others:
        os.environ["PYTEST_PLUGINS"] = ",".join(others)
    if not os.environ.get("PYTHONPATH"):
        os.environ.pop("PYTHONPATH", None)
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    sys.path[:] = [each for each in sys.path if each != here]
    return request


_REQUEST = _take_request()
_PROCESS = _getpid()


def _say(**message: Any) -> None:
    """Write a line to the output, unless this is a child of the process that was started."""
    if _getpid() != _PROCESS:
        return
    handle = _open(_REQUEST["output"], os.O_WRONLY)
    try:
        left = memoryview(json.dumps(message).encode() + b"\n")
        while left:
            left = left[_write(handle, left) :]
    finally:
        _close(handle)


def _tracer_package() -> ModuleType:
    """Import the project's tracer, and nothing else of the project.

    The packages above it are stand-ins that are gone afterwards: a repository may have a ``stages``
    of its own.
    """
    folder = _REQUEST["tracer"]
    for name in ("stages", "stages.trace"):
        folder_of = folder if name == "stages" else os.path.join(folder, "trace")  # noqa: PTH118
        package = ModuleType(name)
        package.__path__ = [folder_of]
        sys.modules[name] = package
    tracer = import_module("stages.trace.tracer")
    for name in ("engine", "source"):
        import_module(f"stages.trace.tracer.{name}")
    os.environ |= _REQUEST["native"]
    tracer.engine.make_engine()  # imports what it needs while its packages are there
    for name in _REQUEST["native"]:
        del os.environ[name]
    for name in ("stages", "stages.trace"):
        del sys.modules[name]
    return tracer


class _Files:
    """The repository's source, as one growing text; only the lines of functions are shown."""

    def __init__(self, package: ModuleType) -> None:
        self._source = package.source
        self._root = _REQUEST["root"] + os.sep
        self._known = frozenset(_REQUEST["sources"])
        self._shown: dict[str, Any] = {}
        self.text: list[str] = []

    def shown(self, file: str) -> Any:
        """Return the `ShownSource` of a file, None when it is none of the repository's."""
        if file not in self._shown:
            self._shown[file] = self._read(file)
        return self._shown[file]

    def _read(self, file: str) -> Any:
        name = file.removeprefix(self._root)
        if name == file or name not in self._known:
            return None
        with open(file, "rb") as stream:  # noqa: PTH123
            source = stream.read()
        try:
            tree = ast.parse(source)
            lines = self._source.file_lines(source.decode("utf-8"))
        except (SyntaxError, ValueError):
            return None
        start = len(self.text)
        self.text += lines
        _say(file=name, start=start, lines=len(lines))
        numbers: dict[int, int] = {}
        definitions: dict[int, int] = {}
        for node in _functions(tree):
            shown = self._source.function_source(lines, node)
            numbers.update((number, start + number) for number in shown.numbers)
            definitions.update(shown.definitions)
        return self._source.ShownSource(self.text, numbers, definitions, 1)


def _functions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the outermost functions, methods among them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield child
        else:
            yield from _functions(child)


def _code_of(item: pytest.Item) -> tuple[Callable[..., Any], CodeType] | None:
    """Return the function that a test's author wrote, beneath what decorates it."""
    function: Any = getattr(item, "obj", None)
    function = getattr(function, "__func__", function)
    inner = getattr(getattr(function, "hypothesis", None), "inner_test", None)
    try:
        function = inspect.unwrap(inner or function)
    except (TypeError, ValueError):
        return None
    code = getattr(function, "__code__", None)
    return (function, code) if isinstance(code, CodeType) else None


class _Recorder:
    """Records the tests of a session, one after the other."""

    def __init__(self) -> None:
        self._package = _tracer_package()
        self._engine = self._package.engine.make_engine()
        self._limits = self._package.TraceLimits(**_REQUEST["limits"], go_on=True)
        self._files = _Files(self._package)
        _say(engine=self._package.engine.engine_name())

    @contextmanager
    def recording(self, item: pytest.Item) -> Iterator[None]:
        """Record the first call of a test's function in the block, and say what came of it."""
        found = _code_of(item)
        shown = found and self._files.shown(found[1].co_filename)
        if found is None or shown is None:
            yield
            _say(test=item.nodeid, untraced="its function is none of the repository's")
            return
        function, code = found
        name = getattr(function, "__qualname__", code.co_name)
        calls: list[None] = []

        def wanted(*_: object) -> bool:
            calls.append(None)
            return len(calls) == 1

        tracer = self._package.Tracer(
            {code: self._package.Target(name, function, shown)},
            self._limits,
            wanted=wanted,
            engine=self._engine,
            files=self._files.shown,
        )
        try:
            with tracer.watching():
                yield
        finally:
            resumed = bool(code.co_flags & _SUSPENDS) and len(calls) > 1
            self._tell(item.nodeid, tracer, resumed)

    @staticmethod
    def _tell(test: str, tracer: Any, resumed: bool) -> None:
        if not tracer.finished:
            _say(test=test, untraced="its function was not called")
        elif resumed:  # the recording is of the part before its first wait
            _say(test=test, untraced="its function was left before it was done")
        else:
            _say(test=test, recording=tracer.finished[0].to_json())


_recorder = _Recorder() if _REQUEST["tracing"] else None


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(args: list[str]) -> None:
    """Leave out options of plugins that are switched off, wherever the repository sets them."""
    kept, skip = [], False
    for each in args:
        if skip or each.startswith(_PREFIXES):
            skip = False
        elif each in _SPREAD:
            skip = True
        elif not each.startswith(tuple(f"{name}=" for name in _SPREAD)) and each[:2] != "-n":
            kept.append(each)
    args[:] = kept


def pytest_sessionstart() -> None:
    """Start from the same random numbers every time."""
    random.seed(0)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Keep the tests that are asked for."""
    only, skipped = _REQUEST["only"], frozenset(_REQUEST["skipped"])
    kept = [
        item
        for item in items
        if item.nodeid not in skipped and (only is None or item.nodeid in only)
    ]
    if len(kept) < len(items):
        names = {item.nodeid for item in kept}
        left = [item for item in items if item.nodeid not in names]
        config.hook.pytest_deselected(items=left)
        items[:] = kept


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Say which files cannot be collected."""
    if report.failed:
        _say(collect=report.nodeid, error=str(report.longrepr)[-500:])


def pytest_runtest_logstart(nodeid: str) -> None:
    """Say which test begins: should the process not outlive it, that one is to blame."""
    _say(started=nodeid)


@pytest.hookimpl(hookwrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Record the call phase."""
    if _recorder is None:
        yield
    else:
        with _recorder.recording(item):
            yield


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Say how a phase of a test ended."""
    word: str = report.outcome
    if hasattr(report, "wasxfail"):
        word = "xfailed" if report.skipped else "xpassed"
    _say(phase=report.nodeid, when=report.when, outcome=word)


def pytest_runtest_logfinish(nodeid: str) -> None:
    """Say that a test is done."""
    _say(finished=nodeid)


def pytest_sessionfinish(exitstatus: int) -> None:
    """Say that the session came to its end."""
    _say(end=int(exitstatus))
