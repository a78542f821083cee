"""Forced-action decoding of traces: what runs is given, what it does to the values is the model's.

A model that traces freely predicts two things: which line comes next, and the values there.
"Debugging code world models" (arXiv 2602.07672, and its authors' blog) found that the first fails
first: on code that permutes five elements CWM invents lines, and none of its free traces of 64
steps or more ends right; with the true line forced at every step about 90 % do. So this guide
writes the actions of a known trace, and leaves the locals of calls and lines, and the values of
returns and exceptions, free.

It is a `model.guide.Guide`: a pure function of the tokens that a sample has written.
"""

from __future__ import annotations

from collections.abc import Sequence

from model.frames import Step
from model.guide import Forced
from model.tokens import Tokenizer


class ForcedLines:
    """Forces the actions of ``steps``, which follow the prompt's last frame.

    Without ``events`` only source lines are forced, and the model may call a line a return; with
    them event tokens and the end token after the last step are forced too. Beyond the last step,
    and inside a frame that breaks the grammar, the model is free.
    """

    def __init__(self, steps: Sequence[Step], tokenizer: Tokenizer, *, events: bool = True) -> None:
        self._events = events
        self._frame_end = tokenizer.special("frame_sep")
        self._action = tokenizer.special("action_sep")
        self._value = tokenizer.special("arg_sep")
        self._end = tokenizer.special("eos")
        self._with_value = {tokenizer.special("return_sep"), tokenizer.special("exception_sep")}
        self._steps = [
            (tokenizer.special(f"{step.event}_sep"), tuple(tokenizer.encode(step.source)))
            for step in steps
        ]

    def __call__(self, tokens: Sequence[int]) -> Forced | None:
        """Return what comes next, given what a sample has written: nothing where it is free."""
        place = tokens.count(self._frame_end)
        frame = _after_last(tokens, self._frame_end)
        if place >= len(self._steps):
            return Forced((self._end,)) if self._events and not frame else None
        event, source = self._steps[place]
        if not frame:
            if not self._events:
                return None
            if event in self._with_value:  # no locals: all but the value is action
                return Forced((event, self._action, *source, self._value))
            return Forced((event,))
        if frame[-1] == self._action and self._action not in frame[:-1]:
            return Forced(
                (*source, self._value if frame[0] in self._with_value else self._frame_end)
            )
        return None


def _after_last(tokens: Sequence[int], token: int) -> Sequence[int]:
    """Return what follows the last ``token``; all of them when it is not there."""
    for place in range(len(tokens) - 1, -1, -1):
        if tokens[place] == token:
            return tokens[place + 1 :]
    return tokens
