"""Trace a function of one's own file, as the stage does, but right here: the file is trusted.

The stage's tracer, budgets and contexts are used as they are, so what comes out is what a model
was trained on. Nothing contains the program: code from elsewhere belongs into the sandbox.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.util import module_from_spec, spec_from_file_location
from keyword import iskeyword
from pathlib import Path
from traceback import extract_tb
from types import FunctionType, ModuleType
from typing import Any, Literal

from model.trace import mark_line
from stages.trace.inputs.calls import NotTraceable, plain_function, quiet_start
from stages.trace.tracer.alarm import alarm
from stages.trace.tracer.arguments import read_arguments
from stages.trace.tracer.recording import Recording, TraceLimits, TraceStopped
from stages.trace.tracer.source import (
    Function,
    ShownSource,
    file_lines,
    function_source,
    whole_source,
)
from stages.trace.tracer.tracer import Target, Tracer

Show = Literal["file", "function"]
_MODULE = "program"  # what the file's module is called; as `python FILE` calls it "__main__"
_KEYWORD = re.compile(r"([^\W\d]\w*)\s*=(?!=)(.*)", re.DOTALL)


class CallError(ValueError):
    """What is asked for makes no sense: no such file or function, arguments that do not fit."""


class OwnCodeError(RuntimeError):
    """The file could not be run as far as the function; says what happened there."""


@dataclass(frozen=True, slots=True)
class OwnTrace:
    """A call and what it did: ``shown`` says which lines of the file the trace shows."""

    file: Path
    shown: ShownSource
    recording: Recording

    @property
    def context(self) -> str:
        """The source as a model reads it, its entry line marked."""
        return mark_line("".join(self.shown.text), self.shown.entry_line)

    @property
    def call(self) -> str:
        """The call as source."""
        return f"{self.recording.name}({self.recording.arguments})"

    def to_json(self) -> dict[str, Any]:
        """Return the columns of `stages.tables.TRACES` that say what happened, and the file."""
        recording = self.recording
        return {
            "file": str(self.file),
            "context": self.context,
            "entry": recording.name,
            "arguments": recording.arguments,
            "frames": recording.frames,
            "outcome": recording.outcome,
            "result": recording.result,
        }


def split_target(target: str) -> tuple[Path, str]:
    """Return the file and the function of ``FILE:FUNCTION``; raises `CallError`."""
    path, colon, function = target.rpartition(":")
    if not colon or not path or not function.isidentifier():
        raise CallError(
            f"{target!r} is not FILE:FUNCTION, such as demo.py:gcd "
            "(a function of the file itself, not of a class)"
        )
    if not Path(path).is_file():
        raise CallError(f"there is no file {path}")
    return Path(path).absolute(), function


def argument_list(words: Sequence[str]) -> str:
    """Return the source of an argument list; each word is a literal or ``name=literal``.

    Raises `CallError` for what is none.
    """
    texts: list[str] = []
    names: set[str] = set()
    for word in words:
        keyword = _KEYWORD.fullmatch(word)
        name, value = (f"{keyword[1]}=", keyword[2]) if keyword else ("", word)
        try:
            ast.literal_eval(value.strip())
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            raise CallError(
                f"the argument {word!r} is not a Python literal such as 12, [1, 2] or n=3; "
                f'a string keeps its quotes: "{value.strip()!r}"'
            ) from None
        if not name and names:
            raise CallError(f"the argument {word!r} follows one with a name: names come last")
        if name in names or iskeyword(name[:-1]):
            raise CallError(f"the argument {word!r} has a name that is taken")
        names |= {name} - {""}
        texts.append(name + ast.unparse(ast.parse(value.strip(), mode="eval")))
    return ", ".join(texts)


def trace_own(
    file: Path,
    name: str,
    arguments: str,
    limits: TraceLimits,
    show: Show = "file",
    seconds: int = 60,
) -> OwnTrace:
    """Run ``file``, then trace ``name(arguments)`` of it, for so many seconds at most; whatever the
    call does is the trace.

    With ``show="file"`` the context is the whole file and its functions are stepped into, as with
    the stage's generated programs; with "function" it is that function alone, without docstrings,
    as with functions of a corpus. Raises `CallError` and `OwnCodeError`.
    """
    try:
        with tokenize.open(file) as stream:
            text = stream.read()
        tree = ast.parse(text, file.name)
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes, or not in its encoding
        raise OwnCodeError(f"{file} is not Python: {error}") from error
    _check_defined(tree, name, file)
    module = _imported(file)
    function = _function(module, name)
    shown = _shown(tree, text, function, show)
    return OwnTrace(file, shown, _record(module, name, function, arguments, shown, limits, seconds))


def _check_defined(tree: ast.Module, name: str, file: Path) -> None:
    """Refuse a missing function before anything runs."""
    names = [node.name for node in tree.body if isinstance(node, Function)]
    if name in names:
        return
    hint = "".join(f" Perhaps you meant {close}." for close in get_close_matches(name, names, n=1))
    known = ", ".join(dict.fromkeys(names)) or "none"
    raise CallError(f"{file} has no outermost function {name!r}.{hint} It has: {known}")


def _imported(file: Path) -> ModuleType:
    """Run the file as a module, its folder importable, as `python FILE` has it."""
    spec = spec_from_file_location(_MODULE, file)
    if spec is None or spec.loader is None:
        raise CallError(f"{file} is not a .py file")
    module = module_from_spec(spec)
    sys.modules[_MODULE] = module
    sys.path.insert(0, str(file.parent))
    sys.dont_write_bytecode = True  # nothing is left beside the file
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        lines = [at.lineno for at in extract_tb(error.__traceback__) if at.filename == str(file)]
        where = f", line {lines[-1]}," if lines else ""
        raise OwnCodeError(f"{file}{where} fails on import: {_said(error)}") from error
    return module


def _function(module: ModuleType, name: str) -> FunctionType:
    try:
        function = plain_function(module, name)
    except NotTraceable as error:
        raise CallError(f"{name} cannot be traced: {error}") from error
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        raise CallError(
            f"{name} is a generator or coroutine, whose body runs after its call has returned: "
            "trace a function that uses it"
        )
    return function


def _shown(tree: ast.Module, text: str, function: FunctionType, show: Show) -> ShownSource:
    """Show the definition that is in force: a file may define a name more than once."""
    line = function.__code__.co_firstlineno
    nodes = [node for node in tree.body if isinstance(node, Function)]
    for node in nodes:
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        if first == line:
            if show == "function":
                return function_source(file_lines(text), node)
            return replace(whole_source(text, node.name), entry_line=node.lineno)
    raise CallError(f"{function.__qualname__}, line {line}, is not at the file's outermost level")


def _record(
    module: ModuleType,
    name: str,
    function: FunctionType,
    arguments: str,
    shown: ShownSource,
    limits: TraceLimits,
    seconds: int,
) -> Recording:
    positional, keywords = read_arguments(arguments)
    called = getattr(module, name)
    _check_fit(called, name, positional, keywords)
    tracer = Tracer({function.__code__: Target(name, function, shown)}, limits)
    refusal = "a decorator answers in its place"
    with quiet_start():
        try:
            # some loops have no events that a budget could count
            with tracer.watching(), alarm(seconds, lambda: tracer.cut("time-budget")):
                called(*positional, **keywords)
        except (Exception, TraceStopped, SystemExit) as error:  # noqa: BLE001  the recording has it
            refusal = _said(error)
    if not tracer.finished:
        raise OwnCodeError(f"{name}({arguments}) ran no line of {name}: {refusal}")
    recording = tracer.finished[0]
    recording.arguments = arguments
    return recording


def _check_fit(called: Any, name: str, positional: list[Any], keywords: dict[str, Any]) -> None:
    """Refuse arguments that the function does not take, where its signature can be read."""
    try:
        signature = inspect.signature(called, follow_wrapped=False)
    except (TypeError, ValueError):  # a decorator made an object of it
        return
    try:
        signature.bind(*positional, **keywords)
    except TypeError as error:
        raise CallError(f"{name}{signature} cannot be called like this: {error}") from error


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


@contextmanager
def prints_to_stderr() -> Iterator[None]:
    """What the program prints, child processes included, goes to stderr: stdout is the trace's."""
    sys.stdout.flush()
    before = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(before, 1)
        os.close(before)
