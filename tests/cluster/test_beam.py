"""Running Beam pipelines by the runner's name."""

from pathlib import Path

import apache_beam as beam
import pytest

from cluster.beam import RunnerError, pipeline_options, run_pipeline


@pytest.mark.parametrize("name", ["DirectRunner", "apache_beam.runners.direct.DirectRunner"])
def test_a_runner_that_depends_on_the_network_is_refused(name):
    with pytest.raises(RunnerError, match="FnApiRunner"):
        pipeline_options(name)


def test_options_reach_beam():
    options = pipeline_options("FlinkRunner", ["--flink_master=host:8081", "--parallelism=3"])
    found = options.get_all_options()
    assert (found["runner"], found["flink_master"], found["parallelism"]) == (
        "FlinkRunner",
        "host:8081",
        3,
    )


def test_the_embedded_runner_runs_and_raises_what_a_transform_raises(tmp_path: Path):
    def write(total):
        (tmp_path / "total").write_text(str(total))

    def build(pipeline):
        numbers = pipeline | beam.Create([1, 2, 3])
        _ = numbers | beam.CombineGlobally(sum) | beam.Map(write)

    run_pipeline(build)
    assert (tmp_path / "total").read_text() == "6"
    with pytest.raises(Exception, match="division by zero"):
        run_pipeline(lambda p: p | beam.Create([0]) | "one over" >> beam.Map(lambda x: 1 / x))
