"""Scoring the next frame of a trace, given its true history.

Greedy decoding after a true prefix writes the true tokens exactly when each of them is the model's
first choice given the true tokens before it. So one forward pass over a trace scores all its
frames. The parts of a frame, each given the true part before it:

- *event*: call, line, return or exception;
- *state* of a line frame: event and all locals, up to the token that ends them;
- *action*: the source line, up to the token that ends it;
- *value* of a return or exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from model.frames import UNCHANGED, Frame, Step


@dataclass(frozen=True, slots=True)
class FrameScore:
    """What was right in one frame; None where the frame has no such part.

    ``changed``: a local has another value than in the previous frame of its scope, or is new.
    ``copied``: all locals are written ``..``: what copying would predict.
    """

    event: bool
    action: bool
    state: bool | None = None
    value: bool | None = None
    changed: bool = False
    copied: bool = False


@dataclass(frozen=True, slots=True)
class Separators:
    """The ids of the tokens that end a frame's parts."""

    action: int
    argument: int


def changed_states(frames: Sequence[Frame]) -> list[bool]:
    """Say of each frame whether its locals differ from those of the previous frame of its scope.

    Compares values, not renderings: after a return into the caller all locals are written in full,
    changed or not. Frames without locals are False.
    """
    scopes: list[tuple[tuple[str, str], ...] | None] = []
    found = []
    for frame in frames:
        if frame.event == "call" or not scopes:
            scopes.append(None)
        before = scopes[-1]
        if frame.locals is None:
            found.append(False)
            if frame.event == "return":
                scopes.pop()
            continue
        found.append(before is not None and set(frame.locals) != set(before))
        scopes[-1] = frame.locals
    return found


def straight_on(frames: Sequence[Frame]) -> list[bool]:
    """Say of each frame whether it stands where a program without jumps would be.

    That is a line after the previous frame's, or for what is no line event on the same one.
    """
    return [False, *(b.line == a.line + (b.event == "line") for a, b in pairwise(frames))]


def score_step(
    ids: Sequence[int], hits: Sequence[bool], step: Step, marks: Separators, *, changed: bool
) -> FrameScore:
    """Score one frame: its tokens, and which of them were the model's first choice."""
    action_at = ids.index(marks.action)
    end = ids.index(marks.argument, action_at) if step.value is not None else len(ids) - 1
    has_state = step.event == "line" and step.locals is not None
    return FrameScore(
        event=hits[0],
        state=all(hits[: action_at + 1]) if has_state else None,
        action=all(hits[action_at + 1 : end + 1]),
        value=all(hits[end + 1 :]) if step.value is not None else None,
        changed=changed,
        copied=has_state and all(value == UNCHANGED for _, value in step.locals or ()),
    )
