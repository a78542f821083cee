"""What a trace's source says about its lines: functions, loops, conditions, yields.

All of it is read from the context by `ast`. Of a context that is no Python nothing is known, and
what is shown of the trace is so much plainer.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import dedent
from typing import Literal

from model.frames import Frame
from model.trace import unmark
from stages.trace.renderings.tree import Call

Kind = Literal["function", "generator", "class", "comprehension", "lambda", "module"]
_DEFINITION = re.compile(r"\s*(async\s+)?(def|class)\s+(\w+)")
_YIELDS = (ast.Yield, ast.YieldFrom, ast.Await)


@dataclass(frozen=True, slots=True)
class Block:
    """A statement with a body: the lines of its head, ``first`` to ``body`` (exclusive), and those
    of its body, ``body`` to ``last``.

    ``endless``: the test of a ``while`` is a constant, so that its head need not be visited again;
    ``restarts``: then the body's first line begins a pass (if it is no loop itself).
    """

    word: str
    first: int
    body: int
    last: int
    endless: bool = False
    restarts: bool = False

    @property
    def is_tested(self) -> bool:
        """Whether it is a ``while`` whose condition can fail."""
        return self.word == "while" and not self.endless

    def is_head(self, line: int) -> bool:
        """Whether ``line`` belongs to the head."""
        return self.first <= line < self.body

    def is_body(self, line: int) -> bool:
        """Whether ``line`` belongs to the body."""
        return self.body <= line <= self.last


@dataclass(frozen=True, slots=True)
class Called:
    """What a call frame is a call of.

    ``resumed``: of a generator that goes on. ``indent``: by how much the function is indented in
    the context.
    """

    kind: Kind
    name: str
    resumed: bool = False
    indent: int = 0


class Structure:
    """Answers about the lines of one context, which count from 1."""

    def __init__(self, context: str) -> None:
        self.loops: dict[int, Block] = {}
        self.conditions: dict[int, Block] = {}
        self.yields: set[int] = set()
        self._definitions: dict[int, tuple[Kind, str]] = {}
        self._functions: list[tuple[int, int, str, int]] = []
        self._lambdas: set[int] = set()
        for node in ast.walk(_parsed(unmark(context))):
            self._note(node)

    def called(self, call: Call, *, outermost: bool = False) -> Called:
        """Return what was called; the outermost call may be a module's."""
        line, source = call.frame.line, call.frame.source
        indent = len(source) - len(source.lstrip())
        if outermost and self._is_module(call):
            return Called("module", "the program")
        if line in self._definitions:
            return Called(*self._definitions[line], indent=indent)
        if any(name == ".0" for name, _ in call.frame.locals or ()):
            return Called("comprehension", "the comprehension", indent=indent)
        if line in self._lambdas:
            return Called("lambda", "the lambda", indent=indent)
        around = [each for each in self._functions if each[0] <= line <= each[1]]
        if around:
            return Called("generator", around[-1][2], True, around[-1][3])
        found = _DEFINITION.match(source)
        return Called("function", found[3] if found else "the function", indent=indent)

    def _is_module(self, call: Call) -> bool:
        """Tell a file that begins with a function from that function: by the lines that it runs."""
        line = call.frame.line
        if _DEFINITION.match(call.frame.source) is None:
            return line not in self._lambdas
        last = max((last for first, last, *_ in self._functions if first == line), default=0)
        lines = [item.frame.line for item in call.items]
        return bool(last and lines) and (
            (lines[0] == line < last) or any(not line <= each <= last for each in lines)
        )

    def decision(self, frame: Frame, following: Frame | None) -> bool | None:
        """Say whether the condition on a line held; None where there is none, or it is not known.

        ``following`` is the next line of the same scope.
        """
        block = self.conditions.get(frame.line)
        if block is None or following is None or block.is_head(following.line):
            return None
        return block.is_body(following.line)

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._definitions[node.lineno] = ("function", node.name)
            last = node.end_lineno or node.lineno
            self._functions.append((node.lineno, last, node.name, node.col_offset))
        elif isinstance(node, ast.ClassDef):
            self._definitions[node.lineno] = ("class", node.name)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.While):
            self._loop(node)
        elif isinstance(node, ast.If):
            self._condition("if", node.test.lineno, node.body)
        elif isinstance(node, ast.match_case):
            self._condition("case", node.pattern.lineno, node.body)
        elif isinstance(node, ast.ExceptHandler) and node.type is not None:
            self._condition("except", node.lineno, node.body)
        elif isinstance(node, ast.Lambda):
            self._lambdas.add(node.lineno)
        elif isinstance(node, _YIELDS):
            self.yields.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While) -> None:
        word = "while" if isinstance(node, ast.While) else "for"
        endless = isinstance(node, ast.While) and isinstance(node.test, ast.Constant)
        restarts = endless and not isinstance(node.body[0], ast.For | ast.AsyncFor | ast.While)
        block = _block(word, node.lineno, node.body, endless, restarts)
        for line in range(block.first, block.body):
            self.loops[line] = block
        if restarts:
            self.loops.setdefault(block.body, block)

    def _condition(self, word: str, line: int, body: Sequence[ast.stmt]) -> None:
        block = _block(word, line, body)
        for each in range(block.first, block.body):
            self.conditions[each] = block


def _block(
    word: str, line: int, body: Sequence[ast.stmt], endless: bool = False, restarts: bool = False
) -> Block:
    last = max(each.end_lineno or each.lineno for each in body)
    return Block(word, line, min(map(_first_line, body)), last, endless, restarts)


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def _parsed(source: str) -> ast.AST:
    for text in _readings(source):
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return ast.Module(body=[], type_ignores=[])


def _readings(source: str) -> Iterator[str]:
    """Yield the source, then as it may be meant: a method's lines, taken out of their class."""
    yield source
    yield dedent(source)
