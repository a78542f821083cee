"""One run of a parsed command line: plan, check, execute, record, and say what is next."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from cluster.dag.attempt import Tracking
from cluster.dag.containment import allow_unsandboxed, containment
from cluster.dag.decision import Decider
from cluster.dag.errors import DagError
from cluster.dag.executor import Backend, Executor, Outcome
from cluster.dag.files import write_json
from cluster.dag.identity import placement_json, settings_json
from cluster.dag.local import LocalBackend
from cluster.dag.options import Options
from cluster.dag.placement import Node, this_machine
from cluster.dag.plan import Plan, make_plan, plan_json
from cluster.dag.plan_table import print_plan
from cluster.dag.selection import Selection
from cluster.dag.step import Pipeline
from cluster.dag.stopping import Stopping
from cluster.dag.store import Store
from cluster.dag.summary import print_summary
from cluster.dag.view import View
from cluster.ray_session import all_nodes, inside_ray_job, joins_cluster, ray_session, store_path

if TYPE_CHECKING:
    from cluster.tracking.record import Tracker

Closing = Callable[[Mapping[str, Outcome], Console], None]

_SELECTING = ("--only", "--from", "--until", "--accept-drift")


class TrackingUnavailableError(DagError):
    """The run cannot be recorded where it was asked to; says which address and what to do."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A parsed command line: the pipeline with its settings, and what to do with it.

    ``configured`` is the pipeline before anything was imported: what ``config.json`` keeps.
    """

    pipeline: Pipeline
    configured: Pipeline
    selection: Selection
    options: Options
    arguments: tuple[str, ...]
    name: str
    program: str
    root: Path

    def typed(self, *, without: Sequence[str] = ()) -> str:
        """Return the command as typed; ``without`` are options to leave out, with their values."""
        kept: list[str] = []
        arguments = iter(self.arguments)
        for argument in arguments:
            name, equals, _ = argument.partition("=")
            if name not in without:
                kept.append(argument)
            elif name in _SELECTING and not equals:
                next(arguments, None)
        return " ".join([self.program, *map(shlex.quote, kept)])


class Run:
    """One run. ``closing`` prints what the run was about from its outcomes, after the summary."""

    def __init__(self, command: Command, console: Console, closing: Closing | None) -> None:
        self._command = command
        self._options = command.options
        self._console = console
        self._closing = closing
        self._exit = ExitStack()
        self._has_ray = False
        self._stopping = Stopping()
        self._key = f"{command.name}.{command.pipeline.preset.name}"

    def run(self) -> int:
        """Plan and, unless only that was asked, run; returns the exit code."""
        command, options = self._command, self._options
        if options.allow_unsandboxed:
            allow_unsandboxed()  # before Ray starts: its workers inherit it
        began = time.monotonic()
        with self._exit:
            self._exit.enter_context(self._stopping)
            nodes = self._nodes()
            store = self._store(len(nodes))
            accepted = [n for s in options.accept_drift for n in command.pipeline.match(s)]
            decider = Decider(store, self._key, accept=frozenset(accepted), verify=options.verify)
            policy = command.pipeline.preset.drift_policy
            drift_ok = policy == "rerun" or options.rerun_drifted
            plan = make_plan(
                command.pipeline, store, decider, command.selection, nodes, rerun_drifted=drift_ok
            )
            if options.plan:
                return self._show(plan)
            plan.check(ask=not drift_ok, program=command.typed())
            store.prepare()
            outcomes = self._execute(plan, decider, store, len(nodes), drift_ok, began)
            if self._closing is not None:
                self._closing(outcomes, self._console)
            return self._say_what_is_next(outcomes)

    def _nodes(self) -> list[Node]:
        """Return the nodes to plan for. A cluster that was named is joined now, to ask it."""
        if self._options.executor == "local" or not joins_cluster():
            return this_machine()
        self._open_ray()
        return all_nodes()

    def _open_ray(self) -> None:
        if not self._has_ray:
            session = ray_session(self._command.root, verbose=self._options.verbose)
            with self._stopping.starting_ray():
                self._exit.enter_context(session)
            self._has_ray = True

    def _store(self, nodes: int) -> Store:
        path, why = store_path(self._options.store, nodes)
        if not self._options.json and inside_ray_job():
            self._console.print(f"store {path} ({why})", highlight=False, soft_wrap=True)
        leave_out = (*_SELECTING, "--plan", "--json", "--rerun")
        return Store(path, self._command.typed(without=leave_out))

    def _show(self, plan: Plan) -> int:
        """Print the plan, also of what could not run here."""
        if self._options.json:
            print(json.dumps(plan_json(plan), indent=1))
            return 0
        print_plan(plan, self._console)
        if any(r.runs and r.decision.step.stage.executes_code for r in plan.steps.values()):
            self._console.print(f"untrusted code runs in: {containment()}", highlight=False)
        return 0

    def _backend(self, plan: Plan) -> Backend:
        """Return where steps run; Ray is started only when there is something to run."""
        steps = [row.decision.step for row in plan.steps.values() if row.runs]
        untrusted = any(step.stage.executes_code for step in steps)
        if self._options.executor == "local" or not steps:
            if untrusted:
                containment()
            return LocalBackend()
        self._open_ray()
        from cluster.dag.ray_tasks import RayBackend, contain_everywhere

        if untrusted:
            contain_everywhere()
        return RayBackend()

    def _execute(
        self,
        plan: Plan,
        decider: Decider,
        store: Store,
        nodes: int,
        drift_ok: bool,
        began: float,
    ) -> Mapping[str, Outcome]:
        """Run the plan's steps and record the run; prints the summary however it ends."""
        command = self._command
        write_json(store.run_folder(self._key) / "config.json", config_json(command.configured))
        backend = self._backend(plan)
        tracker = _open_tracker(self._options.tracking, store, nodes)
        name, preset = command.name, command.pipeline.preset.name
        run_id = tracker.start_pipeline(name, preset, command.typed(), _params(command.pipeline))

        def note(outcome: Outcome) -> None:
            if outcome.artifact is None:
                return
            store.set_latest(self._key, {outcome.step: outcome.artifact})
            if outcome.status == "cached":
                artifact, path = outcome.artifact.as_json(), outcome.artifact.path
                tracker.record_cached(run_id, step=outcome.step, artifact=artifact, path=path)

        status = "KILLED"
        with View(self._console, store, follow=not isinstance(backend, LocalBackend)) as view:
            executor = Executor(
                command.pipeline,
                plan,
                command.selection,
                decider,
                store,
                backend,
                view,
                Tracking(uri=self._options.tracking, pipeline_run_id=run_id, nodes=nodes),
                drift_ok=drift_ok,
                on_artifact=note,
                check=self._stopping.check,
            )
            try:
                outcomes = executor.run()
                failed = any(outcome.status == "failed" for outcome in outcomes.values())
                status = "FAILED" if failed else "FINISHED"
            finally:
                tracker.finish_pipeline(run_id, status)
                seconds = time.monotonic() - began
                print_summary(command.pipeline, executor.outcomes, seconds, self._console)
                if status != "FINISHED":
                    self._say_how_to_resume()
        return outcomes

    def _say_how_to_resume(self) -> None:
        """Print the command that goes on: the same one, which must not redo what was forced."""
        # --only names what is still to do; --from and --rerun would begin again.
        command = self._command.typed(without=("--from", "--rerun"))
        self._console.print(f"go on with: {command}", highlight=False, soft_wrap=True)

    def _say_what_is_next(self, outcomes: Mapping[str, Outcome]) -> int:
        if any(outcome.artifact is None for outcome in outcomes.values()):
            return 1
        for outcome in outcomes.values():
            if outcome.artifact is not None and outcome.artifact.record.kind == "report":
                page = outcome.artifact.path / "index.html"
                self._console.print(f"report: {page}", highlight=False, soft_wrap=True)
        return 0


def config_json(pipeline: Pipeline) -> dict[str, object]:
    """Return the resolved settings of all steps, which ``--config`` reads back."""
    steps = {
        name: {
            "settings": settings_json(step.settings),
            "placement": placement_json(step.placement),
        }
        for name, step in pipeline.steps.items()
    }
    return {"preset": pipeline.preset.name, "steps": steps}


def _params(pipeline: Pipeline) -> dict[str, object]:
    """Return the run's parameters: what a step is set to is recorded with its attempt."""
    return {"steps": len(pipeline.steps), "drift_policy": pipeline.preset.drift_policy}


def _open_tracker(uri: str | None, store: Store, nodes: int) -> Tracker:
    from cluster.tracking.record import TrackingError, open_tracker

    try:
        return open_tracker(uri, store.path, nodes=nodes)
    except TrackingError as error:
        raise TrackingUnavailableError(str(error)) from error
