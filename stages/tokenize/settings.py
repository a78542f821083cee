"""Settings of tokenize: which rendering, how long a document may be, what the loss sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Rendering = Literal[
    "code",
    "asserts",
    "traces",
    "traced_asserts",
    "prose",
    "debugger",
    "trajectories",
    "chats",
    "reasoning",
    "tool_use",
]
RENDERINGS: tuple[Rendering, ...] = get_args(Rendering)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizeSettings:
    """How rows become documents of tokens."""

    # what a row becomes; decides which kind of source is read
    rendering: Rendering = "code"
    # only rows of these groups: sources ("function", "program", "stdlib", …), mutation families or
    # kinds of task, by rendering; () takes all. Groups apart can be mixed by weight in training
    groups: tuple[str, ...] = ()
    # tokens of the training context: longer traces are cut into episodes, longer debugger sessions
    # cut, longer asserts, prose and chats dropped; code, trajectories and tool use stay whole, the
    # packing of training cuts them
    max_tokens: int = 256
    # loss weight of what is given rather than predicted: a trace's context and first frame, a
    # debugger's actions, the source above an assert (tiny scale: 0.1 learns better than 0 and 1)
    context_loss_weight: float = 0.1
    # share of an asserts data set's functions that show their assert, chosen by hash; the rest are
    # the source alone. 0.1 makes asserts scarce, as in code that people write
    assert_share: float = 1.0
    # share of environment turns whose loss is masked (CWM: 0.5, they are of low diversity)
    observation_mask: float = 0.5
    # environment turns are cut on the right to this many tokens; 0 keeps them whole
    observation_tokens: int = 0
    # a context that takes more than this share of max_tokens leaves too little for frames
    context_share: float = 0.6
    # episodes taken of one trace, from its beginning
    max_episodes: int = 4
    # shorter episodes teach little
    min_frames: int = 3
    # share of debugger sessions that walk back from the end (the neural debugger does both)
    inverse_sessions: float = 0.25
    # share of reasoning chats whose thoughts are the trace in words; the others hold its frames
    thoughts_in_words: float = 0.5
    # rows of the held-out split that are tokenised for the validation loss
    heldout_rows: int = 200
    # chooses held-out rows, masked observations, a debugger's actions and the wording of prose
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rendering not in RENDERINGS:
            raise ValueError(f"rendering is {self.rendering!r}; expected one of {RENDERINGS}")
        for name, low in (("max_tokens", 16), ("max_episodes", 1), ("min_frames", 1)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; expected {low} or more")
        for name in (
            "context_loss_weight",
            "assert_share",
            "observation_mask",
            "context_share",
            "inverse_sessions",
            "thoughts_in_words",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 to 1")
        for name in ("heldout_rows", "observation_tokens"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 or more")
