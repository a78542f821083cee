"""What a stage declares, and what its function is given when it runs.

A *stage* is a kind of work; a *step* is a stage with settings and inputs in a pipeline; an
*artifact* is the immutable directory that a step published; an *attempt* is one execution of a
step.

Functions are named by strings (``"stages.crawl.run:run"``) so that planning a pipeline imports no
heavy library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any


def resolve(name: str) -> Callable[..., Any]:
    """Return the function that ``"package.module:function"`` names."""
    module, _, attribute = name.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), attribute)
    return function


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of artifact: its name, the check made at publishing and the digest of its content.

    ``check`` names a function (directory) -> None that raises when the directory breaks the kind's
    contract.
    ``digest`` names a function (directory) -> hex digest of what a consumer can see; None means the
    bytes of every file except ``metrics.jsonl``, ``statistics.json`` and ``log.txt``, which tell
    how it went.
    """

    name: str
    check: str | None = None
    digest: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A kind of work.

    ``run`` names a function (StepContext) -> None that fills ``context.output``.
    ``inputs`` maps required input names to the kinds they accept; inputs of other names are allowed
    when their kind is in ``more``.
    ``snapshot`` names a function (settings) -> JSON value, for sources: what is out there now
    (versions, digests).
    ``stands_in`` is for a source that takes the place, and the name, of another stage's step
    (``--import``); its snapshot is given the placement too, which says where to look.
    ``bundles`` names a function (placement, settings) -> list of Ray resource dicts that the step
    needs at once; None is one CPU, an empty list nothing.
    ``estimate`` names a function (settings, placement) -> mapping of label to value that the plan
    prints: "parameters", "tokens", "FLOPs", "memory per GPU bytes", "disk bytes".
    ``formulas`` names a function () -> mapping of such labels to how they are computed.
    ``modules`` are further modules whose code is part of the stage (its own package always is).
    ``headline`` names the statistics that the summary of a run shows.
    ``executes_code`` says that it runs crawled or generated programs: the interpreter's version
    then is part of its identity, and the plan checks that they can be contained.
    ``saves_when_stopped`` says that it looks for `StepContext.stop_file`: a run that SIGTERM ends
    gives it time to save.
    ``deterministic`` promises the same content for the same identity, at a fixed number of workers.
    """

    name: str
    revision: int
    run: str
    settings: type
    output: Kind
    placement: type | None = None
    inputs: Mapping[str, tuple[Kind, ...]] = field(default_factory=dict)
    more: tuple[Kind, ...] = ()
    snapshot: str | None = None
    bundles: str | None = None
    estimate: str | None = None
    formulas: str | None = None
    modules: tuple[str, ...] = ()
    headline: tuple[str, ...] = ()
    executes_code: bool = False
    saves_when_stopped: bool = False
    deterministic: bool = True
    stands_in: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """An artifact as a consumer sees it: where it lies, its kind, content digest and statistics."""

    path: Path
    kind: str
    digest: str
    statistics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class StepContext:
    """What a stage's function is given.

    ``output`` is an empty directory that becomes the artifact when the function returns; only
    ``metrics.jsonl`` of a killed attempt is still there when it is resumed.
    ``scratch`` outlives a killed attempt: whoever runs the same step again finds it as it was left.
    ``attempt`` and ``fingerprint`` name this execution, also after it was killed and resumed; the
    first characters of both together make a unique Ray Train run name.
    ``stop_file`` appears when the step is to save where it is and raise `StoppedError`.
    ``snapshot`` is the one that a source's identity holds.
    """

    step: str
    settings: Any
    placement: Any
    inputs: Mapping[str, Input]
    output: Path
    scratch: Path
    fingerprint: str = ""
    attempt: str = ""
    stop_file: Path | None = None
    snapshot: Any = None

    @property
    def metrics_file(self) -> Path:
        """Where the step writes its metrics (see `cluster.dag.metrics`)."""
        return self.output / "metrics.jsonl"

    @property
    def statistics_file(self) -> Path:
        """Where the step leaves its final statistics, a flat JSON object."""
        return self.output / "statistics.json"
