"""Inputs that people wrote: what a module does when it is run as a program."""

from __future__ import annotations

import re
import sys
import time
import types
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from stages.trace.inputs.calls import Json, Subject
from stages.trace.inputs.forks import item
from stages.trace.inputs.observed import Observer, targets
from stages.trace.tracer.tracer import Target

_BLOCK = re.compile(r"^if\s+__name__\s*==\s*['\"]__main__['\"]", re.MULTILINE)


def has_main(text: str) -> bool:
    """Say whether a module's source has a ``__main__`` block."""
    return _BLOCK.search(text) is not None


def run_main(module: types.ModuleType, subjects: Sequence[Subject], start: int) -> Iterator[Json]:
    """Execute the module's file as ``__main__``; yield what it recorded, one item of `in_forks`.

    Its functions are made anew then: they are known by the code that they are compiled to.
    """
    if start:
        return
    begun = time.process_time()
    file = module.__file__
    assert file is not None
    code = compile(Path(file).read_bytes(), file, "exec", dont_inherit=True)
    known = list(_compiled(code, targets(subjects)))
    if not known:
        return
    observer = Observer(known, subjects[0].limits, subjects[0].calls, ())
    sys.argv = [file]

    def execute() -> None:
        main = types.ModuleType("__main__")
        main.__dict__.update(__file__=file, __package__=module.__package__)
        sys.modules["__main__"] = main
        exec(code, main.__dict__)

    found = observer.watch(execute)
    cpu = time.process_time() - begun
    yield item("main", found, 1, cpu)


def _compiled(code: types.CodeType, known: Sequence[Target]) -> Iterator[Target]:
    """Yield the targets whose code is among the constants of a module's code, with that code."""
    inner = {
        (each.co_name, each.co_firstlineno): each
        for each in code.co_consts
        if isinstance(each, types.CodeType)
    }
    for target in known:
        old = target.function
        assert isinstance(old, types.FunctionType)
        found = inner.get((old.__code__.co_name, old.__code__.co_firstlineno))
        if found is not None:
            made = types.FunctionType(found, {}, old.__name__, old.__defaults__)
            made.__kwdefaults__ = old.__kwdefaults__
            yield replace(target, function=made)
