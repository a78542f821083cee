"""The ways to find inputs for one function, one after the other, in a fork."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stages.trace.inputs import METHODS
from stages.trace.inputs.calls import Json, Subject, call, to_json
from stages.trace.inputs.doctests import examples, trace_examples
from stages.trace.inputs.forks import item
from stages.trace.inputs.fuzz import Fuzzer
from stages.trace.inputs.mutate import mutations


@dataclass(frozen=True, slots=True)
class Tries:
    """How much is tried: mutations of a literal call, fuzzed calls of an uncovered function."""

    mutations: int
    fuzz: int


class Methods:
    """What is done for one function.

    ``given`` are (method, argument source) found elsewhere, ``observed`` recordings of its calls
    by other code. Raises `NotTraceable`.
    """

    def __init__(
        self,
        subject: Subject,
        given: Sequence[Sequence[str]],
        observed: Sequence[Json],
        tries: Tries,
        seed: str,
        wanted: Sequence[str],
    ) -> None:
        self._subject = subject
        self._tries = tries
        self._seed = seed
        self._literal: dict[str, None] = {}
        self.is_covered = False
        literal = [each["arguments"] for each in observed if each["arguments"] is not None]
        pairs = [(method, source) for method, source in given]
        if subject.kind == "function":
            self.take(literal, any(each["valid"] for each in observed))
        else:  # these calls ran no body: they are made again, by a driver
            pairs = [(each["method"], each["arguments"]) for each in observed] + pairs
        self._given: dict[str, list[str]] = {}
        for method, source in pairs:
            if source is not None:
                self._given.setdefault(method, []).append(source)
        self._examples = examples(subject)
        self.steps = [each for each in METHODS if each in wanted and self._has_step(each)]

    def _has_step(self, method: str) -> bool:
        if method == "doctest":
            return bool(self._examples)
        return method in ("mutation", "fuzz") or bool(self._given.get(method))

    def take(self, literal: Sequence[str], valid: bool) -> None:
        """Note what an item recorded."""
        self._literal |= dict.fromkeys(literal)
        self.is_covered |= valid

    def items(self, start: int) -> Iterator[Json]:
        """Yield the items from number ``start`` on."""
        work: Mapping[str, Callable[[], tuple[list[Json], int]]] = {
            "doctest": self._doctest,
            "mutation": self._mutation,
            "fuzz": self._fuzz,
        }
        begun = time.process_time()
        for method in self.steps[start:]:
            found, tried = work[method]() if method in work else self._calls(self._given[method])
            sources = [each.pop("inputs") for each in found]
            literal = [each for each in sources if each is not None]
            self.take(literal, any(each["valid"] for each in found))
            now = time.process_time()
            yield item(method, found, tried, now - begun, literal=literal)
            begun = now

    def _doctest(self) -> tuple[list[Json], int]:
        found = self._examples
        made = trace_examples(self._subject, found)
        if self._subject.kind == "function":
            return [{**to_json(each), "inputs": each.arguments} for each in made], len(found)
        sources = [each.arguments for each in made if each.arguments is not None]
        return self._calls(sources)[0], len(found)

    def _calls(self, sources: Sequence[str]) -> tuple[list[Json], int]:
        """Make the first of these calls that are new."""
        new = [each for each in dict.fromkeys(sources) if each not in self._literal]
        made = [(source, call(self._subject, source)) for source in new[: self._subject.calls]]
        found = [{**each.recording, "inputs": source} for source, each in made if each.recording]
        return found, len(made)

    def _mutation(self) -> tuple[list[Json], int]:
        bases = list(self._literal)[: self._subject.calls]
        changed: dict[str, None] = {}
        for arguments in bases:
            changed |= dict.fromkeys(mutations(arguments, self._tries.mutations, self._seed))
        new = [each for each in changed if each not in self._literal]
        made = [(source, call(self._subject, source)) for source in new]
        found = [{**each.recording, "inputs": source} for source, each in made if each.recording]
        return found, len(made)

    def _fuzz(self) -> tuple[list[Json], int]:
        if self.is_covered:
            return [], 0
        fuzzer = Fuzzer(self._subject, self._seed)
        found: list[Json] = []
        tried = 0
        for source in fuzzer.tries(self._tries.fuzz):
            tried += 1
            made = call(self._subject, source, fuzzer.names)
            ill = isinstance(made.error, TypeError | AttributeError)
            fuzzer.tell(made.error)
            if made.recording is None or ill:
                continue
            literal = made.recording["arguments"]
            found.append({**made.recording, "inputs": literal})
            if len(found) == self._subject.calls:
                break
        return found, tried


def seed_of(seed: Any, module: str, function: str) -> str:
    """Return what a function's random choices are seeded with."""
    return f"{seed}:{module}:{function}"
