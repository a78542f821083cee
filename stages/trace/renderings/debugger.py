"""A trace as a session with a debugger: the states where it stopped, and what it was told there.

The format is that of "Towards a Neural Debugger for Python" (arXiv 2603.09951): after each state
comes an action, and the next state is where that action leads. A model of it jumps over what it is
not asked for. Where the paper prints no separators, CWM's are used::

    <|begin_of_text|><|trace_context_start|>CONTEXT<|frame_sep|>
    <|call_sep|><|action_sep|>SOURCE<|arg_sep|>LOCALS<|frame_sep|>ACTION
    <|line_sep|>LOCALS<|action_sep|>SOURCE<|frame_sep|>ACTION
    <|return_sep|><|action_sep|>SOURCE<|arg_sep|>VALUE<|frame_sep|>ACTION
    <|exception_sep|><|action_sep|>SOURCE<|arg_sep|>VALUE<|frame_sep|>ACTION
    <|exit_normal|><|trace_end|><|end_of_text|>

Locals that are as in the state shown before are one entry, ``"..": ".."``. All are shown by a call,
by what follows a call, a return or a breakpoint, and where a local is gone, so that every state can
be read off the text (`stages.trace.renderings.debugger_check` does). The actions:

* ``step_into``: the next event, wherever it is;
* ``step_over``: the next event here, or in the caller after a return;
* ``step_return``: the return of this scope; of the caller's after a return;
* ``breakpoint`` SOURCE: the next line event whose text is SOURCE;
* ``continue``: the last event of all.

Their inverses (``back_into`` and so on) are the same moves on the events in reverse order, a call
in the place of a return; such a session begins at the entry's return and ends at its call, without
an exit. Exits: ``exit_error`` when an exception left the entry, ``exit_never`` when a budget ended
the program before what the action asked for.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from model.frames import Frame, Trace
from model.tokens import Piece, Special
from model.trace import context_pieces, json_text

Verb = Literal["into", "over", "return", "breakpoint", "continue"]

PRINTED: dict[Verb, float] = {
    "into": 0.35,
    "over": 0.1,
    "return": 0.2,
    "breakpoint": 0.1,
    "continue": 0.05,
}
"""The paper's weights of the actions, as printed: they sum to 0.8 and are used as proportions."""
STEPS: dict[Verb, float] = {"into": 0.5, "over": 0.5}
"""The weights of the other half of the sessions."""

_FORWARD: dict[Verb, str] = {
    "into": "step_into",
    "over": "step_over",
    "return": "step_return",
    "breakpoint": "breakpoint",
    "continue": "continue",
}


@dataclass(frozen=True, slots=True)
class Action:
    """What the debugger is told; ``source`` is a breakpoint's line, else ""."""

    verb: Verb
    source: str = ""
    back: bool = False

    @property
    def special(self) -> str:
        """The name of its token."""
        return f"back_{self.verb}" if self.back else _FORWARD[self.verb]


@dataclass(frozen=True, slots=True)
class Stop:
    """A state: the frame's number, and the action taken there; None where the session ends."""

    place: int
    action: Action | None


@dataclass(frozen=True, slots=True)
class Session:
    """The stops in order; ``exit`` is a token's name, "" where there is none."""

    stops: tuple[Stop, ...]
    exit: str
    back: bool = False


class Moves:
    """Where each action leads in one sequence of frames; numbers of frames, or None."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = frames
        self.depths: list[int] = []
        depth = -1
        for number, frame in enumerate(frames):
            depth += frame.event == "call" or number == 0
            self.depths.append(depth)
            depth -= frame.event == "return"

    def target(self, at: int, action: Action) -> int | None:
        """Return the frame where ``action`` leads from frame ``at``; None: beyond all frames."""
        ahead = range(at - 1, -1, -1) if action.back else range(at + 1, len(self.frames))
        if not ahead:
            return None
        if action.verb == "into":
            return ahead[0]
        if action.verb == "continue":
            return ahead[-1]
        if action.verb == "breakpoint":
            wanted = ("line", action.source)
            return next((n for n in ahead if self._at(n) == wanted), None)
        leaves = "call" if action.back else "return"
        here = self.depths[at] - (self.frames[at].event == leaves)
        if action.verb == "over":
            return next((n for n in ahead if self.depths[n] <= here), None)
        return next(
            (n for n in ahead if self.depths[n] == here and self.frames[n].event == leaves), None
        )

    def _at(self, number: int) -> tuple[str, str]:
        return self.frames[number].event, self.frames[number].source


def sample_session(trace: Trace, seed: int | str, *, back: bool = False) -> Session:
    """Choose actions until the trace ends: from `PRINTED` or from `STEPS`, by ``seed``.

    ``back`` needs a whole trace; raises ValueError for another.
    """
    if back and not trace.whole:
        raise ValueError("only a trace with an end can be walked back from there")
    chance = random.Random(f"{seed}")
    weights = chance.choice((PRINTED, STEPS))
    moves = Moves(trace.frames)
    at, last = (len(trace.frames) - 1, 0) if back else (0, len(trace.frames) - 1)
    stops: list[Stop] = []
    while at != last:
        action = _choose(trace.frames, at, weights, chance, back)
        target = moves.target(at, action)
        cut = not trace.whole and action.verb == "continue"
        stops.append(Stop(at, action))
        if target is None or cut:
            return Session(tuple(stops), "exit_never")
        at = target
    stops.append(Stop(at, None))
    if back or not trace.whole:
        return Session(tuple(stops), "", back)
    return Session(tuple(stops), "exit_error" if trace.frames[-1].unwinding else "exit_normal")


def _choose(
    frames: Sequence[Frame],
    at: int,
    weights: dict[Verb, float],
    chance: random.Random,
    back: bool,
) -> Action:
    (verb,) = chance.choices(list(weights), list(weights.values()))
    if verb != "breakpoint":
        return Action(verb, back=back)
    ahead = frames[:at] if back else frames[at + 1 :]
    lines = sorted({frame.source for frame in ahead if frame.event == "line"})
    return Action(verb, chance.choice(lines), back) if lines else Action("into", back=back)


def session_states(trace: Trace, session: Session) -> list[tuple[list[Piece], list[Piece]]]:
    """Return each stop's state and its action, in pieces."""
    found: list[tuple[list[Piece], list[Piece]]] = []
    before: dict[str, str] | None = None
    for stop in session.stops:
        frame = trace.frames[stop.place]
        action = stop.action
        told: list[Piece] = []
        if action is not None:
            told = [Special(action.special), *([action.source] if action.source else [])]
        found.append((_state(frame, before), told))
        if frame.event in ("call", "return") or (action and action.verb == "breakpoint"):
            before = None
        elif frame.locals is not None:
            before = dict(frame.locals)
    return found


def _state(frame: Frame, before: dict[str, str] | None) -> list[Piece]:
    event = Special(f"{frame.event}_sep")
    source: list[Piece] = [Special("action_sep"), frame.source]
    if frame.event == "line":
        shown = json_text(_news(dict(frame.locals or ()), before))
        return [event, shown, *source, Special("frame_sep")]
    value = dict(frame.locals or ()) if frame.event == "call" else frame.value
    return [event, *source, Special("arg_sep"), json_text(value), Special("frame_sep")]


def _news(values: dict[str, str], before: dict[str, str] | None) -> dict[str, str]:
    if before is None or before.keys() - values.keys():
        return values
    changed = {name: value for name, value in values.items() if before.get(name) != value}
    return {**changed, "..": ".."} if len(changed) < len(values) else changed


def debugger_pieces(trace: Trace, session: Session) -> list[Piece]:
    """Return a whole session as a document."""
    pieces = context_pieces(trace.context)
    for state, told in session_states(trace, session):
        pieces += [*state, *told]
    return pieces + end_pieces(session)


def end_pieces(session: Session) -> list[Piece]:
    """Return what follows the last stop; nothing when the trace goes on where the session ends."""
    if not session.exit and not session.back:
        return []
    left = [Special(session.exit)] if session.exit else []
    return [*left, Special("trace_end"), Special("eos")]
