"""Evaluate: what a checkpoint knows of held-out code, traces and tasks, each beside a baseline.

Generating and scoring are apart; scoring is pure and lives in the files marked *::

    settings.py     how much of everything is measured, and how answers are asked for
    subject.py      the model under evaluation: loading, next-token hits, answers
    code_bits.py    bits per byte of held-out code, beside a byte trigram and gzip
    trigram.py      * the byte trigram
    frames.py       * next frame given the true history: event, state, action, value
    traces.py       frames of held-out traces
    free_traces.py  whole traces written freely from the call on
    outputs.py      predicting a call's result, directly and by writing the trace
    reasoning.py    predicting a call's result after thinking
    guesses.py      * what guessing without a model reaches
    fixes.py        repairing a function, judged by execution
    estimate.py     * proportions with their standard errors, pass@k
    record.py       results.json and examples.jsonl
"""

from cluster.dag.stage import Stage
from stages.evaluate.settings import EvaluatePlacement, EvaluateSettings
from stages.kinds import CHECKPOINT, CORPUS, EVALUATION, TASKS, TRACES

STAGE = Stage(
    name="evaluate",
    revision=1,
    run="stages.evaluate.run:run",
    settings=EvaluateSettings,
    placement=EvaluatePlacement,
    inputs={
        "checkpoint": (CHECKPOINT,),
        "corpus": (CORPUS,),
        "traces": (TRACES,),
        "tasks": (TASKS,),
    },
    output=EVALUATION,
    modules=(
        "cluster.devices",
        "cluster.sandbox",
        "model",
        "stages.forage.edits",
        "stages.forage.mutations",
        "stages.tables",
        "stages.tasks",
        "stages.tokenize.asserts",
        "stages.tokenize.document",
        "stages.tokenize.episodes",
        "stages.tokenize.settings",
        "stages.tokenizer.sample",
    ),
    headline=("code.bits_per_byte", "traces.changed_state", "output.direct", "fix.pass_at_1"),
    executes_code=True,
)
