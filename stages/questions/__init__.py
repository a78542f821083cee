"""Questions: what checkpoints that are compared are all asked, chosen once and apart from training.

::

    settings.py  how many of each
    twins.py     when two programs count as the same
    patches.py   broken functions, what they should return, and their true repair
    run.py       choosing and writing

``programs.jsonl``: held-out calls, one for each shape of program, whose shape (names aside) no
training program has; ``twin`` says that one has it when constants are put aside as well.
``patches.jsonl``, ``trajectories.jsonl`` (rows of `stages.tables.TRAJECTORIES`) and ``code.jsonl``
hold what only a loss is measured on.
"""

from cluster.dag.stage import Stage
from stages.kinds import CORPUS, QUESTIONS, TRACES, TRAJECTORIES
from stages.questions.settings import QuestionSettings

STAGE = Stage(
    name="questions",
    revision=1,
    run="stages.questions.run:run",
    settings=QuestionSettings,
    inputs={"corpus": (CORPUS,), "traces": (TRACES,), "trajectories": (TRAJECTORIES,)},
    output=QUESTIONS,
    modules=(
        "cluster.sandbox",
        "model.chat",
        "model.frames",
        "model.tokens",
        "model.trace",
        "stages.forage.edits",
        "stages.forage.mutations",
        "stages.tables",
        "stages.tasks",
        "stages.tokenize.asserts",
        "stages.tokenize.document",
        "stages.tokenize.settings",
        "stages.tokenizer.sample",
        "stages.trace.programs",
        "stages.trace.tracer",
    ),
    headline=("programs", "same_shape_dropped", "twins", "patches", "trajectories"),
    executes_code=True,
)
