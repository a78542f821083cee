"""Sequence parallelism computes what one rank does, and each of its silent traps would show."""

from dataclasses import replace

import pytest
import torch
import torch.distributed as dist

from model import CWM, Packing
from model.attention import default_attention
from stages.training.batch import IGNORED
from stages.training.world import SequenceParallelError, check_groups
from tests.model.tiny import CONFIG
from tests.ranks import run_ranks
from tests.stages.training.equality import loss_of, row_of

WINDOW, REACH = CONFIG.sliding_window, 24


def attention_errors():
    """Largest differences of output and gradients from attention on one rank."""
    from stages.training.sequence_parallel import SequenceParallel

    parallel, found = SequenceParallel(2, 2), []
    packing = Packing.of([50, 3, 27])
    for window in (None, WINDOW, REACH):
        generator = torch.Generator().manual_seed(0)
        sizes = ((80, 4, 8), (80, 2, 8), (80, 2, 8), (80, 4, 8))
        *inputs, grad = (torch.randn(size, generator=generator) for size in sizes)
        whole = [x.clone().requires_grad_() for x in inputs]
        true = default_attention(*whole, packing, window)
        true.backward(grad)
        parts = [x.chunk(2)[parallel.part].clone().requires_grad_() for x in inputs]
        ours = parallel.attention(*parts, packing.part(parallel.part, 2), window)
        ours.backward(grad.chunk(2)[parallel.part])
        found.append(difference(ours, true, parallel))
        found += [difference(x.grad, y.grad, parallel) for x, y in zip(parts, whole, strict=True)]
    return found


def difference(part, whole, parallel):
    return (part - whole.chunk(2)[parallel.part]).abs().max().item()


def wrong_losses():
    """The loss of one row as it should be, and as it is after each silent mistake."""
    from stages.training.sequence_parallel import SequenceParallel

    parallel = SequenceParallel(2, 2)
    torch.manual_seed(0)
    model = CWM(CONFIG)
    row = row_of((40, 3, 30), 5)

    def summed(batch, attention=parallel.attention):
        model.attention = attention
        weight = batch.weights.sum().double()
        with torch.no_grad():
            sums = torch.stack([loss_of(model, batch).double() * weight, weight])
        dist.all_reduce(sums)
        return (sums[0] / sums[1]).item()

    def without_window(q, k, v, packing, window):
        return parallel.attention(q, k, v, packing, None)

    def without_documents(q, k, v, packing, window):
        one = Packing.of([sum(packing.lengths)]).part(parallel.part, 2)
        return parallel.attention(q, k, v, one, window)

    part = parallel.shard(row)
    tokens = len(part.ids)
    restarted = replace(part.packing, positions=torch.arange(tokens))
    shifted_late = part.labels.clone()
    shifted_late[-1] = IGNORED  # the next token is the other rank's
    late = replace(part, labels=shifted_late, weights=part.weights * (shifted_late != IGNORED))
    alone = Packing.of([tokens])  # a part as a row of its own
    mean = torch.tensor(loss_of_part(model, parallel, part))
    dist.all_reduce(mean)
    return {
        "right": summed(part),
        "window": summed(part, without_window),
        "documents": summed(part, without_documents),
        "positions": summed(replace(part, packing=restarted)),
        "labels": summed(late),
        "weighting": mean.item() / 2,
        "communication": summed(replace(part, packing=alone), default_attention),
    }


def loss_of_part(model, parallel, part):
    model.attention = parallel.attention
    with torch.no_grad():
        return loss_of(model, part).item()


def in_two():
    return attention_errors(), wrong_losses()


@pytest.fixture(scope="module")
def two():
    return run_ranks(2, in_two)


def test_attention_over_parts_is_attention_over_the_row(two):
    for errors, _ in two:
        assert max(errors) < 2e-6, errors


def test_every_silent_mistake_would_show(two):
    torch.manual_seed(0)
    with torch.no_grad():
        true = loss_of(CWM(CONFIG), row_of((40, 3, 30), 5)).item()
    for _, losses in two:
        losses = dict(losses)
        assert losses.pop("right") == pytest.approx(true, abs=2e-6)
        for mistake, loss in losses.items():
            assert abs(loss - true) > 1e-4, mistake


def test_groups_must_divide_workers_and_heads():
    check_groups(2, workers=4, kv_heads=8)
    with pytest.raises(SequenceParallelError, match="sequence_parallel = 3 does not divide the wo"):
        check_groups(3, workers=4, kv_heads=3)
    with pytest.raises(SequenceParallelError, match="does not divide the model's kv_heads = 2"):
        check_groups(4, workers=4, kv_heads=2)
