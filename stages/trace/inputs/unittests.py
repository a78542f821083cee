"""Inputs that people wrote: the tests that a distribution ships, and those of the standard library.

Tests run as unittest or pytest would run them, as far as they need no fixtures: methods of test
cases, plain ``test_`` functions, classes of them with their set-up, and parametrised ones.
"""

from __future__ import annotations

import inspect
import itertools
import re
import sys
import sysconfig
import time
import types
import unittest
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

from stages.trace.inputs.calls import Json, NotTraceable, Subject
from stages.trace.inputs.forks import item
from stages.trace.inputs.observed import Observer, targets


class NoTests(NotTraceable):
    """A test module cannot be imported here."""

    reason = "no-tests"


Test = tuple[types.CodeType | None, Callable[[], object]]

_PARAMETER_SETS = 4  # of a parametrised test


def test_modules(module: types.ModuleType, names: Sequence[str], count: int) -> list[str]:
    """Return up to ``count`` test modules for a module's functions ``names``, the nearest first.

    By convention a test module is named after the module; where none is, those count that mention
    the module, by how many of the functions they mention.
    """
    files = _test_files(module)
    wanted = {_plain(part) for part in _conventional(module.__name__)}
    named = [name for name, file in files.items() if _plain(_subject_of(name)) in wanted]
    spelled = module.__name__.rpartition(".")[2].encode()
    near = _near(module.__name__)
    scored = []
    for name in named or files:
        text = files[name].read_bytes()
        if not named and spelled not in text:
            continue
        mentions = sum(re.search(rb"\b%s\b" % each.encode(), text) is not None for each in names)
        if mentions:
            place = (-near(name), name.count(".")) if named else (0, 0)
            scored.append((*place, -mentions, name))
    return [name for *_, name in sorted(scored)[:count]]


def _conventional(module: str) -> list[str]:
    """Return what a test module of ``module`` may be named after: ``a.b.c``: c, b_c, a_b_c."""
    parts = module.split(".")
    return ["_".join(parts[place:]) for place in range(len(parts))]


def _near(module: str) -> Callable[[str], int]:
    parts = module.split(".")

    def shared(test: str) -> int:
        pairs = zip(parts, test.split("."), strict=False)
        return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))

    return shared


def _subject_of(test_module: str) -> str:
    """Return what a test module is about: ``test.test_json.test_decode`` → json_decode."""
    parts = [part for part in test_module.split(".") if part.startswith("test_")]
    last = test_module.rpartition(".")[2]
    if not parts:
        return last.removesuffix("_test")
    return "_".join(part.removeprefix("test_") for part in parts)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _test_files(module: types.ModuleType) -> dict[str, Path]:
    top = sys.modules.get(module.__name__.partition(".")[0])
    file = Path(getattr(module, "__file__", None) or "/")
    library = Path(sysconfig.get_path("stdlib"))
    if file.is_relative_to(library) and "site-packages" not in file.parts:
        return _files_below(str(library / "test"))
    paths = list(getattr(top, "__path__", ()))
    return _files_below(paths[0]) if paths else {}


@cache
def _files_below(folder: str) -> dict[str, Path]:
    root = Path(folder)
    found = {}
    for file in sorted(root.rglob("*.py")):
        if file.name.startswith("test_") or file.name.endswith("_test.py"):
            parts = file.relative_to(root.parent).with_suffix("").parts
            if all(part.isidentifier() for part in parts):
                found[".".join(parts)] = file
    return found


def run_tests(
    test_module: str,
    subjects: Sequence[Subject],
    tests: int,
    made: Sequence[Json],
    start: int,
) -> Iterator[Json]:
    """Run the first ``tests`` tests of a module that name a subject; any when none does.

    Yields for each from number ``start`` on what it recorded, as an item of `in_forks`; stops when
    no further call would be kept. ``made`` are the items before.
    """
    known = targets(subjects)
    if not known:
        return
    before = [each for earlier in made for each in earlier["recordings"]]
    observer = Observer(known, subjects[0].limits, subjects[0].calls, before)
    names = {each.name for each in subjects}
    begun = time.process_time()
    for code, execute in _tests(test_module, names)[start:tests]:
        if observer.has_enough:
            return
        found = observer.watch(execute)
        now = time.process_time()
        named = sorted(each for each in names if code is not None and _mentions(code, {each}))
        yield item("unittest", found, 1, now - begun, names=named)
        begun = now


def _tests(test_module: str, names: set[str]) -> list[Test]:
    """Import a test module; return its tests. Raises `NoTests`."""
    support = _support()
    if support is not None:
        support.use_resources = []  # no network, nothing that takes long
    try:
        module = import_module(test_module)
        found = [*_unittests(module), *_functions(module), *_classes(module)]
    except BaseException as error:  # a module may skip itself, or anything
        raise NoTests(f"{test_module}: {type(error).__name__}: {str(error)[:100]}") from error
    names = names | {each.co_name for each in _helpers(module) if _mentions(each, names)}
    naming = [test for test in found if test[0] is not None and _mentions(test[0], names)]
    return naming or found


def _helpers(module: types.ModuleType) -> Iterator[types.CodeType]:
    """Yield the code of a test module's functions and methods that are no tests."""
    for owner in (module, *(each for each in vars(module).values() if isinstance(each, type))):
        for name, each in list(vars(owner).items()):
            if isinstance(each, types.FunctionType) and not name.startswith("test"):
                yield each.__code__


def _support() -> Any:
    try:
        return import_module("test.support")
    except ImportError:  # some systems install Python without its tests
        return None


def _mentions(code: types.CodeType, names: set[str]) -> bool:
    return not names.isdisjoint(code.co_names) or any(
        isinstance(each, types.CodeType) and _mentions(each, names) for each in code.co_consts
    )


def _code(function: Any) -> types.CodeType | None:
    return getattr(inspect.unwrap(function), "__code__", None)


def _unittests(module: types.ModuleType) -> Iterator[Test]:
    waiting: list[Any] = [unittest.defaultTestLoader.loadTestsFromModule(module)]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, unittest.TestSuite):
            waiting = [*each, *waiting]
        elif isinstance(each, unittest.TestCase):
            method = getattr(each, getattr(each, "_testMethodName", ""), None)
            yield _code(method) if method else None, partial(_run_case, each)


def _run_case(case: unittest.TestCase) -> None:
    unittest.TestSuite([case]).run(unittest.TestResult())  # with the fixtures of class and module


def _functions(module: types.ModuleType) -> Iterator[Test]:
    for name, each in list(vars(module).items()):
        if name.startswith("test") and isinstance(each, types.FunctionType):
            for options in _parameters(each, set(inspect.signature(each).parameters)):
                yield _code(each), partial(each, **options)


def _classes(module: types.ModuleType) -> Iterator[Test]:
    for name, each in list(vars(module).items()):
        if not name.startswith("Test") or not isinstance(each, type):
            continue
        if issubclass(each, unittest.TestCase) or each.__init__ is not object.__init__:
            continue
        for method_name, method in inspect.getmembers(each, inspect.isfunction):
            if method_name.startswith("test"):
                needed = set(list(inspect.signature(method).parameters)[1:])
                for options in _parameters(method, needed):
                    yield _code(method), partial(_run_method, each, method_name, options)


def _run_method(owner: type, name: str, options: dict[str, Any]) -> None:
    made = owner()
    if hasattr(made, "setup_class"):
        made.setup_class()
    setup = getattr(made, "setup_method", None)
    if setup is not None:
        setup(*[getattr(made, name)][: len(inspect.signature(setup).parameters)])
    getattr(made, name)(**options)


def _parameters(function: Callable[..., Any], needed: set[str]) -> Iterator[dict[str, Any]]:
    """Yield the keyword arguments of a test, from its marks; nothing when it needs fixtures."""
    sets: list[dict[str, Any]] = [{}]
    for mark in getattr(function, "pytestmark", []):
        if mark.name == "parametrize" and len(mark.args) >= 2:
            sets = [old | new for old in sets for new in _values(mark.args[0], mark.args[1])]
    for each in sets[:_PARAMETER_SETS]:
        if set(each) == needed:
            yield each


def _values(names: Any, values: Any) -> list[dict[str, Any]]:
    split = [part.strip() for part in names.split(",")] if isinstance(names, str) else list(names)
    found = []
    for each in itertools.islice(values, _PARAMETER_SETS):
        if type(each).__name__ == "ParameterSet":  # pytest.param
            given = each.values
        else:
            given = each if len(split) > 1 else (each,)
        found.append(dict(zip(split, given, strict=True)))
    return found
