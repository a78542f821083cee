"""What is to be done about a step, and why: cached, run, resume, or waits for its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cluster.dag.artifact import Artifact, CorruptArtifactError
from cluster.dag.code import code_digest, drifted_files
from cluster.dag.identity import Identity, identify, settings_json
from cluster.dag.stage import resolve
from cluster.dag.step import Step
from cluster.dag.store import Store

Action = Literal["cached", "run", "resume", "waits", "kept"]
"""``waits``: runs unless its inputs come out as before. ``kept``: not selected, taken as it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What is to be done about a step.

    ``identity`` is None while an input is still to be made. ``artifact`` is the one to use when
    the action is cached or kept, else the latest of that step, which ``why`` compares with.
    ``drift`` names the files that differ from those that made the artifact.
    """

    step: Step
    action: Action
    why: str
    identity: Identity | None = None
    artifact: Artifact | None = None
    code: Mapping[str, str] = field(default_factory=dict)
    drift: tuple[str, ...] = ()
    forced: bool = False


class Decider:
    """Decides about the steps of one run.

    ``accept`` are steps whose drifted code is accepted; with ``verify`` every file of a cached
    artifact is compared with its sha256. A source's snapshot is taken once.
    """

    def __init__(
        self, store: Store, preset: str, *, accept: frozenset[str] = frozenset(), verify: bool
    ) -> None:
        self._store = store
        self._latest = store.latest(preset)
        self._accept = accept
        self._verify = verify
        self._snapshots: dict[str, Any] = {}

    def identify(self, step: Step, digests: Mapping[str, str]) -> Identity:
        """Return the identity of a step whose inputs have these digests."""
        return identify(step.stage, step.settings, digests, self._snapshot(step))

    def decide(
        self, step: Step, inputs: Mapping[str, Artifact], *, forced: str = "", drift_ok: bool
    ) -> Decision:
        """Decide about a step whose inputs are all there.

        ``forced`` is why it runs in any case, if it does. A drifted step runs when ``drift_ok``,
        else the decision is ``cached`` with its ``drift`` named, for the caller to refuse.
        """
        digests = {name: artifact.record.content_digest for name, artifact in inputs.items()}
        identity = self.identify(step, digests)
        folder = self._store.folder(step.stage.name, identity.fingerprint)
        code = code_digest(step.stage)
        unfinished = folder.unfinished()
        goes_on = unfinished is not None and unfinished["code"] == code
        if forced:
            action: Action = "resume" if goes_on else "run"
            return Decision(
                step=step,
                action=action,
                why=forced,
                identity=identity,
                artifact=self.latest(step.name),
                code=code,
                forced=True,
            )
        found = folder.current(step.name)
        if found is None:
            why = self.own_change(step) or self._input_change(step, digests) or "new"
            if goes_on:
                why = "its last attempt did not end"
            return Decision(
                step=step,
                action="resume" if goes_on else "run",
                why=why,
                identity=identity,
                artifact=self.latest(step.name),
                code=code,
            )
        drift = self._drift(step, found, code)
        if drift and drift_ok:
            return Decision(
                step=step,
                action="resume" if goes_on else "run",
                why=_drift_reason(drift),
                identity=identity,
                artifact=found,
                code=code,
                drift=drift,
                forced=True,
            )
        found.verify(self._store.rerun_command(step.name), everything=self._verify)
        return Decision(
            step=step,
            action="cached",
            why=_drift_reason(drift) if drift else f"made {found.record.finished_at[:16]}",
            identity=identity,
            artifact=found,
            code=code,
            drift=drift,
        )

    def decide_waiting(self, step: Step, makes: list[str], *, forced: str = "") -> Decision:
        """Decide about a step some of whose inputs, made by the steps ``makes``, are not there."""
        latest = self.latest(step.name)
        code = code_digest(step.stage)
        drift = self._drift(step, latest, code) if latest is not None else ()
        own = forced or self.own_change(step)
        if own:
            why = f"{own}; after {_few(makes)}"
        elif drift:
            why = f"{_drift_reason(drift)}; after {_few(makes)}"
        else:
            why = f"input {_few(makes)} may change"
        return Decision(
            step=step,
            action="run" if own or drift else "waits",
            why=why,
            artifact=latest,
            code=code,
            drift=() if forced else drift,
            forced=bool(forced),
        )

    def latest(self, name: str) -> Artifact | None:
        """Return the latest artifact of a step to compare with; None also when it is unreadable."""
        try:
            return self.latest_or_error(name)
        except CorruptArtifactError:
            return None

    def latest_or_error(self, name: str) -> Artifact | None:
        """Return the latest artifact of a step to use; None when there is none (any more)."""
        path = self._latest.get(name)
        if path is None or not (self._store.path / path).exists():
            return None
        return self._store.load(path, name)

    def accept_drift(self, decision: Decision) -> None:
        """Remember that a cached artifact counts as made by the present code."""
        if decision.identity is not None and decision.step.name in self._accept:
            folder = self._store.folder(decision.step.stage.name, decision.identity.fingerprint)
            folder.accept_code(decision.code)

    def own_change(self, step: Step) -> str:
        """Say what of a step itself differs from its latest artifact; "" for nothing."""
        latest = self.latest(step.name)
        if latest is None:
            return "new"
        if latest.record.stage != step.stage.name:
            return f"stage: {latest.record.stage} → {step.stage.name}"
        record, now = latest.record, self.identify(step, {})
        changes = _differences(record.settings, settings_json(step.settings))
        if record.revision != now.revision:
            changes.append(f"revision: {record.revision} → {now.revision}")
        if record.python != now.python:
            changes.append(f"Python: {record.python} → {now.python}")
        if record.snapshot != now.snapshot:
            changes.append(_snapshot_change(record.snapshot, now.snapshot))
        if set(record.inputs) != set(step.inputs):
            changes.append(f"inputs: {_names(record.inputs)} → {_names(step.inputs)}")
        return _few(changes)

    def _input_change(self, step: Step, digests: Mapping[str, str]) -> str:
        latest = self.latest(step.name)
        if latest is None:
            return ""
        old = latest.record.inputs
        return _few([f"input {n} changed" for n, d in digests.items() if old[n]["digest"] != d])

    def _drift(self, step: Step, artifact: Artifact, code: Mapping[str, str]) -> tuple[str, ...]:
        """Return the files that differ from those that made an artifact, unless accepted.

        What another stage made under the step's name (``--import``) has other code by right.
        """
        if step.name in self._accept or artifact.record.stage != step.stage.name:
            return ()
        folder = self._store.folder(artifact.record.stage, artifact.record.fingerprint)
        return tuple(drifted_files(folder.accepted_code() or artifact.record.code, code))

    def _snapshot(self, step: Step) -> Any:
        if step.stage.snapshot is None:
            return None
        if step.name not in self._snapshots:
            where = (step.placement,) if step.stage.stands_in else ()
            self._snapshots[step.name] = resolve(step.stage.snapshot)(step.settings, *where)
        return self._snapshots[step.name]


def _drift_reason(drift: tuple[str, ...]) -> str:
    return _few([f"code of {name} changed" for name in drift])


def _names(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)) or "none"


def _few(reasons: list[str], limit: int = 3) -> str:
    more = f" and {len(reasons) - limit} more" if len(reasons) > limit else ""
    return ", ".join(reasons[:limit]) + more


def _differences(old: Any, new: Any, where: str = "") -> list[str]:
    """Return ``"mix[0].weight: 0.3 → 0.4"`` for every leaf that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found = []
        for key in [*new, *(key for key in old if key not in new)]:
            name = f"{where}.{key}" if where else key
            found += _differences(old.get(key, "none"), new.get(key, "none"), name)
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for i, (o, n) in pairs for line in _differences(o, n, f"{where}[{i}]")]
    return [] if old == new else [f"{where}: {_short(old)} → {_short(new)}"]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _snapshot_change(old: Any, new: Any) -> str:
    """Return what changed out there, named when the snapshot is a mapping or a list."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return _few(_differences(old, new, "snapshot"))
    return "what is out there changed"
