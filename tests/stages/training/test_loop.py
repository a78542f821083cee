"""The loop in one process."""

from cluster.dag.metrics import read_metrics, read_statistics
from model.checkpoint import load_pretrained
from stages.pretrain.run import run
from stages.pretrain.settings import PretrainSettings
from tests.stages.training.conftest import SMALL


def test_local_training_learns_and_exports(context):
    step = context(PretrainSettings(steps=60, **SMALL))
    run(step)
    lines = list(read_metrics(step.metrics_file))
    print(lines, read_statistics(step.statistics_file))
    model = load_pretrained(step.output)
    assert lines[-2]["metrics"]["loss"] < lines[0]["metrics"]["loss"] - 1
