"""Inputs that people wrote: run a function's doctest examples and record the calls they make."""

from __future__ import annotations
import __future__ as features

import doctest
import inspect
from typing import Any

from stages.trace.inputs.calls import Budget, Subject, quiet_start
from stages.trace.tracer.tracer import Recording, Tracer, TraceStopped


def examples(subject: Subject) -> list[doctest.Example]:
    """Return the examples of the subject's docstring; raises `NotTraceable`."""
    text = inspect.getdoc(subject.function) or ""
    try:
        found = doctest.DocTestParser().get_examples(text, subject.name)
    except ValueError:  # the prompt's layout is broken
        return []
    return [each for each in found if not each.options.get(doctest.SKIP)]


def trace_examples(subject: Subject, found: list[doctest.Example]) -> list[Recording]:
    """Run examples; return the first different calls of the subject that they make.

    Only the outermost call is a recording of its own: the inner ones are part of its trace.
    Examples that raise are left behind, as a reader of the documentation would.
    """
    target = subject.target
    tracer = Tracer({target.function.__code__: target}, subject.limits, Budget(subject.calls))
    names = {**vars(subject.module), "__name__": "__main__"}
    with quiet_start():
        for example in found:
            try:
                code = compile(example.source, "<doctest>", "single", _flags(names), True)
                with tracer.watching():
                    exec(code, names)
            except (Exception, TraceStopped, SystemExit):  # noqa: BLE001  the recording says which
                continue
    return tracer.finished


def _flags(names: dict[str, Any]) -> int:
    """Return the compiler flags of the ``from __future__`` imports in ``names``."""
    flags = 0
    for feature in features.all_feature_names:
        if names.get(feature) is getattr(features, feature):
            flags |= getattr(features, feature).compiler_flag
    return flags
