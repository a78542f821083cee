"""Read a debugger session back from its pieces, and hold it against the trace it was made of.

The reader knows the format alone: what each state shows in full must follow from the text before
it. The check then takes the actions as they are written and sees where they lead in the frames.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model.frames import Event, Frame, Trace
from model.tokens import DEBUGGER, Piece, Special
from model.trace import context_pieces
from stages.trace.renderings.debugger import Action, Moves, Verb

_EVENTS: dict[str, Event] = {
    "call_sep": "call",
    "line_sep": "line",
    "return_sep": "return",
    "exception_sep": "exception",
}
_VERBS: dict[str, Verb] = {
    "into": "into",
    "over": "over",
    "return": "return",
    "breakpoint": "breakpoint",
    "continue": "continue",
}


class SessionError(ValueError):
    """A session that breaks its format or says what is not so; says where."""


@dataclass(frozen=True, slots=True)
class State:
    """A state with all its locals, and the action after it; ``action`` is None at the end."""

    event: Event
    source: str
    locals: dict[str, str] | None
    value: str | None
    action: Action | None


def read_session(pieces: Sequence[Piece]) -> tuple[list[State], str]:
    """Return the states of a session (without its context) and its exit token, "" if it has none.

    Raises `SessionError`.
    """
    rest = iter(pieces)
    states: list[State] = []
    before: dict[str, str] | None = None
    piece = next(rest, None)
    while isinstance(piece, Special) and piece.name in _EVENTS:
        event = _EVENTS[piece.name]
        source, shown = _state(rest, event)
        if isinstance(shown, dict) and event == "line":
            shown = _resolved(shown, before)
        action, piece = _action(rest)
        full, value = (shown, None) if isinstance(shown, dict) else (None, shown)
        states.append(State(event, source, full, value, action))
        if event in ("call", "return") or (action and action.verb == "breakpoint"):
            before = None
        elif full is not None:
            before = full
    return states, _exit(piece, rest)


def _state(rest: Iterator[Piece], event: Event) -> tuple[str, dict[str, str] | str]:
    parts = [next(rest, None) for _ in range(4 if event == "line" else 5)]
    names = [part.name if isinstance(part, Special) else "" for part in parts]
    texts = [part for part in parts if isinstance(part, str)]
    expected = ["", "action_sep", "", "frame_sep"]
    if event != "line":
        expected = ["action_sep", "", "arg_sep", "", "frame_sep"]
    if names != expected or len(texts) != 2:
        raise SessionError(f"a {event} state has the parts {parts}")
    source, shown = reversed(texts) if event == "line" else texts
    return source, json.loads(shown)


def _resolved(shown: dict[str, str], before: dict[str, str] | None) -> dict[str, str]:
    if ".." not in shown:
        return shown
    if before is None:
        raise SessionError("locals are said to be unchanged where nothing was shown before")
    return {**before, **{name: value for name, value in shown.items() if name != ".."}}


def _action(rest: Iterator[Piece]) -> tuple[Action | None, Piece | None]:
    """Return the action that follows a state, and the piece after it."""
    piece = next(rest, None)
    if not isinstance(piece, Special) or piece.name not in DEBUGGER:
        return None, piece
    head, _, tail = piece.name.rpartition("_")
    verb = _VERBS.get(tail)
    if verb is None:
        return None, piece
    source = ""
    if verb == "breakpoint":
        text = next(rest, None)
        if not isinstance(text, str):
            raise SessionError("a breakpoint names no line")
        source = text
    return Action(verb, source, head == "back"), next(rest, None)


def _exit(piece: Piece | None, rest: Iterator[Piece]) -> str:
    left = [each for each in (piece, *rest) if each is not None]
    names = [each.name if isinstance(each, Special) else each for each in left]
    if names and names[0].startswith("exit_"):
        if names[1:] != ["trace_end", "eos"]:
            raise SessionError(f"after the exit there is {names[1:]}")
        return names[0]
    if names not in ([], ["trace_end", "eos"]):
        raise SessionError(f"after the last state there is {names}")
    return ""


def check_session(pieces: Sequence[Piece], trace: Trace) -> None:
    """Raise `SessionError` unless every state is the recorded one where the actions lead."""
    head = context_pieces(trace.context)
    if list(pieces[: len(head)]) != head:
        raise SessionError("the context is another")
    states, left = read_session(pieces[len(head) :])
    if not states:
        raise SessionError("there is no state")
    back = any(state.action is not None and state.action.back for state in states)
    if len(states) == 1 and not left:
        back = len(trace.frames) == 1
    moves = Moves(trace.frames)
    at: int | None = len(trace.frames) - 1 if back else 0
    for number, state in enumerate(states):
        if at is None:
            raise SessionError(f"state {number} is beyond the end")
        _compare(state, trace.frames[at], number)
        if state.action is not None:
            at = moves.target(at, state.action)
            if state.action.verb == "continue" and not trace.whole:
                at = None
    _check_exit(left, at, trace, back)


def _compare(state: State, frame: Frame, number: int) -> None:
    recorded = None if frame.locals is None else dict(frame.locals)
    said = (state.event, state.source, state.locals, state.value)
    if said != (frame.event, frame.source, recorded, frame.value):
        raise SessionError(f"state {number} is {said}; recorded is {frame}")


def _check_exit(left: str, at: int | None, trace: Trace, back: bool) -> None:
    end = len(trace.frames) - 1
    if back:
        expected, fits = "", at == 0
    elif trace.whole:
        expected = "exit_error" if trace.frames[-1].unwinding else "exit_normal"
        fits = at == end
    else:
        expected, fits = ("exit_never" if at is None else ""), at in (None, end)
    if left != expected or not fits:
        raise SessionError(f"it ends with {left!r} at frame {at} of {end}; expected {expected!r}")
