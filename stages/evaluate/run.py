"""Measure a checkpoint and write results, examples, metrics and statistics."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

import torch

from cluster.dag.metrics import log_metrics, write_statistics
from cluster.dag.stage import StepContext
from stages.evaluate import code_bits, fixes, free_traces, outputs, reasoning, traces
from stages.evaluate.record import Record
from stages.evaluate.settings import EvaluatePlacement, EvaluateSettings
from stages.evaluate.subject import Subject
from stages.tasks.task import read_tasks

log = logging.getLogger(__name__)


def run(context: StepContext) -> None:
    """Fill ``context.output`` with an evaluation (see `stages.kinds`)."""
    settings: EvaluateSettings = context.settings
    placement: EvaluatePlacement = context.placement or EvaluatePlacement()
    torch.set_num_threads(placement.threads)
    paths = {name: given.path for name, given in context.inputs.items()}
    subject = Subject.load(paths["checkpoint"], settings, placement)
    training = list(read_tasks(paths["tasks"] / "train.jsonl"))
    heldout = list(read_tasks(paths["tasks"] / "heldout.jsonl"))
    record = Record(settings.examples)

    parts: dict[str, Callable[[], None]] = {
        "code": partial(code_bits.measure, subject, record, paths["corpus"], settings),
        "frames": partial(traces.measure_frames, subject, record, paths["traces"], settings),
        "free": partial(free_traces.measure_free, subject, record, paths["traces"], settings),
        "output": partial(outputs.measure_direct, subject, record, training, heldout, settings),
        "by_trace": partial(outputs.measure_by_trace, subject, record, training, heldout, settings),
        "by_reasoning": partial(
            reasoning.measure_by_reasoning, subject, record, training, heldout, settings
        ),
        "fix": partial(fixes.measure, subject, record, heldout, settings),
    }
    seconds = {}
    for name, measure in parts.items():
        started = time.monotonic()
        log.info("measuring %s", name)
        measure()
        seconds[f"seconds.{name}"] = round(time.monotonic() - started, 3)
    record.write(context.output, asdict(settings))
    values = record.values()
    log_metrics(context.metrics_file, values, step=0)
    write_statistics(context.statistics_file, {**values, **seconds})
