"""Which steps a run is about: all, or what --only, --from and --until say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.dag.errors import DagError
from cluster.dag.step import Pipeline


class SelectionError(DagError):
    """The options that select steps contradict one another; says which."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """``steps`` may run; ``forced`` of them run even when their artifact is there, for ``reason``.

    Steps outside of ``steps`` are taken as they are: their current artifact, even if it is stale.
    """

    steps: frozenset[str]
    forced: frozenset[str] = frozenset()
    reason: str = ""


def select(
    pipeline: Pipeline,
    *,
    only: Sequence[str] = (),
    start: Sequence[str] = (),
    until: Sequence[str] = (),
    rerun: bool = False,
) -> Selection:
    """Return what to run; raises `UnknownStepError` for a name that is no step or stage and
    `SelectionError` for ``only`` together with ``start`` or ``until``.

    ``only`` runs just these steps again; ``start`` (--from) these again and all after them;
    ``until`` stops after these; ``rerun`` runs again what would be taken from the store.
    """
    for option, names in (("--from", start), ("--until", until)):
        if only and names:
            raise SelectionError(f"--only and {option} do not go together: give one of them")
    steps = set(pipeline.steps)
    reason = "--rerun" if rerun else ""
    if first := [name for selector in start for name in pipeline.match(selector)]:
        steps = set(first) | pipeline.descendants(first)
        reason = f"--from {' '.join(start)}"
    if last := [name for selector in until for name in pipeline.match(selector)]:
        steps &= set(last) | pipeline.ancestors(last)
    if just := [name for selector in only for name in pipeline.match(selector)]:
        steps = set(just)
        reason = f"--only {' '.join(only)}"
    forced = frozenset(steps) if reason else frozenset()
    return Selection(steps=frozenset(steps), forced=forced, reason=f"asked for ({reason})")
