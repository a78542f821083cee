"""Probe: a checkpoint's answer to every question, item by item, so that checkpoints can be paired.

::

    settings.py  which measures, at what context
    item.py      one measurement
    answers.py   results of calls: directly, and by writing the trace
    losses.py    what needs no answer: code, patches, trajectories
    run.py       all of them, written to ``items.jsonl``

`stages.evaluate` says how good one checkpoint is; a probe keeps what it takes to compare several.
"""

from cluster.dag.stage import Stage
from stages.evaluate.settings import EvaluatePlacement
from stages.kinds import CHECKPOINT, ITEMS, QUESTIONS
from stages.probe.settings import ProbeSettings

STAGE = Stage(
    name="probe",
    revision=1,
    run="stages.probe.run:run",
    settings=ProbeSettings,
    placement=EvaluatePlacement,
    inputs={"checkpoint": (CHECKPOINT,), "questions": (QUESTIONS,)},
    output=ITEMS,
    modules=(
        "cluster.devices",
        "cluster.sandbox",
        "model",
        "stages.evaluate",
        "stages.forage.edits",
        "stages.forage.mutations",
        "stages.tables",
        "stages.tasks",
        "stages.tokenize.asserts",
        "stages.tokenize.document",
        "stages.tokenize.episodes",
        "stages.tokenize.settings",
        "stages.tokenize.trajectories",
        "stages.tokenizer.sample",
    ),
    headline=("direct", "by_trace", "code", "patch_program", "trajectory"),
)
