"""Runs the steps of a plan: what is ready and fits, until nothing is left that can run.

A failed step stops only what needs it. Where steps run is the backend's business: in this process
(`cluster.dag.local`) or as Ray tasks (`cluster.dag.ray_tasks`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from cluster.dag.artifact import Artifact
from cluster.dag.attempt import Done, Tracking, Work
from cluster.dag.decision import Decider, Decision
from cluster.dag.errors import DagError
from cluster.dag.placement import Ledger, Node
from cluster.dag.plan import DriftError, Plan
from cluster.dag.process import this_process
from cluster.dag.selection import Selection
from cluster.dag.step import Pipeline, Step
from cluster.dag.store import Store

log = logging.getLogger(__name__)

Status = Literal["done", "cached", "kept", "failed", "blocked", "stopped"]

WAIT_NOTICE_SECONDS = 60.0
CRASH_RETRIES = 1
"""How often a step is started again whose process was killed (out of memory, lost node)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a step ended. ``message`` says what failed, or what a blocked step would have needed."""

    step: str
    status: Status
    artifact: Artifact | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that ended badly; ``crashed`` when its process was killed."""

    message: str
    crashed: bool = False


@dataclass(slots=True)
class Ready:
    """A step that waits for its bundles or runs: since when it waits, how often it crashed."""

    work: Work
    decision: Decision
    since: float
    crashes: int = 0


class Backend(Protocol):
    """Where attempts run."""

    def nodes(self) -> list[Node]:
        """Return the nodes with what is free on each while no step of ours runs."""
        ...

    def start(self, work: Work, node: str | None) -> None:
        """Start an attempt, near ``node`` if one is given."""
        ...

    def ended(self, seconds: float) -> list[tuple[str, Done | Failure]]:
        """Return the attempts that ended, waiting at most so long for the first."""
        ...

    def stop(self, *, save: bool) -> None:
        """Ask all attempts to end, wait a moment, then end them; ``save`` lets them save first."""
        ...


class Observer(Protocol):
    """Is told what happens, to show it."""

    def started(self, step: str, decision: Decision) -> None:
        """A step's attempt was started."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """A step came to its end."""
        ...

    def poll(self) -> None:
        """Time passes: called several times a second while steps run."""
        ...


class Executor:
    """Runs a plan.

    ``on_artifact`` is called with every cached or new artifact; ``check`` now and then, and raises
    SystemExit when the run is to stop.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        plan: Plan,
        selection: Selection,
        decider: Decider,
        store: Store,
        backend: Backend,
        observer: Observer,
        tracking: Tracking,
        *,
        drift_ok: bool,
        on_artifact: Callable[[Outcome], None],
        check: Callable[[], None],
    ) -> None:
        self._pipeline = pipeline
        self._plan = plan
        self._selection = selection
        self._decider = decider
        self._store = store
        self._backend = backend
        self._observer = observer
        self._tracking = tracking
        self._drift_ok = drift_ok
        self._on_artifact = on_artifact
        self._check = check
        self._ledger = Ledger(backend.nodes())
        self._ready: dict[str, Ready] = {}
        self._running: dict[str, Ready] = {}
        self.outcomes: dict[str, Outcome] = {}

    def run(self) -> dict[str, Outcome]:
        """Run until every step has an outcome; an interrupt stops the steps and is raised again."""
        for name, row in self._plan.steps.items():
            if row.decision.action == "kept":
                artifact = row.decision.artifact
                self.outcomes[name] = Outcome(step=name, status="kept", artifact=artifact)
        try:
            while len(self.outcomes) < len(self._plan.steps):
                self._start_what_is_ready()
                if self._running:
                    self._collect()
                elif self._ready:
                    time.sleep(0.5)  # other jobs hold what is asked for
                self._observer.poll()
                self._check()
        except (KeyboardInterrupt, SystemExit) as error:
            self._backend.stop(save=isinstance(error, SystemExit))
            for name in self._running:
                self._settle(Outcome(step=name, status="stopped"))
            raise
        return self.outcomes

    def _start_what_is_ready(self) -> None:
        if not self._running:
            self._ledger.reset(self._backend.nodes())
        for name in self._plan.steps:
            if name in self.outcomes or name in self._running:
                continue
            if name not in self._ready:
                self._decide(self._pipeline.steps[name])
            if name in self._ready:
                self._admit(name)

    def _decide(self, step: Step) -> None:
        """Settle a step that needs no attempt, or make it ready; not yet while its inputs run."""
        parents = [self.outcomes.get(source) for source in step.inputs.values()]
        broken = [p.step for p in parents if p is not None and p.artifact is None]
        if broken:
            needs = f"needs {', '.join(dict.fromkeys(broken))}"
            self._settle(Outcome(step=step.name, status="blocked", message=needs))
            return
        artifacts = {p.step: p.artifact for p in parents if p is not None and p.artifact}
        if len(artifacts) < len(set(step.inputs.values())):
            return
        inputs = {key: artifacts[source] for key, source in step.inputs.items()}
        forced = self._selection.reason if step.name in self._selection.forced else ""
        try:
            decision = self._decider.decide(step, inputs, forced=forced, drift_ok=self._drift_ok)
            _refuse_drift(decision)
        except DagError as error:
            self._settle(Outcome(step=step.name, status="failed", message=str(error)))
            return
        if decision.action == "cached":
            self._decider.accept_drift(decision)
            self._settle(Outcome(step=step.name, status="cached", artifact=decision.artifact))
        elif not self._is_being_made(decision):
            work = self._work(step, decision, artifacts)
            self._ready[step.name] = Ready(work, decision, since=time.monotonic())

    def _is_being_made(self, decision: Decision) -> bool:
        """Whether another step with the same identity is at work: then its artifact will do."""
        assert decision.identity is not None
        others = [*self._running.values(), *self._ready.values()]
        mine = decision.identity.fingerprint
        return any(other.work.identity.fingerprint == mine for other in others)

    def _work(self, step: Step, decision: Decision, artifacts: Mapping[str, Artifact]) -> Work:
        assert decision.identity is not None
        return Work(
            step=step,
            identity=decision.identity,
            inputs={key: (source, artifacts[source]) for key, source in step.inputs.items()},
            code=decision.code,
            store=self._store,
            tracking=self._tracking,
            forced=decision.forced,
            driver=this_process(),
        )

    def _admit(self, name: str) -> None:
        """Start a ready step if all its bundles fit, else say now and then what it waits for."""
        ready = self._ready[name]
        bundles = self._plan.steps[name].bundles
        nodes = self._ledger.admit(name, bundles)
        if nodes is None:
            if time.monotonic() - ready.since > WAIT_NOTICE_SECONDS:
                log.warning("%s waits for %s", name, self._ledger.explain(bundles))
                ready.since = time.monotonic()
            return
        del self._ready[name]
        self._running[name] = ready
        self._observer.started(name, ready.decision)
        self._backend.start(ready.work, nodes[0] if nodes else None)

    def _collect(self) -> None:
        for name, result in self._backend.ended(0.2):
            ready = self._running.pop(name)
            self._ledger.release(name)
            if isinstance(result, Done):
                artifact = self._store.load(result.path, name)
                status: Status = "done" if result.fresh else "cached"
                self._settle(Outcome(step=name, status=status, artifact=artifact))
            elif result.crashed and ready.crashes < CRASH_RETRIES:
                log.warning("%s: %s; started again", name, result.message)
                ready.crashes += 1
                self._ready[name] = ready
            else:
                self._settle(Outcome(step=name, status="failed", message=result.message))

    def _settle(self, outcome: Outcome) -> None:
        self.outcomes[outcome.step] = outcome
        if outcome.artifact is not None:
            self._on_artifact(outcome)
        self._observer.ended(outcome)


def _refuse_drift(decision: Decision) -> None:
    """Refuse a drift that the plan could not see because the step's inputs were not there yet."""
    if decision.action == "cached" and decision.drift:
        raise DriftError(
            f"{decision.step.name}: {decision.why}; run again with --rerun-drifted"
            f" or --accept-drift {decision.step.name}"
        )
