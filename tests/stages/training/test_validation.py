"""The loss on held-out data is that of the exported model on those documents."""

from dataclasses import replace

import pytest
import torch

from cluster.dag.metrics import read_metrics
from model import Packing
from model.checkpoint import load_pretrained
from stages.pretrain.settings import PretrainSettings
from stages.training.checkpoints import Checkpoints
from stages.training.loop import train
from tests.stages.training.conftest import SMALL, TINY_SCHEDULE

SETTINGS = PretrainSettings(steps=2, schedule=TINY_SCHEDULE, **SMALL)


def true_loss(model, file):
    """Sum of losses and of weights of every document by itself."""
    loss = weight = 0.0
    for ids, loss_255 in (file[number] for number in range(len(file))):
        tokens, weights = torch.tensor(ids.astype(int)), torch.tensor(loss_255[1:] / 255)
        packing = Packing.of([len(tokens) - 1])
        with torch.no_grad():
            nll = model(tokens[:-1], packing, tokens[1:], reduction="none")
        loss, weight = loss + float((nll * weights).sum()), weight + float(weights.sum())
    return loss, weight


def test_the_loss_on_held_out_data(job, write_tokens):
    made = job(SETTINGS, validate_every=1)
    held = {
        name: write_tokens(f"{name}/heldout", range(5, 60), 300, 100 + i)
        for i, name in enumerate(made.tokens)
    }
    train(made, Checkpoints(made.scratch / "checkpoints"))
    lines = [
        line for line in read_metrics(made.metrics_file) if "validation_loss" in line["metrics"]
    ]
    assert [line["step"] for line in lines] == [1, 2]
    model = load_pretrained(made.output).eval()
    sums = {name: true_loss(model, file) for name, file in held.items()}
    last = lines[-1]["metrics"]
    for name, (loss, weight) in sums.items():
        assert last[f"validation_loss.{name}"] == pytest.approx(loss / weight, rel=1e-5)
    total = [sum(column) for column in zip(*sums.values(), strict=True)]
    assert last["validation_loss"] == pytest.approx(total[0] / total[1], rel=1e-5)


def test_without_held_out_data_nothing_is_validated(job):
    made = job(replace(SETTINGS, steps=1), validate_every=1)
    train(made, Checkpoints(made.scratch / "checkpoints"))
    assert not any("validation_loss" in line["metrics"] for line in read_metrics(made.metrics_file))
    assert not (made.output / "samples.md").exists()
