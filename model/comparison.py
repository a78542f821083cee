"""A predicted trace against the true one: step by step, and how both end.

Steps are compared by place, with all values in full: a wrong value that a later step repeats as
``".."`` is wrong there too, and after a step too many or too few nothing agrees any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from model.frames import Frame, Step, resolve
from model.trace import ParsedTrace, unmark


def changes(steps: Iterable[Frame | Step]) -> list[dict[str, str]]:
    """Return of each step the locals that are new or differ from its scope's previous step.

    Takes values in full. Unlike in the grammar, a caller after a return shows only its changes.
    """
    scopes: list[Mapping[str, str]] = []
    found: list[dict[str, str]] = []
    for step in steps:
        if step.event == "call" or not scopes:
            scopes.append({})
        if step.locals is None:
            found.append({})
            if step.event == "return":
                scopes.pop()
            continue
        before, scopes[-1] = scopes[-1], dict(step.locals)
        found.append({name: v for name, v in step.locals if before.get(name) != v})
    return found


@dataclass(frozen=True, slots=True)
class Place:
    """What both traces have at one place, values in full; None where one has ended.

    ``true_news`` and ``predicted_news``: the locals that changed there.
    """

    true: Frame | None
    predicted: Step | None
    true_news: Mapping[str, str]
    predicted_news: Mapping[str, str]

    @property
    def same_action(self) -> bool:
        """Whether event and source line agree; the mark of the entry line does not count."""
        if self.true is None or self.predicted is None:
            return False
        sources = {unmark(s.source).rstrip("\n") for s in (self.true, self.predicted)}
        return self.true.event == self.predicted.event and len(sources) == 1

    @property
    def same(self) -> bool:
        """Whether action, locals (in any order) and value agree."""
        if self.true is None or self.predicted is None or not self.same_action:
            return False
        values = self.true.value == self.predicted.value
        return values and dict(self.true.locals or ()) == dict(self.predicted.locals or ())


@dataclass(frozen=True, slots=True)
class Ending:
    """How a trace ends: ``how`` is "returned" or "raised"."""

    how: str
    value: str

    def __str__(self) -> str:
        return f"{self.how} {self.value}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two traces of one call; ``places`` begin after the call frame, which both are given.

    An ending is None where a trace has none: the true one was cut by a budget, the predicted one
    was cut or broke the grammar.
    """

    call: Frame
    places: tuple[Place, ...]
    true_ending: Ending | None
    predicted_ending: Ending | None

    @property
    def equal(self) -> int:
        """How many steps agree."""
        return sum(place.same for place in self.places)

    @property
    def true_steps(self) -> int:
        """How many steps there are to predict."""
        return sum(place.true is not None for place in self.places)

    @property
    def first_difference(self) -> int | None:
        """The number, from 1, of the first step that differs; None when all agree."""
        return next((n for n, place in enumerate(self.places, 1) if not place.same), None)

    @property
    def ends_right(self) -> bool | None:
        """Whether the predicted value is the true one; None when that one is not known."""
        return None if self.true_ending is None else self.true_ending == self.predicted_ending


def compare(frames: Sequence[Frame], parsed: ParsedTrace, *, whole: bool) -> Comparison:
    """Compare a recorded trace, its call first, with a parsed one that begins with the same call.

    ``whole`` is False where a budget cut the recorded one.
    """
    predicted = resolve(parsed.frames)
    news, predicted_news = changes(frames), changes(predicted)
    places = [
        Place(true, guess, true_news or {}, guess_news or {})
        for true, guess, true_news, guess_news in zip_longest(
            frames[1:], predicted[1:], news[1:], predicted_news[1:]
        )
    ]
    true_ending = _true_ending(frames) if whole else None
    predicted_ending = _ending(parsed.frames) if parsed.complete else None
    if parsed.complete and all(place.same for place in places):
        predicted_ending = true_ending
    return Comparison(frames[0], tuple(places), true_ending, predicted_ending)


def _true_ending(frames: Sequence[Frame]) -> Ending:
    if not frames[-1].unwinding:
        return Ending("returned", frames[-1].value or "")
    raised = [f for f in frames if f.event == "exception" and f.depth == frames[-1].depth]
    return Ending("raised", raised[-1].value or "")


def _ending(steps: Sequence[Step]) -> Ending:
    """Return how predicted steps end: an exception that leaves the entry is their last but one.

    The grammar does not say which returns are an exception's way out, so where a ``finally`` ran
    between the two, this says "returned None".
    """
    if len(steps) > 1 and steps[-2].event == "exception":
        return Ending("raised", steps[-2].value or "")
    return Ending("returned", steps[-1].value or "")
