"""The plan of a run: for every step what would happen, why, and what it would take."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.dag.artifact import Artifact
from cluster.dag.decision import Decider, Decision
from cluster.dag.errors import DagError
from cluster.dag.placement import Node, describe_all, step_bundles, why_not
from cluster.dag.selection import Selection
from cluster.dag.stage import resolve
from cluster.dag.step import Pipeline, Step
from cluster.dag.store import Store


class DriftError(DagError):
    """Code changed since artifacts were made and the preset asks; says which and how to go on."""


class MissingInputError(DagError):
    """A selected step needs a step that is not selected and has no artifact; says which."""


class PlacementError(DagError):
    """No node can place what a step asks for; says which step, what it asks and what there is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedStep:
    """A step's row in the plan. ``disk`` is what it holds, or is expected to take, in bytes."""

    decision: Decision
    disk: int | None
    bundles: Sequence[Mapping[str, float]]
    unplaceable: str | None
    estimate: Mapping[str, Any] = field(default_factory=dict)

    @property
    def formulas(self) -> Mapping[str, str]:
        """How the estimate's labels are computed, in words."""
        name = self.decision.step.stage.formulas
        return {} if name is None or not self.estimate else resolve(name)()

    @property
    def runs(self) -> bool:
        """Whether the step would run, perhaps."""
        return self.decision.action in ("run", "resume", "waits")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a run would do, step by step, in order."""

    preset: str
    store: Path
    free_bytes: int
    steps: Mapping[str, PlannedStep]

    def check(self, *, ask: bool, program: str) -> None:
        """Refuse to run what drifted (if the policy is ``ask``) or what no node can place."""
        drifted = {n: row.decision.drift for n, row in self.steps.items() if row.decision.drift}
        if ask and drifted:
            lines = [f"  {name}: {', '.join(files)}" for name, files in drifted.items()]
            accept = " ".join(f"--accept-drift {name}" for name in drifted)
            raise DriftError(
                "code changed since these steps ran, and this preset asks before it spends"
                f" anything:\n{chr(10).join(lines)}\nRun them again: {program} --rerun-drifted\n"
                f"Keep what they made: {program} {accept}"
            )
        for name, row in self.steps.items():
            if row.runs and row.unplaceable:
                raise PlacementError(f"{name}: {row.unplaceable}")


def make_plan(
    pipeline: Pipeline,
    store: Store,
    decider: Decider,
    selection: Selection,
    nodes: Sequence[Node],
    *,
    rerun_drifted: bool,
) -> Plan:
    """Decide about every step without running any."""
    rows: dict[str, PlannedStep] = {}
    there: dict[str, Artifact] = {}
    needed = selection.steps | pipeline.ancestors(selection.steps)
    for name, step in pipeline.steps.items():
        if name not in needed:
            continue
        if name in selection.steps:
            decision = _decide(step, selection, decider, there, rerun_drifted)
        else:
            wanted = any(
                name in pipeline.steps[s].inputs.values() for s in selection.steps
            )  # an ancestor further up is only looked at, never needed
            decision = _keep(step, decider, there, store, required=wanted)
        if decision.action in ("cached", "kept") and decision.artifact is not None:
            there[name] = decision.artifact
        rows[name] = _row(step, decision, nodes)
    return Plan(
        preset=pipeline.preset.name,
        store=store.path,
        free_bytes=_free_bytes(store.path),
        steps=rows,
    )


def _decide(
    step: Step,
    selection: Selection,
    decider: Decider,
    there: Mapping[str, Artifact],
    rerun_drifted: bool,
) -> Decision:
    forced = selection.reason if step.name in selection.forced else ""
    missing = sorted({source for source in step.inputs.values() if source not in there})
    if missing:
        return decider.decide_waiting(step, missing, forced=forced)
    inputs = {name: there[source] for name, source in step.inputs.items()}
    return decider.decide(step, inputs, forced=forced, drift_ok=rerun_drifted)


def _keep(
    step: Step, decider: Decider, there: Mapping[str, Artifact], store: Store, *, required: bool
) -> Decision:
    """Take a step that is not selected as it is: the artifact of its identity, else its latest."""
    if all(source in there for source in step.inputs.values()):
        inputs = {name: there[source] for name, source in step.inputs.items()}
        digests = {name: artifact.record.content_digest for name, artifact in inputs.items()}
        identity = decider.identify(step, digests)
        found = store.folder(step.stage.name, identity.fingerprint).current(step.name)
        if found is not None:
            found.verify(store.rerun_command(step.name))
            return Decision(
                step=step, action="kept", why="as it is", artifact=found, identity=identity
            )
    latest = decider.latest_or_error(step.name)
    if latest is None and required:
        raise MissingInputError(
            f"{step.name} has no artifact in {store.path} and is not among the steps to run."
            f" Make it first: {store.program} --until {step.name}"
        )
    if latest is None:
        return Decision(step=step, action="kept", why="not there, not needed")
    latest.verify(store.rerun_command(step.name))
    change = decider.own_change(step)
    why = f"as it is, although {change}" if change else "as it is, although its inputs changed"
    return Decision(step=step, action="kept", why=why, artifact=latest)


def _row(step: Step, decision: Decision, nodes: Sequence[Node]) -> PlannedStep:
    estimate = {}
    if step.stage.estimate is not None:
        estimate = dict(resolve(step.stage.estimate)(step.settings, step.placement))
    disk = decision.artifact.size if decision.artifact is not None else None
    if disk is None and "disk bytes" in estimate:
        disk = int(estimate["disk bytes"])
    bundles = step_bundles(step)
    return PlannedStep(
        decision=decision,
        disk=disk,
        bundles=bundles,
        unplaceable=why_not(bundles, nodes) if bundles else None,
        estimate=estimate,
    )


def _free_bytes(path: Path) -> int:
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON values."""
    steps = []
    for name, row in plan.steps.items():
        decision = row.decision
        steps.append(
            {
                "step": name,
                "stage": decision.step.stage.name,
                "action": decision.action,
                "why": decision.why,
                "drift": list(decision.drift),
                "fingerprint": decision.identity.fingerprint if decision.identity else None,
                "artifact": str(decision.artifact.path) if decision.artifact else None,
                "inputs": dict(decision.step.inputs),
                "disk_bytes": row.disk,
                "bundles": [dict(bundle) for bundle in row.bundles],
                "needs": describe_all(row.bundles),
                "unplaceable": row.unplaceable,
                "estimate": dict(row.estimate),
            }
        )
    return {
        "preset": plan.preset,
        "store": str(plan.store),
        "free_bytes": plan.free_bytes,
        "steps": steps,
        "formulas": formulas(plan),
    }


def formulas(plan: Plan) -> dict[str, str]:
    """Return how the labels of the steps' estimates are computed."""
    found: dict[str, str] = {}
    for row in plan.steps.values():
        said = row.formulas
        found |= {label: said[label] for label in row.estimate if label in said}
    return found
