"""What of a trace is told to a reader, in order: everything once, what repeats itself in short.

A program of ten lines may run ten thousand. So, by rule:

* of a loop the first `_ITERATIONS` passes are told, the last, and every one that runs a line which
  no pass before it ran; the others are one `Skip` that says how many, and what they came to;
* a call is told in full the first `_CALLS` times that its function is called, and later when it, or
  what it calls, runs a line that was not yet told; else it is a `Fold`: arguments and result;
* of more than `_FOLDS` folded calls of one line the rest are counted, as are lines that repeat
  themselves without a loop, and what is nested deeper than `_DEPTH`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from model.frames import Trace
from stages.trace.renderings.structure import Block, Called, Structure
from stages.trace.renderings.tree import Call, Item, trees

_ITERATIONS = 2
_CALLS = 2
_FOLDS = 3
_DEPTH = 12
_REPEATS = 4


@dataclass(frozen=True, slots=True)
class Enter:
    """A call that is told in full."""

    depth: int
    call: Call
    called: Called


@dataclass(frozen=True, slots=True)
class Line:
    """A line, and what became of it.

    ``iteration`` counts from 1 where a pass of a loop begins, ``passes`` is their number where it
    ends here; ``holds`` says whether the line's condition did; ``called`` are the different things
    that it calls; ``end`` is the call that it leaves.
    """

    depth: int
    item: Item
    loop: Block | None = None
    iteration: int = 0
    passes: int | None = None
    holds: bool | None = None
    condition: Block | None = None
    called: tuple[Called, ...] = ()
    end: Call | None = None
    yields: bool = False


@dataclass(frozen=True, slots=True)
class Fold:
    """A call of which only arguments and result are told."""

    depth: int
    call: Call
    called: Called


@dataclass(frozen=True, slots=True)
class Skip:
    """Something left out: ``count`` of ``what``, which is "passes", "calls" or "lines".

    ``first`` is the number of the first pass (0: not known); ``news`` is what they did to the
    scope's locals.
    """

    depth: int
    what: str
    count: int
    first: int = 0
    news: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Leave:
    """The end of a call told in full; its last line has said how."""

    depth: int
    call: Call
    called: Called


Entry = Enter | Line | Fold | Skip | Leave


def outline(trace: Trace) -> list[Entry]:
    """Return what is told of a trace; raises `TraceError` for frames that do not start with a
    call."""
    roots = trees(trace.frames)
    teller = _Teller(Structure(trace.context), roots[0])
    return [entry for root in roots for entry in teller.call(root, 0)]


class _Teller:
    """Walks over the tree once; ``seen`` holds the lines told so far as bits."""

    def __init__(self, structure: Structure, root: Call) -> None:
        self.structure = structure
        self._root = root
        self._known: dict[int, Called] = {}
        self.seen = 0
        self.times: Counter[Called] = Counter()

    def called(self, call: Call) -> Called:
        """Return what was called, looked up once."""
        if id(call) not in self._known:
            found = self.structure.called(call, outermost=call is self._root)
            self._known[id(call)] = found
        return self._known[id(call)]

    def call(self, call: Call, depth: int) -> Iterator[Entry]:
        """Tell a call in full."""
        called = self.called(call)
        self.times[called] += 1
        yield Enter(depth, call, called)
        yield from self._calls(call.calls, depth + 1)
        yield from self._items(call, call.items, depth, frozenset())
        yield Leave(depth, call, called)

    def _items(
        self, call: Call, items: Sequence[Item], depth: int, inside: frozenset[Block]
    ) -> Iterator[Entry]:
        place = 0
        while place < len(items):
            block = self.structure.loops.get(items[place].frame.line)
            if block is not None and block not in inside:
                end = _loop_end(items, place, block)
                yield from self._loop(call, items[place:end], block, depth, inside)
            else:
                end = _repeats_end(items, place)
                yield from self._repeats(call, items[place:end], depth)
            place = end

    def _repeats(self, call: Call, items: Sequence[Item], depth: int) -> Iterator[Entry]:
        """Tell visits of one and the same line: as a rule, there is one."""
        skipped: list[Item] = []
        for number, item in enumerate(items):
            is_new = any(each.lines & ~self.seen for each in item.calls)
            if number >= _REPEATS and item is not items[-1] and not is_new:
                skipped.append(item)
                continue
            if skipped:
                yield Skip(depth, "lines", len(skipped), news=_between(skipped[0], item))
                skipped = []
            yield from self._item(call, item, depth)

    def _loop(
        self, call: Call, items: Sequence[Item], block: Block, depth: int, inside: frozenset[Block]
    ) -> Iterator[Entry]:
        passes, leaving = _passes(items, block)
        told = _worth_telling(passes)
        number = 0
        while number < len(passes):
            if number in told:
                yield from self._pass(call, passes[number], number + 1, block, depth, inside)
                number += 1
                continue
            first = number
            while number not in told:
                number += 1
            news = _between(passes[first][0], passes[number][0])
            resumed = self.called(call).resumed
            yield Skip(depth, "passes", number - first, 0 if resumed else first + 1, news)
        for item in leaving:
            last = item is leaving[-1]
            yield from self._item(
                call, item, depth, loop=block, passes=len(passes) if last else None
            )

    def _pass(
        self,
        call: Call,
        items: Sequence[Item],
        number: int,
        block: Block,
        depth: int,
        inside: frozenset[Block],
    ) -> Iterator[Entry]:
        first = 1 if block.is_head(items[0].frame.line) or block.restarts else 0
        if first:
            yield from self._item(call, items[0], depth, loop=block, iteration=number)
        yield from self._items(call, items[first:], depth, inside | {block})

    def _item(
        self,
        call: Call,
        item: Item,
        depth: int,
        *,
        loop: Block | None = None,
        iteration: int = 0,
        passes: int | None = None,
    ) -> Iterator[Entry]:
        line = item.frame.line
        self.seen |= 1 << line
        condition = self.structure.conditions.get(line)
        holds = None if item.raised else self.structure.decision(item.frame, item.after)
        end = call if self._has_result(call) and item is call.items[-1] else None
        yields = end is not None and self._yields(end)
        if self.called(call).resumed:  # passes before are not known here
            iteration, passes = 0, None
        ends = item.after is not None or (call.end is not None and item is call.items[-1])
        if item.raised or yields or not ends:
            passes = None
        called = tuple(dict.fromkeys(map(self.called, item.calls)))
        yield Line(depth, item, loop, iteration, passes, holds, condition, called, end, yields)
        yield from self._calls(item.calls, depth + 1)

    def _has_result(self, call: Call) -> bool:
        """The None that a file or a class body ends with is CPython's affair."""
        if call.end is None:
            return False
        kind = self.called(call).kind
        return call.end.unwinding or kind not in ("module", "class")

    def _yields(self, call: Call) -> bool:
        if call.end is None or call.end.unwinding:
            return False
        return call.end.line in self.structure.yields

    def _calls(self, calls: Sequence[Call], depth: int) -> Iterator[Entry]:
        folded = left = 0
        for call in calls:
            called = self.called(call)
            is_new = self.times[called] < _CALLS or call.lines & ~self.seen
            if depth <= _DEPTH and is_new and not _is_small(call, called):
                yield from self.call(call, depth)
            elif folded < _FOLDS:
                folded += 1
                yield Fold(depth, call, called)
            else:
                left += 1
        if left:
            yield Skip(depth, "calls", left)


def _is_small(call: Call, called: Called) -> bool:
    """A comprehension or a lambda that calls nothing shown has nothing to tell but its result."""
    if called.kind not in ("comprehension", "lambda") or any(item.calls for item in call.items):
        return False
    return call.failure is None


def _loop_end(items: Sequence[Item], start: int, block: Block) -> int:
    """Return where the loop that ``items[start]`` begins has been left."""
    end = start + 1
    while end < len(items):
        line = items[end].frame.line
        if not (block.is_head(line) or block.is_body(line)):
            break
        # a head behind a head: the first found nothing more, the second starts anew
        if block.body - block.first == 1 and line == items[end - 1].frame.line == block.first:
            break
        end += 1
    return end


def _repeats_end(items: Sequence[Item], start: int) -> int:
    end = start + 1
    while end < len(items) and items[end].frame.line == items[start].frame.line:
        end += 1
    return end


def _passes(items: Sequence[Item], block: Block) -> tuple[list[list[Item]], list[Item]]:
    """Divide a loop's items into its passes, and the visit of its head that ended it."""
    passes: list[list[Item]] = []
    was_head = False
    for item in items:
        head = block.is_head(item.frame.line)
        starts = (head or (block.restarts and item.frame.line == block.body)) and not was_head
        if starts or not passes:
            passes.append([])
        passes[-1].append(item)
        was_head = head
    if all(block.is_head(item.frame.line) for item in passes[-1]) and not block.endless:
        return passes[:-1], passes[-1]
    return passes, []


def _worth_telling(passes: Sequence[Sequence[Item]]) -> set[int]:
    told, seen = set(range(_ITERATIONS)) | {len(passes) - 1}, 0
    for number, items in enumerate(passes):
        lines = _lines(items)
        if lines & ~seen:
            told.add(number)
        seen |= lines
    for number in range(_ITERATIONS, len(passes)):  # leaving out a single one saves nothing
        if number - 1 in told and number + 1 in told:
            told.add(number)
    return told


def _lines(items: Sequence[Item]) -> int:
    lines = 0
    for item in items:
        lines |= 1 << item.frame.line
        for call in item.calls:
            lines |= call.lines
    return lines


def _between(first: Item, following: Item) -> dict[str, str]:
    """Return what changed from before one line to before another of the same scope."""
    before = dict(first.frame.locals or ())
    return {name: v for name, v in following.frame.locals or () if before.get(name) != v}
