"""Small programs to learn from first: generated with their arguments, level by level.

    0  one to three easy statements: copies, ``+=``, a small sum, max/min, simple string operations
    1  arithmetic with +, -, * on integers
    2  and branches, lists, strings, ``%`` and ``//``
    3  and ``for`` loops
    4  and a helper function

Everything is a pure function of (seed, level, index). Programs whose values leave `BOUNDS` are left
out when their trace is looked at.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from stages.trace.programs.bounds import Bounds
from stages.trace.programs.program import Program

LEVELS = range(5)
_INT_NAMES = "abcdeijkmnpqvxyz"
_STR_NAMES = "stuw"
_LIST_NAMES = ("xs", "ys", "zs")
_LETTERS = "abcdefgh"

BOUNDS = Bounds(integer=100, text=8, items=6)
"""What a tiny model can learn are the rules, not big numbers."""


@dataclass(slots=True)
class _Writer:
    """Writes one function: the names in scope by type, and the lines so far."""

    rng: random.Random
    level: int
    ints: list[str] = field(default_factory=list)
    strs: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    last: str = ""
    helper: bool = False

    def say(self, line: str, indent: int) -> None:
        self.lines.append("    " * indent + line)

    def new(self, names: Iterable[str], known: list[str]) -> str:
        """Pick a variable to assign: half of the time one there is, else a new one."""
        free = [name for name in names if name not in known]
        if known and (not free or self.rng.random() < 0.5):
            self.last = self.rng.choice(known)
        else:
            self.last = self.rng.choice(free)
        return self.last

    def declare(self, name: str, known: list[str]) -> None:
        if name not in known:
            known.append(name)

    def small(self) -> int:
        return self.rng.randint(1, 5)


def generate(seed: int, level: int, index: int) -> Program:
    """Write program ``index`` of a level; some break their bounds or raise, which a trace shows."""
    if level not in LEVELS:
        raise ValueError(f"level={level}: 0 to 4 are there")
    rng = random.Random(f"{seed}:{level}:{index}")
    writer = _Writer(rng, level)
    arguments, parameters = [], []
    for _ in range(rng.randint(1, 2)):
        if level != 1 and rng.random() < 0.35:
            name = rng.choice([each for each in _STR_NAMES if each not in parameters])
            writer.strs.append(name)
            arguments.append(repr("".join(rng.choices(_LETTERS, k=rng.randint(1, 4)))))
        else:
            name = rng.choice([each for each in _INT_NAMES if each not in parameters])
            writer.ints.append(name)
            arguments.append(repr(rng.randint(0, 9)))
        parameters.append(name)
    writer.last = rng.choice(parameters)
    head = _helper(rng) if level == 4 else ""
    writer.helper = level == 4
    for _ in range(rng.randint(1, 3) if level == 0 else rng.randint(2, 4)):
        _statement(writer, 1)
    if level == 4 and writer.ints:
        writer.say(f"{writer.new(_INT_NAMES, writer.ints)} = g({rng.choice(writer.ints)})", 1)
    writer.say(f"return {writer.last}", 1)
    body = "\n".join([f"def f({', '.join(parameters)}):", *writer.lines, ""])
    return Program(f"level{level}:{seed}:{index}", head + body, "f", ", ".join(arguments))


def _helper(rng: random.Random) -> str:
    first = rng.choice(("n + {}", "n * {}", "n - {}", "max(n, {})")).format(rng.randint(1, 4))
    second = rng.choice(("r + {}", "r - {}", "r % {}", "r // {}")).format(rng.randint(2, 5))
    return f"def g(n):\n    r = {first}\n    return {second}\n\n\n"


def _statement(writer: _Writer, indent: int) -> None:
    """Write one statement that fits the level and the variables there are."""
    rng, options = writer.rng, list[Callable[[_Writer, int], None]]()
    if writer.ints:
        options += [_easy_int, _easy_int] if writer.level == 0 else [_arithmetic, _arithmetic]
    if writer.strs and writer.level != 1:
        options += [_string, _string]
    if writer.level >= 2 and writer.ints and indent < 3:
        options += [_branch, _list]
    if writer.level >= 3 and (writer.ints or writer.lists or writer.strs) and indent < 2:
        options += [_loop, _loop]
    rng.choice(options)(writer, indent)


def _easy_int(writer: _Writer, indent: int) -> None:
    rng, a = writer.rng, writer.rng.choice(writer.ints)
    if rng.random() < 0.3:
        writer.last = a
        writer.say(f"{a} += {writer.small()}", indent)
        return
    b = rng.choice(writer.ints)
    right = rng.choice((a, f"{a} + {writer.small()}", f"max({a}, {b})", f"min({a}, {b})"))
    name = writer.new(_INT_NAMES, writer.ints)
    writer.say(f"{name} = {right}", indent)
    writer.declare(name, writer.ints)


def _arithmetic(writer: _Writer, indent: int) -> None:
    rng = writer.rng
    a, b = rng.choice(writer.ints), rng.choice([*writer.ints, str(writer.small())])
    sign = rng.choice("+-*" if writer.level < 2 else ("+", "-", "*", "%", "//"))
    if sign in ("%", "//"):
        b = str(writer.small() + 1)
    if rng.random() < 0.3:
        writer.last = a
        writer.say(f"{a} {sign}= {b}", indent)
        return
    name = writer.new(_INT_NAMES, writer.ints)
    writer.say(f"{name} = {a} {sign} {b}", indent)
    writer.declare(name, writer.ints)


def _string(writer: _Writer, indent: int) -> None:
    rng, s = writer.rng, writer.rng.choice(writer.strs)
    letter = rng.choice(_LETTERS)
    if rng.random() < 0.25:
        name = writer.new(_INT_NAMES, writer.ints)
        writer.say(f"{name} = len({s})", indent)
        writer.declare(name, writer.ints)
        return
    rights = [f"{s} + {letter!r}", f"{s}[::-1]", f"{s}[1:]"]
    if writer.level >= 2:
        rights += [f"{s}.upper()", f"{s} * 2", f"{s}.replace({letter!r}, 'z')"]
    name = writer.new(_STR_NAMES, writer.strs)
    writer.say(f"{name} = {rng.choice(rights)}", indent)
    writer.declare(name, writer.strs)


def _list(writer: _Writer, indent: int) -> None:
    rng, a = writer.rng, writer.rng.choice(writer.ints)
    if not writer.lists or rng.random() < 0.4:
        name = writer.new(_LIST_NAMES, writer.lists)
        items = [
            rng.choice([*writer.ints, str(rng.randint(0, 9))]) for _ in range(rng.randint(1, 3))
        ]
        writer.say(f"{name} = [{', '.join(items)}]", indent)
        writer.declare(name, writer.lists)
        return
    xs = rng.choice(writer.lists)
    kind = rng.randrange(4)
    if kind == 0:
        writer.last = xs
        writer.say(f"{xs}.append({a})", indent)
    elif kind == 1:
        writer.last = xs
        writer.say(f"{xs} = {xs}[::-1]", indent)
    else:
        name = writer.new(_INT_NAMES, writer.ints)
        writer.say(f"{name} = {rng.choice((f'sum({xs})', f'len({xs})', f'{xs}[0]'))}", indent)
        writer.declare(name, writer.ints)


def _block(writer: _Writer, indent: int) -> None:
    """Write a nested block; the variables it makes may not exist after it."""
    known = (list(writer.ints), list(writer.strs), list(writer.lists))
    last = writer.last
    _statement(writer, indent)
    writer.ints, writer.strs, writer.lists = known
    if writer.last not in (*writer.ints, *writer.strs, *writer.lists):
        writer.last = last


def _branch(writer: _Writer, indent: int) -> None:
    rng = writer.rng
    sign = rng.choice(("<", ">", "==", "!="))
    condition = (
        f"{rng.choice(writer.ints)} {sign} {rng.choice([*writer.ints, str(rng.randint(0, 9))])}"
    )
    writer.say(f"if {condition}:", indent)
    _block(writer, indent + 1)
    if rng.random() < 0.6:
        writer.say("else:", indent)
        _block(writer, indent + 1)


def _loop(writer: _Writer, indent: int) -> None:
    rng = writer.rng
    over = [f"range({rng.randint(2, 4)})", *writer.lists, *writer.strs]
    which = rng.choice(over)
    kind = writer.strs if which in writer.strs else writer.ints
    name = rng.choice([n for n in ("i", "j", "ch") if n not in writer.ints] or ["k0"])
    writer.say(f"for {name} in {which}:", indent)
    kind.append(name)
    _block(writer, indent + 1)
    kind.remove(name)
    if writer.last == name:
        writer.last = rng.choice([*writer.ints, *writer.strs, *writer.lists])
