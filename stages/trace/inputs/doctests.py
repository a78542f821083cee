"""Inputs that people wrote: run a function's doctest examples and record the calls they make."""

from __future__ import annotations
import __future__ as features

import doctest
import inspect
import random
import sys
import types
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stages.trace.tracer.arguments import read_arguments
from stages.trace.tracer.source import ShownSource
from stages.trace.tracer.tracer import Recording, Target, TraceLimits, Tracer, TraceStopped


class NotTraceable(LookupError):  # noqa: N818  it says what a function is, nothing went wrong
    """What the module holds under the name is not the function in the source."""


def plain_function(module: types.ModuleType, name: str) -> types.FunctionType:
    """Return the Python function behind ``module.name``, decorators taken off.

    Raises `NotTraceable` when there is none, or when it was defined in another file.
    """
    found = inspect.unwrap(getattr(module, name, None))  # type: ignore[arg-type]
    if not isinstance(found, types.FunctionType):
        raise NotTraceable(f"{name} is a {type(found).__name__}")
    if found.__code__.co_filename != module.__file__:
        raise NotTraceable(f"{name} is defined in another file")
    return found


class _Budget:
    """Lets through the first calls of a function, none of them twice."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self.seen: Counter[str] = Counter()
        self.taken = 0

    def __call__(self, name: str, arguments: str | None) -> bool:
        if self.taken >= self.calls or (arguments is not None and self.seen[arguments]):
            return False
        if arguments is not None:
            self.seen[arguments] += 1
        self.taken += 1
        return True


def trace_doctests(
    module: types.ModuleType, name: str, shown: ShownSource, limits: TraceLimits, calls: int
) -> list[Recording]:
    """Run the doctest of ``module.name``; return the first ``calls`` different calls of it.

    Only the outermost call is a recording of its own: the inner ones are part of its trace.
    Examples that raise are left behind, as a reader of the documentation would.
    """
    function = plain_function(module, name)
    target = Target(name, function, shown)
    tracer = Tracer({function.__code__: target}, limits, _Budget(calls))
    text = inspect.getdoc(function) or ""
    test = doctest.DocTestParser().get_doctest(text, dict(vars(module)), name, None, None)
    test.globs["__name__"] = "__main__"
    with quiet_start():
        for example in test.examples:
            if example.options.get(doctest.SKIP):
                continue
            try:
                code = compile(example.source, "<doctest>", "single", _flags(test.globs), True)
                with tracer.watching():
                    exec(code, test.globs)
            except (Exception, TraceStopped, SystemExit):  # noqa: BLE001  the recording says which
                continue
    return tracer.finished


def trace_calls(
    module: types.ModuleType, name: str, shown: ShownSource, limits: TraceLimits, calls: list[str]
) -> list[Recording]:
    """Call ``module.name`` with each literal argument list and return the recordings."""
    function = plain_function(module, name)
    found = []
    for arguments in calls:
        tracer = Tracer({function.__code__: Target(name, function, shown)}, limits, _Budget(1))
        positional, keywords = read_arguments(arguments)
        with quiet_start():
            try:
                with tracer.watching():
                    getattr(module, name)(*positional, **keywords)
            except (Exception, TraceStopped, SystemExit):  # noqa: BLE001  an outcome of the call
                pass
        for recording in tracer.finished[:1]:
            recording.arguments = arguments
            found.append(recording)
    return found


@contextmanager
def quiet_start() -> Iterator[None]:
    """Seed what is random and silence the prompt's echo, so that a second run shows the same."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    echo, sys.displayhook = sys.displayhook, lambda value: None
    try:
        yield
    finally:
        sys.displayhook = echo


def _flags(names: dict[str, Any]) -> int:
    """Return the compiler flags of the ``from __future__`` imports in ``names``."""
    flags = 0
    for feature in features.all_feature_names:
        if names.get(feature) is getattr(features, feature):
            flags |= getattr(features, feature).compiler_flag
    return flags
