"""Run one's own file and trace what it does: in this process, or in the sandbox's.

What is traced is the file as a program, a function of it, or a method. The standard library alone
is imported here.
"""

from __future__ import annotations

import ast
import inspect
import sys
import tokenize
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from types import FunctionType, ModuleType
from typing import Any, Literal, Self

from stages.trace.inputs.calls import quiet_start
from stages.trace.inputs.drivers import ENTRY, driver_source, load_driver, with_driver
from stages.trace.tracer.alarm import alarm
from stages.trace.tracer.arguments import read_arguments
from stages.trace.tracer.recording import Recording, TraceLimits, TraceStopped
from stages.trace.tracer.source import (
    MODULE,
    Function,
    ShownSource,
    file_lines,
    function_source,
    whole_source,
)
from stages.trace.tracer.tracer import Target, Tracer

Show = Literal["file", "function"]
_MODULE = "program"  # what a function's module is called; as `python FILE` calls it "__main__"


class CallError(ValueError):
    """What is asked for makes no sense: no such file or function, arguments that do not fit."""


class OwnCodeError(RuntimeError):
    """The file could not be run as far as the function; says what happened there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to trace: ``name`` is a function's or CLASS.METHOD, "" for the file as a program.

    ``arguments`` is the source of an argument list, ``words`` are a program's ``sys.argv[1:]``;
    ``seconds`` of the clock end the trace, 0: none do.
    """

    file: str
    name: str = ""
    arguments: str = ""
    words: tuple[str, ...] = ()
    show: Show = "file"
    seconds: int = 60
    limits: TraceLimits = field(default_factory=TraceLimits)

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Undo `to_json`."""
        limits = TraceLimits(**value["limits"])
        return cls(**{**value, "words": tuple(value["words"]), "limits": limits})


def run(request: Request) -> tuple[ShownSource, Recording]:
    """Run the file and trace what is asked for; whatever that does is the trace.

    Raises `CallError` and `OwnCodeError`.
    """
    try:
        with tokenize.open(request.file) as stream:
            source = stream.read()
        name = Path(request.file).name
        tree = ast.parse(source, name)
        compile(source, name, "exec", dont_inherit=True)  # refuses more: a "return" outside
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes, or not in its encoding
        raise OwnCodeError(f"{request.file} is not Python: {error}") from error
    if not source:
        raise OwnCodeError(f"{request.file} is empty")
    if not request.name:
        return _run_program(request, source)
    _check_defined(tree, request)
    with _importable(Path(request.file)):
        return _run_function(request, _imported(Path(request.file)), tree, source)


def run_contained(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Do the same in the sandbox, whose files are its own: ``bytes`` are the file's, in
    hexadecimal digits."""
    request = Request.from_json(payload["request"])
    file = Path.cwd() / Path(request.file).name
    file.write_bytes(bytes.fromhex(payload["bytes"]))
    try:
        shown, recording = run(replace(request, file=str(file)))
    except (CallError, OwnCodeError) as error:
        said = str(error).replace(str(file), request.file)
        return {"error": type(error).__name__, "said": said}
    finally:
        sys.stdout.flush()  # the sandbox's child ends without doing so
    return {"shown": shown.to_json(), "recording": recording.to_json()}


def _run_program(request: Request, source: str) -> tuple[ShownSource, Recording]:
    """Run the file as ``python FILE WORDS`` does."""
    module = ModuleType("__main__")
    module.__file__ = request.file
    code = compile(source, request.file, "exec", dont_inherit=True)
    shown = whole_source(source, MODULE)
    before = sys.modules["__main__"], sys.argv
    sys.modules["__main__"], sys.argv = module, [request.file, *request.words]
    try:
        with _importable(Path(request.file)):
            target = Target(MODULE, exec, shown)
            recording = _record({code: target}, lambda: exec(code, vars(module)), request)
    finally:
        sys.modules["__main__"], sys.argv = before
    recording.arguments = ""
    return shown, recording


@contextmanager
def _importable(file: Path) -> Iterator[None]:
    """Let the file import what lies beside it, and leave nothing there."""
    sys.path.insert(0, str(file.parent))
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
        sys.path.remove(str(file.parent))


def _definitions(tree: ast.Module) -> dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Return the functions and methods of a file by name; one may be defined more than once."""
    found: dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]] = {}
    for node in tree.body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for each in inner:
            if isinstance(each, Function):
                found.setdefault(prefix + each.name, []).append(each)
    return found


def _check_defined(tree: ast.Module, request: Request) -> None:
    """Refuse a missing function before anything runs."""
    names = list(_definitions(tree))
    if request.name in names:
        return
    close = get_close_matches(request.name, names, n=1)
    hint = f" Perhaps you meant {close[0]}." if close else ""
    raise CallError(
        f"{request.file} has no outermost function or method {request.name!r}.{hint} "
        f"It has: {', '.join(names) or 'none'}"
    )


def _imported(file: Path) -> ModuleType:
    """Run the file as a module."""
    spec = spec_from_file_location(_MODULE, file)
    if spec is None or spec.loader is None:
        raise CallError(f"{file} is not a .py file")
    module = module_from_spec(spec)
    sys.modules[_MODULE] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        lines = [at.lineno for at in extract_tb(error.__traceback__) if at.filename == str(file)]
        where = f", line {lines[-1]}," if lines else ""
        raise OwnCodeError(f"{file}{where} fails on import: {_said(error)}") from error
    return module


def _run_function(
    request: Request, module: ModuleType, tree: ast.Module, source: str
) -> tuple[ShownSource, Recording]:
    called = _called(request, module)
    function = _plain(called, request, module)
    shown = _shown(tree, source, function, request)
    kind = _kind(function, called, request.name)
    if kind == "function":
        positional, keywords = read_arguments(request.arguments)
        _check_fit(called, request.name, positional, keywords)
        target = Target(request.name, function, shown)
        recording = _record(
            {function.__code__: target}, lambda: called(*positional, **keywords), request
        )
        recording.arguments = request.arguments
        return shown, recording
    driver = driver_source(kind, request.name, request.arguments)
    last_line = len(file_lines(source))
    main = load_driver(driver, module, request.name, request.file, last_line)
    shown = with_driver(shown, driver, last_line)
    recording = _record({main.__code__: Target(ENTRY, main, shown)}, main, request)
    recording.arguments = ""
    return shown, recording


def _called(request: Request, module: ModuleType) -> Callable[..., Any]:
    """Return what is called: a function, or a method of an object made without arguments."""
    owner, _, name = request.name.rpartition(".")
    holder: Any = getattr(module, owner) if owner else module
    if owner and isinstance(inspect.getattr_static(holder, name, None), FunctionType):
        try:
            holder = holder()
        except Exception as error:
            raise CallError(
                f"{request.name} needs an object, and {owner}() makes none ({_said(error)}): "
                "trace a function that makes one and calls it"
            ) from error
    found: Callable[..., Any] = getattr(holder, name, None)  # type: ignore[assignment]
    return found


def _plain(called: Any, request: Request, module: ModuleType) -> FunctionType:
    found = inspect.unwrap(called)
    found = getattr(found, "__func__", found)
    if not isinstance(found, FunctionType):
        raise CallError(f"{request.name} cannot be traced: it is a {type(found).__name__}")
    if found.__code__.co_filename != module.__file__:
        raise CallError(f"{request.name} cannot be traced: it is defined in another file")
    return found


def _kind(function: FunctionType, called: Any, name: str) -> str:
    """Return what drives the function: the kinds of `stages.trace.inputs.drivers`."""
    if inspect.isasyncgenfunction(function):
        raise CallError(f"{name} is an asynchronous generator: trace a function that uses it")
    if inspect.iscoroutinefunction(function):
        kind = "coroutine"
    elif inspect.isgeneratorfunction(function):
        wrapper = getattr(called, "__code__", None)
        is_context = wrapper is not None and wrapper.co_filename.endswith("contextlib.py")
        kind = "context" if is_context else "generator"
    else:
        return "function"
    if "." in name:
        raise CallError(f"{name} is a {kind} of a class: trace a function that uses it")
    return kind


def _shown(tree: ast.Module, text: str, function: FunctionType, request: Request) -> ShownSource:
    """Show the definition that is in force."""
    line = function.__code__.co_firstlineno
    for node in _definitions(tree)[request.name]:
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        if first == line:
            if request.show == "function":
                return function_source(file_lines(text), node)
            return replace(whole_source(text, MODULE), entry_line=node.lineno)
    raise CallError(f"{function.__qualname__}, line {line}, is not at the file's outermost level")


def _record(targets: Mapping[Any, Target], call: Callable[[], Any], request: Request) -> Recording:
    tracer = Tracer(targets, request.limits)
    refusal = "a decorator answers in its place"
    with quiet_start():
        try:
            # some loops have no events that a budget could count
            ring = lambda: tracer.cut("time-budget")  # noqa: E731
            with tracer.watching(), alarm(request.seconds, ring):
                call()
        except (Exception, TraceStopped, SystemExit) as error:  # noqa: BLE001  the recording has it
            refusal = _said(error)
    if not tracer.finished:
        asked = f"{request.name}({request.arguments})"
        raise OwnCodeError(f"{asked} ran no line of {request.name}: {refusal}")
    return tracer.finished[0]


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
