"""How far training is: with the engine's shards, all that a checkpoint holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stages.training.rows import Cursor


class DataMismatchError(ValueError):
    """A checkpoint was made with other data, or in another order, than it is to go on with; says
    what differs."""


@dataclass(slots=True)
class State:
    """A few integers; everything else of the data order follows from the job."""

    cursor: Cursor = field(default_factory=Cursor)
    fingerprint: dict[str, Any] = field(default_factory=dict)
    """Of the data and their order: `Rows.fingerprint`."""
    guard: dict[str, Any] = field(default_factory=dict)
    """The guard's numbers, JSON values."""

    @property
    def step(self) -> int:
        """Steps made, skipped ones included: each took rows."""
        return self.cursor.step

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "cursor": self.cursor.to_json(),
            "fingerprint": self.fingerprint,
            "guard": self.guard,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> State:
        """Return what `to_json` was given; other entries are left alone."""
        return cls(Cursor.from_json(value["cursor"]), value["fingerprint"], value["guard"])


def check_fingerprint(saved: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `DataMismatchError`, which names every value that differs, unless both are equal."""
    before, after = dict(_leaves(saved)), dict(_leaves(now))
    differing = [
        f"{name}: {before.get(name, 'none')} -> {after.get(name, 'none')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    if differing:
        raise DataMismatchError(
            "the checkpoint to resume from was made with other training data, or another order of "
            f"it (checkpoint -> now): {'; '.join(differing)}. Restore what was there, or train "
            "anew (--force)"
        )


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else key)
    elif isinstance(value, (list, tuple)):
        yield name, list(value)
    else:
        yield name, value
