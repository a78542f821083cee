"""A function under trace, and a call of it with given arguments; runs in a fork in the sandbox."""

from __future__ import annotations

import inspect
import random
import sys
import types
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from stages.trace.inputs.drivers import ENTRY, driver_source, load_driver, with_driver
from stages.trace.tracer.arguments import read_arguments
from stages.trace.tracer.recording import USABLE
from stages.trace.tracer.source import ShownSource
from stages.trace.tracer.tracer import Recording, Target, TraceLimits, Tracer, TraceStopped

Json = dict[str, Any]

_LINES = 2


class NotTraceable(LookupError):  # noqa: N818  it says what a function is, nothing went wrong
    """What the module holds under the name is not the function in the source."""

    reason = "not-traceable"


def plain_function(module: types.ModuleType, name: str) -> types.FunctionType:
    """Return the Python function behind ``module.name``, decorators taken off.

    Raises `NotTraceable` when there is none, or when it was defined in another file.
    """
    found = inspect.unwrap(getattr(module, name, None))  # type: ignore[arg-type]
    if not isinstance(found, types.FunctionType):
        raise NotTraceable(f"{name} is a {type(found).__name__}")
    frozen = f"<frozen {module.__name__}>"  # compiled into the interpreter, from the same file
    if found.__code__.co_filename not in (module.__file__, frozen):
        raise NotTraceable(f"{name} is defined in another file")
    return found


@dataclass(frozen=True, slots=True)
class Subject:
    """A function to trace. ``calls``: how many different ones are kept of each method."""

    module: types.ModuleType
    name: str
    kind: str
    shown: ShownSource
    last_line: int
    limits: TraceLimits
    calls: int

    @property
    def function(self) -> types.FunctionType:
        """The function with its decorators taken off; raises `NotTraceable`."""
        found = plain_function(self.module, self.name)
        if found.__code__.co_firstlineno not in self.shown.numbers:
            raise NotTraceable(f"{self.name} is another definition of that name")
        return found

    @property
    def target(self) -> Target:
        """The function as the tracer takes it; raises `NotTraceable`."""
        return Target(self.name, self.function, self.shown)


class Budget:
    """Lets through the first calls of each target, none of them twice.

    At most half of them may have arguments that are no literals: those cannot be made again.
    """

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._taken: Counter[str] = Counter()
        self._opaque: Counter[str] = Counter()
        self._seen: set[tuple[str, str]] = set()

    def __call__(self, name: str, arguments: str | None) -> bool:
        """Say whether this call is recorded, and count it."""
        if self._taken[name] >= self._calls or (name, arguments) in self._seen:
            return False
        if arguments is None:
            if self._opaque[name] >= (self._calls + 1) // 2:
                return False
            self._opaque[name] += 1
        else:
            self._seen.add((name, arguments))
        self._taken[name] += 1
        return True

    def is_spent(self, names: Iterable[str]) -> bool:
        """Say whether none of these targets' calls would be let through."""
        return all(self._taken[name] >= self._calls for name in names)


@dataclass(frozen=True, slots=True)
class Call:
    """What a call came to: its recording as JSON, and the exception that it ended in."""

    recording: Json | None
    error: BaseException | None


def call(subject: Subject, arguments: str, names: Mapping[str, Any] | None = None) -> Call:
    """Trace one call of the subject with ``arguments``, Python source that may use ``names``."""
    driver = driver_source(subject.kind, subject.name, arguments)
    target = subject.target
    made = getattr(subject.module, subject.name)
    try:
        positional, keywords = _evaluated(arguments, names or {})
    except Exception as error:  # noqa: BLE001  an instance of a stranger's class may be asked for
        return Call(None, error)
    if driver:
        file = subject.function.__code__.co_filename
        made = load_driver(driver, subject.module, subject.name, file, subject.last_line)
        shown = with_driver(subject.shown, driver, subject.last_line)
        target, positional, keywords = Target(ENTRY, made, shown), (), {}
    tracer = Tracer({target.function.__code__: target}, subject.limits, Budget(1))
    failed: BaseException | None = None
    with quiet_start():
        try:
            with tracer.watching():
                made(*positional, **keywords)
        except (Exception, TraceStopped, SystemExit) as error:  # noqa: BLE001  an outcome
            failed = error
    if not tracer.finished:
        return Call(None, failed)
    recording = tracer.finished[0]
    if not driver and is_literal(arguments):
        recording.arguments = arguments  # a decorator may hand others on
    return Call(to_json(recording, driver), failed)


def is_literal(arguments: str) -> bool:
    """Say whether an argument list can be read without running anything."""
    try:
        read_arguments(arguments)
    except (ValueError, TypeError, SyntaxError):
        return False
    return True


def to_json(recording: Recording, driver: str = "") -> Json:
    """Return a recording as the worker hands it on; ``valid``: it shows something."""
    valid = recording.lines >= _LINES and recording.outcome in USABLE
    return {**recording.to_json(), "driver": driver, "valid": valid}


def _evaluated(arguments: str, names: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    found: tuple[tuple[Any, ...], dict[str, Any]] = eval(
        f"(lambda *positional, **keywords: (positional, keywords))({arguments})", dict(names)
    )
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
