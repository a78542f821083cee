"""Run the examples of tests.json against the function beside this file, in place of its module's
own.
"""

import builtins
import contextlib
import doctest
import importlib
import io
import json
import sys
from pathlib import Path
from typing import Any

SHOWN = 2  # failures that are printed in full
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def replace(module_name: str, name: str, source: str) -> dict[str, Any]:
    """Define ``source`` in its module, wherever the old function was imported to; return the
    module's names.
    """
    module = importlib.import_module(module_name)
    old = getattr(module, name)
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)
    new = module.__dict__[name]
    for other in list(sys.modules.values()):
        if getattr(other, "__dict__", {}).get(name) is old:
            setattr(other, name, new)
    return dict(module.__dict__)


def output(call: str, namespace: dict[str, Any]) -> str:
    """Return what an example prints, or the exception that it ends with."""
    written = io.StringIO()
    display, sys.displayhook = sys.displayhook, sys.__displayhook__
    try:
        with contextlib.redirect_stdout(written):
            exec(compile(call, "<example>", "single"), namespace)
    except Exception as error:  # noqa: BLE001  whatever an example raises is its result
        return f"{type(error).__name__}: {error}\n"
    finally:
        sys.displayhook = display
        builtins.__dict__.pop("_", None)
    return written.getvalue()


def matches(expected: str, got: str) -> bool:
    """Compare as doctest does, with ellipses and loose white space."""
    return doctest.OutputChecker().check_output(expected, got, FLAGS)


def main() -> int:
    """Print the first examples that fail and how many do; return 1 when one does."""
    task = json.loads(Path("tests.json").read_text())
    name = task["name"]
    names = replace(task["module"], name, Path(f"{name}.py").read_text())
    failed = 0
    for test in task["tests"]:
        got = output(test["call"], names)
        if not matches(test["expected"], got):
            failed += 1
            if failed <= SHOWN:
                print(f"FAILED {test['call'].strip()}")
                print(f"expected {test['expected'].strip()}\ngot {got.strip()}")
    print(f"{failed} of {len(task['tests'])} failed" if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
