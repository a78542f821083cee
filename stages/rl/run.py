"""The RL stage: wires rollout workers, weights and trainer, on Ray or in this process."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from cluster.dag.metrics import read_statistics, write_statistics
from cluster.dag.stage import StepContext
from model.tokens import Tokenizer
from stages.rl.curriculum import check_prompts
from stages.rl.domain import Prompts, WorkerSpec, find_prompts
from stages.rl.job import Job
from stages.rl.pool import LocalPool, RayPool, RolloutError
from stages.rl.progress import follow
from stages.rl.settings import rollout_bundle, trainer_bundle
from stages.rl.weights import WeightTransport
from stages.training.checkpoints import FOLDER, Checkpoints, CheckpointWriteError
from stages.training.ray_train import run_workers

log = logging.getLogger(__name__)

COLLECTIVE_SECONDS = 3600
"""How long ranks wait for rank 0, which fills their batch or validates."""


def run(context: StepContext) -> None:
    """Train the checkpoint on the tasks; leaves a checkpoint, metrics and statistics."""
    checkpoint, tasks = context.inputs["checkpoint"].path, context.inputs["tasks"].path
    prompts = find_prompts(tasks, Tokenizer.load(checkpoint), context.settings)
    check_prompts(prompts.train, [entry.kind for entry in context.settings.mix])
    run_job(make_job(context, checkpoint, tasks, prompts))


def make_job(
    context: StepContext,
    checkpoint: Path,
    tasks: Path,
    prompts: Prompts,
    domain: str = "stages.rl.domain:tasks",
) -> Job:
    """Describe a run of RL; ``domain`` names what the rollout workers play in."""
    folder = context.placement.weights_folder
    # A name of its own, where several runs may share the folder.
    weights = Path(folder) / f"cwm-rl-{context.fingerprint[:16]}" if folder else context.scratch
    spec = WorkerSpec(
        checkpoint=str(checkpoint.resolve()),
        tasks=str(tasks.resolve()),
        weights=str((weights / "weights").resolve()),
        settings=context.settings,
        domain=domain,
    )
    return Job(
        spec=spec,
        placement=context.placement,
        prompts=prompts,
        output=context.output.resolve(),
        scratch=context.scratch.resolve(),
    )


def run_job(job: Job) -> None:
    """Run RL: on Ray when it is initialised and there are workers, else in this process."""
    job.scratch.mkdir(parents=True, exist_ok=True)
    with follow(job.metrics_file, job.settings.steps):
        if job.placement.workers and _ray_is_up():
            _run_on_ray(job)
        else:
            _run_here(job)
    WeightTransport(Path(job.spec.weights)).clear()
    _log_change(read_statistics(job.output / "statistics.json"))


def _ray_is_up() -> bool:
    import ray

    return bool(ray.is_initialized())


def _run_here(job: Job) -> None:
    from stages.rl.rollout import RolloutWorker

    worker = RolloutWorker(job.spec)
    pool = LocalPool(worker.rollout, worker.close, job.settings.max_failures)
    try:
        _train(job, pool)
    finally:
        pool.close()
    statistics = read_statistics(job.output / "statistics.json")
    # All of it was this process's, which is accounted for already.
    write_statistics(job.output / "statistics.json", statistics | {"worker_cpu_seconds": 0.0})


def _train(job: Job, pool: Any) -> None:
    """Run the loop as one rank; imports DeepSpeed."""
    from cluster.deepspeed import start_process
    from stages.rl.learner import Learner
    from stages.rl.loop import Loop

    start_process(job.placement.threads_per_worker)
    checkpoints = Checkpoints(job.scratch / FOLDER)
    last = checkpoints.latest()
    learner = Learner(
        Path(job.spec.checkpoint),
        job.settings,
        job.placement,
        scratch=job.scratch,
        resume=last.path if last else None,
    )
    Loop(job, learner, checkpoints, pool).run(last.facts if last else None)


def _in_worker(config: dict[str, Any]) -> Exception | None:
    """What each Ray Train worker runs."""
    import ray.train

    job: Job = config["job"]
    pool = None
    try:
        if ray.train.get_context().get_world_rank() == 0:
            pool = RayPool(
                config["actors"],
                per_actor=job.placement.requests_in_flight,
                max_failures=job.settings.max_failures,
                timeout=job.placement.request_timeout,
            )
        _train(job, pool)
    except (RolloutError, CheckpointWriteError) as error:
        # all trainers raise it, and started again they would only meet the same
        return error
    return None


def _start_actors(job: Job) -> list[Any]:
    import ray

    from stages.rl.rollout import RolloutWorker

    bundle = rollout_bundle(job.placement)
    actor = ray.remote(RolloutWorker).options(
        num_cpus=bundle.pop("CPU"),
        num_gpus=bundle.pop("GPU", 0),
        resources=bundle,
        max_restarts=job.placement.max_failures,
    )
    return [actor.remote(job.spec) for _ in range(job.placement.rollout_workers)]


def _run_on_ray(job: Job) -> None:
    import ray

    actors = _start_actors(job)
    try:
        run_workers(
            _in_worker,
            {"job": job, "actors": actors},
            workers=job.placement.workers,
            bundle=trainer_bundle(job.placement),
            scratch=job.scratch,
            max_failures=job.placement.max_failures,
            collective_seconds=COLLECTIVE_SECONDS,
        )
        _account(job, ray.get([actor.close.remote() for actor in actors], timeout=60))
    finally:
        for actor in actors:
            ray.kill(actor)


def _account(job: Job, cpu_seconds: list[float]) -> None:
    """Add the rollout workers' processor time to the trainers'."""
    file = job.output / "statistics.json"
    statistics = read_statistics(file)
    statistics["rollout_workers"] = len(cpu_seconds)
    statistics["rollout_cpu_seconds"] = sum(cpu_seconds)
    statistics["worker_cpu_seconds"] += sum(cpu_seconds)
    write_statistics(file, statistics)


def _log_change(statistics: dict[str, Any]) -> None:
    if "heldout_change.n" not in statistics:
        return
    for name in ("greedy", "pass_at_1"):
        log.info(
            "held out, %s: %.3f -> %.3f (se %.3f, n %d, p %.3g: %s)",
            name,
            statistics[f"heldout_before.{name}"],
            statistics[f"heldout_after.{name}"],
            statistics[f"heldout_after.{name}_se"],
            statistics["heldout_change.n"],
            statistics[f"heldout_change.{name}_p"],
            statistics[f"heldout_change.{name}_significance"],
        )
