"""Episodes: many short traces out of a long one, each of a function of its own.

A call inside a trace is either kept within the episode of its caller, by chance (CWM's stochastic
step-in), or stepped over there, and then it is the entry of an episode of its own. So every call is
shown once, and an episode reads like a trace that was made with its function as the entry.

What is stepped over leaves nothing behind, just as a call into a library does: its caller's next
frame is shown against the caller's frame before, not in full as after a return that a reader saw
(`model.frames.diff` does so by itself, since frames hold all values).

`stages.tokenize.episodes` cuts by length, in tokens; here it is by function.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from model.frames import Frame, leaves_scope
from model.trace import mark_line, unmark

_DEFINITION = re.compile(r"\s*(?:async\s+)?def\s+(\w+)")


@dataclass(slots=True)
class Episode:
    """A call and what is shown of it; ``name`` is its function's, "" of a trace's entry whose line
    is no ``def``. Depths count from the episode's own entry."""

    name: str
    frames: list[Frame] = field(default_factory=list)

    @property
    def entry_line(self) -> int:
        """The line of the context that the mark belongs on."""
        return self.frames[0].line

    @property
    def ending(self) -> tuple[str, str]:
        """Outcome and result as in `stages.tables.TRACES`.

        What has no end, here or in the trace that it was cut from, counts as ``event-budget``.
        """
        last = self.frames[-1]
        if not leaves_scope(self.frames):
            return "event-budget", ""
        if not last.unwinding:
            return "return", last.value or ""
        raised = [f for f in self.frames if f.event == "exception" and f.depth == last.depth]
        return "exception", (raised[-1].value or "") if raised else ""

    def context(self, whole: str) -> str:
        """Return the trace's context with the mark on this episode's entry."""
        return mark_line(unmark(whole), self.entry_line)


@dataclass(frozen=True, slots=True)
class _Scope:
    """A running call: the episode that shows it (None: none does), and how deep it is in there."""

    episode: Episode | None
    level: int


def cut_episodes(
    frames: Iterable[Frame], *, depth: int, step_in: float, events: int, seed: int | str
) -> list[Episode]:
    """Return a trace's episodes in the order of their calls, each of at most ``events`` frames.

    A call is kept inside its caller's episode with probability ``step_in`` while it is at most
    ``depth`` levels below that episode's entry; 0 gives every function an episode of its own. A
    resumed generator, a lambda, a comprehension and a class body are kept or stepped over, but are
    never an entry. ``depth=0`` and ``step_in=1`` with a great ``depth`` need no ``seed``.
    """
    chance = random.Random(f"{seed}")
    episodes: list[Episode] = []
    running: list[_Scope] = []
    for frame in frames:
        if not running and episodes and _DEFINITION.match(frame.source) is None:
            scope = _Scope(None, 0)  # the entry is a generator, which goes on
            running.append(scope)
        elif frame.event == "call" or not running:
            scope = _entered(frame, running, depth, step_in, events, chance)
            running.append(scope)
            if scope.episode is not None and not scope.episode.frames:
                episodes.append(scope.episode)
        scope = running[-1]
        if scope.episode is not None and len(scope.episode.frames) < events:
            scope.episode.frames.append(replace(frame, depth=scope.level))
        if frame.event == "return":
            running.pop()
    return episodes


def _entered(
    call: Frame,
    running: Sequence[_Scope],
    depth: int,
    step_in: float,
    events: int,
    chance: random.Random,
) -> _Scope:
    above = running[-1] if running else None
    if above is not None and above.episode is not None:
        has_room = above.level < depth and len(above.episode.frames) < events
        if has_room and chance.random() < step_in:
            return _Scope(above.episode, above.level + 1)
    found = _DEFINITION.match(call.source)
    if found is None and above is not None:
        return _Scope(None, 0)
    return _Scope(Episode(found[1] if found else ""), 0)
