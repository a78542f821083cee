"""Drivers: a program's last lines, for functions whose body does not run when they are called.

A generator, a coroutine or a context manager is shown with a ``main`` that uses it up; the trace
then starts there.
"""

from __future__ import annotations

import ast
import re
import types
from collections.abc import Callable
from typing import Any, TypeGuard

from stages.trace.tracer.source import ShownSource

ENTRY = "main"
IMPORTS = (
    "ast", "datetime", "decimal", "fractions", "io", "math", "networkx", "numpy", "pathlib", "re",
    "sympy", "types",
)  # fmt: skip
"""Modules that arguments may name."""
_BODIES = {
    "generator": "    return list({call})\n",
    "coroutine": "    return asyncio.run({call})\n",
    "context": "    with {call} as found:\n        return found\n",
}
_LINES_BETWEEN = 2
_DRIVER = re.compile(rf"(?:(?:\nimport \w+)+\n)?\n\ndef {ENTRY}\(\):\n(?: .*\n)+\Z")


def driver_source(kind: str, function: str, arguments: str) -> str:
    """Return what follows the source of a function of ``kind``, or "" for plain functions."""
    if kind == "function":
        return ""
    modules = {each.id for each in ast.walk(ast.parse(f"f({arguments})")) if _is_module(each)}
    imports = sorted(modules | ({"asyncio"} if kind == "coroutine" else set()))
    begin = "".join(f"\nimport {each}" for each in imports) + ("\n" if imports else "")
    body = _BODIES[kind].format(call=f"{function}({arguments})")
    return f"{begin}{_LINES_BETWEEN * chr(10)}def {ENTRY}():\n{body}"


def _is_module(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and node.id in IMPORTS


def with_driver(shown: ShownSource, driver: str, last_line: int = 0) -> ShownSource:
    """Show ``driver`` after a function; its lines are those after the file's ``last_line``."""
    if not driver:
        return shown
    more = driver.splitlines(keepends=True)
    text = tuple(line.rstrip("\n") + "\n" for line in shown.text)  # a file may end without one
    numbers = {last_line + place: len(text) + place for place in range(1, len(more) + 1)}
    entry = len(text) + more.index(f"def {ENTRY}():\n") + 1
    return ShownSource((*text, *more), {**shown.numbers, **numbers}, shown.definitions, entry)


def without_driver(text: str) -> str:
    """Return a function's source as it was before `with_driver`, whatever it is called with."""
    return _DRIVER.sub("", text)


def load_driver(
    driver: str, module: types.ModuleType, name: str, file: str, last_line: int
) -> Callable[[], Any]:
    """Return the ``main`` of ``driver`` as if it stood after ``last_line`` of ``file``.

    What it calls is what the module has under the function's ``name``.
    """
    code = compile("\n" * last_line + driver, file, "exec", dont_inherit=True)
    names = {name: getattr(module, name), "__name__": module.__name__}
    exec(code, names)
    found: Callable[[], Any] = names[ENTRY]
    return found
