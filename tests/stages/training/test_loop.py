"""The loop in one process: it computes what plain torch computes, and resumes to the same bits."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from cluster.dag.errors import StoppedError
from cluster.dag.metrics import read_metrics
from cluster.devices import device
from model.checkpoint import load_pretrained, save_pretrained
from model.transformer import CWM
from stages.pretrain.settings import PretrainSettings
from stages.training.batch import build_batch
from stages.training.checkpoints import Checkpoints
from stages.training.loop import train
from stages.training.rows import Cursor
from stages.training.worker import run_job
from tests.stages.training.conftest import SMALL, TINY_SCHEDULE

SETTINGS = PretrainSettings(steps=12, rows_per_step=2, schedule=TINY_SCHEDULE, **SMALL)


def losses(job):
    return [
        line["metrics"]["loss"]
        for line in read_metrics(job.metrics_file)
        if "loss" in line["metrics"]
    ]


def plain_losses(job):
    """The same training in a few lines of torch."""
    torch.manual_seed(job.settings.seed)
    model = CWM(job.config)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=0.1)
    rows, cursor, found = job.rows(), Cursor(), []
    files = rows.files
    for step in range(job.settings.steps):
        taken, cursor = rows.take(cursor, job.settings.rows_per_step)
        batch = build_batch(taken, files, device())
        loss = model(batch.ids, batch.packing, batch.labels, batch.weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = job.schedule(step)
        optimizer.step()
        optimizer.zero_grad()
        found.append(float(loss.detach()))
    return found


@pytest.mark.parametrize("micro_rows", [1, 2])
def test_zero3_equals_plain_torch(job, micro_rows):
    made = job(SETTINGS, micro_rows=micro_rows)
    train(made, Checkpoints(made.scratch))
    assert losses(made) == pytest.approx(plain_losses(made), abs=1e-5)
    assert losses(made)[-1] < losses(made)[0] - 0.5


def test_training_goes_on_from_a_checkpoint_in_shards(job, tmp_path):
    first = job(SETTINGS)
    train(first, Checkpoints(first.scratch))
    save_pretrained(load_pretrained(first.output), tmp_path / "start", max_shard_bytes=50_000)
    assert len(list((tmp_path / "start").glob("*.safetensors"))) > 2
    then = replace(job(replace(SETTINGS, steps=1)), weights=tmp_path / "start")
    train(then, Checkpoints(then.scratch))
    assert losses(then)[0] < losses(first)[0] - 0.5


def test_recomputing_activations_changes_nothing(job):
    kept, recomputed = job(SETTINGS), job(SETTINGS, recompute="full")
    for made in (kept, recomputed):
        train(made, Checkpoints(made.scratch))
    assert losses(recomputed) == pytest.approx(losses(kept), abs=1e-5)


def test_bfloat16_trains(job):
    made = job(replace(SETTINGS, precision="bfloat16"))
    train(made, Checkpoints(made.scratch))
    assert losses(made)[-1] < losses(made)[0] - 0.5
    tensors = load_file(made.output / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}


def test_resuming_gives_the_same_bits(job):
    straight, first = job(SETTINGS), job(replace(SETTINGS, steps=7), checkpoint_every=5)
    train(straight, Checkpoints(straight.scratch))
    train(first, Checkpoints(first.scratch))
    second = replace(first, settings=SETTINGS)
    train(second, Checkpoints(first.scratch))
    assert losses(second) == losses(straight)
    weights = [load_file(made.output / "model.safetensors") for made in (straight, second)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_only_the_last_checkpoints_are_kept(job):
    made = job(SETTINGS, checkpoint_every=2)
    train(made, Checkpoints(made.scratch / "checkpoints"))
    kept = sorted(path.name for path in (made.scratch / "checkpoints").iterdir())
    assert kept == ["owner", "step000000010", "step000000012"]


def test_asked_to_stop_it_saves_ends_and_goes_on_to_the_same_bits(job, tmp_path):
    straight, made = job(SETTINGS), job(SETTINGS, log_every=5, checkpoint_every=100)
    train(straight, Checkpoints(straight.scratch))
    asked = replace(made, stop_file=tmp_path / "stop")
    asked.stop_file.touch()
    with pytest.raises(StoppedError, match="saving a checkpoint"):
        run_job(asked)
    assert [path.name for path in (made.scratch / "checkpoints").glob("step*")] == ["step000000001"]
    asked.stop_file.unlink()
    run_job(asked)
    weights = [load_file(done.output / "model.safetensors") for done in (straight, made)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
