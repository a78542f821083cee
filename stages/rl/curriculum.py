"""Which prompts are drawn: per-prompt solve rates, and a window of useful ones.

A prompt that is always or never solved teaches nothing (its group has no advantage). Every draw
first picks a kind of task by its share, then with probability ``exploration`` a prompt never tried,
with ``revisit`` one that was put aside, else one whose solve rate lies in the window.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MEMORY = 0.5  # weight of a prompt's newest group in its solve rate


class NoPromptsError(ValueError):
    """A kind of task in the mix has no prompt; names the kind and those that exist."""


def check_prompts(prompts: Mapping[str, Sequence[str]], kinds: Iterable[str]) -> None:
    """Raise `NoPromptsError` when one of ``kinds`` has no prompt."""
    for kind in kinds:
        if not prompts.get(kind):
            known = ", ".join(sorted(k for k, v in prompts.items() if v)) or "none"
            raise NoPromptsError(
                f"rl.mix asks for tasks of kind {kind!r}; those that fit rl.max_length are: {known}"
            )


@dataclass(slots=True)
class Curriculum:
    """Draws prompts and remembers how often each was solved.

    ``prompts`` maps a kind of task to the ids of its prompts. The same seed, shares and history
    give the same draws; `state_dict` and `load_state_dict` carry the history over a resume.
    """

    prompts: Mapping[str, Sequence[str]]
    shares: Mapping[str, float]
    low: float = 0.1
    high: float = 0.7
    exploration: float = 0.5
    revisit: float = 0.1
    seed: int = 0
    rates: dict[str, float] = field(default_factory=dict)
    draws: int = 0
    _kind_of: dict[str, str] = field(default_factory=dict)
    _fresh: dict[str, list[str]] = field(default_factory=dict)
    _tried: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_prompts(self.prompts, self.shares)
        self._kind_of = {name: kind for kind in self.shares for name in self.prompts[kind]}
        self._index()

    def _index(self) -> None:
        self._fresh, self._tried = {}, {}
        for kind in sorted(self.shares):
            # Shuffled before the tried ones go, so that a resume goes on with the same prompts.
            names = sorted(self.prompts[kind])
            random.Random(f"{self.seed}/{kind}").shuffle(names)
            self._fresh[kind] = [name for name in names if name not in self.rates][::-1]
            self._tried[kind] = [n for n in self.rates if self._kind_of.get(n) == kind]

    def in_window(self, name: str) -> bool:
        """Whether a prompt's solve rate is known and useful."""
        return name in self.rates and self.low <= self.rates[name] <= self.high

    def draw(self, count: int) -> list[str]:
        """Return ``count`` prompt ids; one draw never holds the same prompt twice if it can."""
        chosen: list[str] = []
        for _ in range(count):
            chosen.append(self._draw_one(set(chosen)))
        return chosen

    def _draw_one(self, taken: set[str]) -> str:
        rng = random.Random(f"{self.seed}/{self.draws}")
        self.draws += 1
        kinds = sorted(self.shares)
        kind = rng.choices(kinds, [self.shares[k] for k in kinds])[0]
        way = rng.random()
        fresh = self._fresh[kind]
        if fresh and way < self.exploration:
            return fresh.pop()
        tried = [name for name in self._tried[kind] if name not in taken]
        useful = [name for name in tried if self.in_window(name)]
        aside = [name for name in tried if not self.in_window(name)]
        if aside and way > 1 - self.revisit:
            return rng.choice(aside)
        if useful:
            return rng.choice(useful)
        return fresh.pop() if fresh else rng.choice(aside or self.prompts[kind])

    def record(self, name: str, solved: Sequence[bool]) -> None:
        """Take in the outcomes of one group."""
        if not solved:
            return
        rate = sum(solved) / len(solved)
        if name in self.rates:
            rate = MEMORY * rate + (1 - MEMORY) * self.rates[name]
        else:
            self._tried[self._kind_of[name]].append(name)
        self.rates[name] = rate

    def state_dict(self) -> dict[str, Any]:
        """The history as plain values."""
        return {"rates": dict(self.rates), "draws": self.draws}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved history; prompts drawn but never recorded are drawn again."""
        self.rates, self.draws = dict(state["rates"]), int(state["draws"])
        self._index()
