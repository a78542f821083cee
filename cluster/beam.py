"""Running an Apache Beam pipeline: the runner is a matter of placement, never of the result.

A pipeline is a function that takes a `beam.Pipeline` and applies its transforms to it. The runner's
name and its options go to Beam as they are, so that a fully qualified class name or another
service's flags work::

    run_pipeline(build)  # in this process
    run_pipeline(build, options=("--direct_running_mode=multi_processing",
                                 "--direct_num_workers=4"))
    run_pipeline(build, runner="FlinkRunner", options=("--flink_master=host:8081",))
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

logging.disable(logging.WARNING)  # on import Beam warns of Google clients that nothing here uses
import apache_beam as beam  # noqa: E402
from apache_beam.options.pipeline_options import PipelineOptions  # noqa: E402
from apache_beam.runners.runner import PipelineResult  # noqa: E402

logging.disable(logging.NOTSET)

EMBEDDED = "FnApiRunner"
"""The default runner: Beam's own, in this process."""


class RunnerError(ValueError):
    """The runner would not do the same thing everywhere; says which one to use."""


def pipeline_options(runner: str = EMBEDDED, options: Sequence[str] = ()) -> PipelineOptions:
    """Return Beam's options for ``runner``; raise `RunnerError` for DirectRunner.

    DirectRunner downloads another engine (Prism) when it can reach the network and silently uses
    FnApiRunner when it cannot: the same command would run on different engines on different
    machines.
    """
    if runner.rsplit(".", 1)[-1] in ("DirectRunner", "SwitchingDirectRunner"):
        raise RunnerError(
            f"runner={runner!r} picks an engine by what the network allows; use {EMBEDDED!r}"
        )
    return PipelineOptions([f"--runner={runner}", *options])


def run_pipeline(
    build: Callable[[beam.Pipeline], None],
    *,
    runner: str = EMBEDDED,
    options: Sequence[str] = (),
) -> PipelineResult:
    """Build a pipeline, run it to its end and return its result (state and counters).

    A failure inside a transform is raised here with the transform's name.
    """
    # at INFO Beam tells about every optional package that it does without
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    pipeline = beam.Pipeline(options=pipeline_options(runner, options))
    build(pipeline)
    result = pipeline.run()
    result.wait_until_finish()
    return result
