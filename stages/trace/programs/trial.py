"""A function in the making whose statements are run as they are written."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from typing import Any

from stages.trace.programs.bounds import Bounds

_TRIES = 12


class Trial:
    """The lines of a function so far, and the values that its variables have after them.

    A statement that would raise, or whose values would leave the bounds, is not taken: so values
    stay small by construction, however long the program. ``above`` is source that comes before the
    function. Only this package's own statements are run here.
    """

    def __init__(
        self, rng: random.Random, bounds: Bounds, arguments: dict[str, Any], above: str = ""
    ) -> None:
        self.rng = rng
        self.bounds = bounds
        self.values: dict[str, Any] = copy.deepcopy(arguments)
        self.lines: list[str] = []
        self._head = f"def f({', '.join(arguments)}):"
        self._above = above
        self._arguments = ", ".join(map(repr, arguments.values()))
        self._globals: dict[str, Any] = {}
        exec(above, self._globals)

    def take(self, statement: str) -> bool:
        """Write a statement of one line or more if its values are within bounds; say whether."""
        values = copy.deepcopy(self.values)
        try:
            exec(statement, self._globals, values)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            return False
        if not all(map(self.bounds.admit, values.values())):
            return False
        self.values = values
        self.lines += statement.splitlines()
        return True

    def draw(self, kinds: Sequence[Callable[[Trial], str]]) -> None:
        """Write one statement of one of ``kinds``; none when a dozen leave the bounds."""
        for _ in range(_TRIES):
            if self.take(self.rng.choice(kinds)(self)):
                return

    def names(self, kind: type) -> list[str]:
        """Return the variables that hold a value of just this type."""
        return [name for name, value in self.values.items() if type(value) is kind]

    def name(self, kind: type, free: Sequence[str]) -> str:
        """Pick a variable to assign: one of this type, or as often a new one from ``free``."""
        known = self.names(kind)
        new = [name for name in free if name not in self.values]
        return self.rng.choice(known if known and (not new or self.rng.random() < 0.5) else new)

    def finish(self, result: str) -> tuple[str, str]:
        """Return the program, which ends with ``return RESULT``, and its argument list."""
        body = [f"    {line}" for line in [*self.lines, f"return {result}"]]
        return "\n".join([f"{self._above}{self._head}", *body, ""]), self._arguments
