"""Tokenize: turn the rows of one table into a token file, by one of ten renderings.

::

    rendering      source         a document of the token file
    code           corpus         a source file
    asserts        traces         a function, then `assert f(arguments) == result`
    traces         traces         a context, then frames in CWM's grammar; long ones in episodes
    traced_asserts traces         a whole trace, then the assert that it proves
    prose          traces         a function and a question, then what happens in words, the result
    debugger       traces         a context, then a session with a debugger: states and actions
    trajectories   trajectories   an agent's chat with its environment
    chats          tasks          a task's prompt and the answer to give
    reasoning      tasks          a call to predict, its trace as thoughts, and what it returns
    tool_use       trajectories   an agent's success: what its tools are, its calls, the results

The artifact is a token file of the training split; ``heldout/`` beside it is one of the held-out
split, for the validation loss. Documents are in the order of their rows' keys, so the files do not
depend on how a table was sharded.
"""

from cluster.dag.stage import Stage
from stages.kinds import CORPUS, TASKS, TOKENIZER, TOKENS, TRACES, TRAJECTORIES
from stages.tokenize.settings import TokenizeSettings

STAGE = Stage(
    name="tokenize",
    revision=1,
    run="stages.tokenize.run:run",
    settings=TokenizeSettings,
    output=TOKENS,
    inputs={"source": (CORPUS, TRACES, TRAJECTORIES, TASKS), "tokenizer": (TOKENIZER,)},
    modules=(
        "model.chat",
        "model.comparison",
        "model.frames",
        "model.tokens",
        "model.trace",
        "stages.forage.environment",
        "stages.tables",
        "stages.tasks.task",
        "stages.tokenizer.sample",
        "stages.trace.renderings",
        "stages.training.token_file",
    ),
)
