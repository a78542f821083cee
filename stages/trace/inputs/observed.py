"""Calls of a module's functions that other code makes: its recordings, execution by execution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

from stages.trace.inputs.calls import Budget, Json, NotTraceable, Subject, quiet_start, to_json
from stages.trace.tracer.tracer import Target, TraceLimits, Tracer, TraceStopped

_ENOUGH = ("event-budget", "byte-budget")
_AGAIN = 3


class Observer:
    """Records the first different calls of several targets over any number of executions."""

    def __init__(
        self, targets: Sequence[Target], limits: TraceLimits, calls: int, before: Iterable[Json]
    ) -> None:
        self._targets = {each.function.__code__: each for each in targets}
        self._limits = limits
        self._budget = Budget(calls)
        for each in before:
            self._budget(each["name"], each["arguments"])

    @property
    def has_enough(self) -> bool:
        """No further call of any target would be recorded."""
        return self._budget.is_spent(each.name for each in self._targets.values())

    def watch(self, execute: Callable[[], object]) -> list[Json]:
        """Run something and return what it recorded.

        A call that uses up its budget ends the whole execution: it is run again without that
        function, so that what comes after it is seen too.
        """
        found: list[Json] = []
        refused: set[str] = set()
        for _ in range(_AGAIN):
            wanted = partial(self._is_wanted, frozenset(refused))
            tracer = Tracer(self._targets, self._limits, wanted)
            with quiet_start():
                try:
                    with tracer.watching():
                        execute()
                except (Exception, TraceStopped, SystemExit):  # noqa: BLE001  the recordings say
                    pass
            found += [to_json(each) for each in tracer.finished]
            over = {each.name for each in tracer.finished if each.outcome in _ENOUGH}
            if not over:
                break
            refused |= over
        return found

    def _is_wanted(self, refused: frozenset[str], name: str, arguments: str | None) -> bool:
        return name not in refused and self._budget(name, arguments)


def targets(subjects: Iterable[Subject]) -> list[Target]:
    """Return what can be traced of ``subjects``."""
    found = []
    for each in subjects:
        with suppress(NotTraceable):
            found.append(each.target)
    return found
