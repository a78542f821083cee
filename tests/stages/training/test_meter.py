"""The line of metrics after some steps."""

import pytest
import torch.distributed as dist

from cluster.deepspeed import start_process
from stages.pretrain.settings import PretrainSettings
from stages.training import meter as module
from stages.training.meter import Meter
from stages.training.packing import Row
from stages.training.step import Made
from stages.training.throughput import step_flops
from tests.stages.training.conftest import SMALL, TINY_SCHEDULE

SETTINGS = PretrainSettings(steps=6, z_loss=0.1, schedule=TINY_SCHEDULE, **SMALL)
ROWS = [Row((0, 0), (0, 10), (10, 30), (10, 40)), Row((1,), (5,), (20,), (20,), reach=4)]


@pytest.fixture
def meter(job, monkeypatch):
    """A meter whose clock says that every phase of a step took two seconds."""
    start_process()
    assert dist.get_world_size() == 1
    monkeypatch.setattr(module, "gemm_flops_per_second", lambda *_: 1e6)
    made = Meter(job(SETTINGS))
    found = {"data": 1.0, "forward": 2.0, "backward": 4.0, "optimizer": 1.0, "checkpoint": 9.0}
    monkeypatch.setattr(made.clock, "seconds", lambda: found)
    return made


def test_a_line_is_of_all_steps_that_were_taken(meter):
    meter.add(Made(loss=2.0, log_z=4.0, weight=10.0, norm=1.0, skipped="", stop=False), ROWS)
    meter.add(Made(loss=5.0, log_z=1.0, weight=20.0, norm=3.0, skipped="", stop=False), ROWS)
    nan = float("nan")
    meter.add(Made(loss=nan, log_z=nan, weight=9.0, norm=nan, skipped="nan", stop=False), ROWS)
    line = meter.line()
    assert line["loss"] == pytest.approx((2 * 10 + 5 * 20) / 30)
    assert line["log_z_squared"] == pytest.approx((4 * 10 + 1 * 20) / 30)
    assert line["grad_norm"] == 3.0
    assert line["tokens_per_second"] == 3 * 45 / 8  # checkpoints are not the step's
    config = meter._job.config
    flops = step_flops(config, [10, 20]) + step_flops(config, [15], reach=4)
    assert line["mfu"] == pytest.approx(3 * flops / 8e6)
    assert line["data_wait"] == 1 / 8
    assert line["seconds.checkpoint"] == 9.0 and line["seconds.validation"] == 0.0
    assert line["memory_bytes"] > 1e7


def test_there_is_no_loss_when_every_step_was_skipped(meter):
    nan = float("nan")
    meter.add(Made(loss=nan, log_z=nan, weight=9.0, norm=nan, skipped="nan", stop=False), ROWS)
    line = meter.line()
    assert not {"loss", "grad_norm", "log_z_squared"} & line.keys()
    assert all(value == value for value in line.values())
