"""The same training twice: in plain torch, and in ranks under ZeRO-3 that share rows or not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist

from model import CWM, Packing
from model.transformer import Block
from stages.training.batch import IGNORED, Batch
from tests.model.tiny import CONFIG, ids_of

LEARNING_RATE, BETAS, EPSILON, DECAY, CLIP = 3e-3, (0.9, 0.95), 1e-8, 0.1, 1.0
LENGTHS = ((40, 3, 30), (61,), (1, 25, 17), (33, 34))
"""Documents of a step's rows: several in most, longer than the window of 16, and odd sums."""


@dataclass(frozen=True)
class Case:
    """How ranks train; the plain training is the same for all."""

    sequence_parallel: int = 1
    steps: int = 4
    micro_rows: int = 1
    recompute: str = "none"
    bfloat16: bool = False
    reach: int | None = None
    partition_within: int = 0
    offload: str = "none"
    gradient_dtype: str = "float32"


@dataclass(frozen=True)
class Outcome:
    """What a rank saw: the global loss and gradient norm of each step, the loss of what it never
    trained on, and its share of all elements of parameters and of optimizer state."""

    losses: list[float]
    norms: list[float]
    held_out: float = 0.0
    parameters: float = 1.0
    optimizer: float = 1.0
    second: float = 0.0
    """Share that it held once more, partitioned within a group, in the last backward pass."""


def row_of(lengths, seed, reach=None):
    """A row of random tokens with shifted labels and weights of which a third are 0."""
    generator = torch.Generator().manual_seed(seed)
    ids = ids_of(sum(lengths), seed)
    weights = torch.rand(len(ids), generator=generator)
    weights[torch.rand(len(ids), generator=generator) < 0.3] = 0
    labels = ids.roll(-1)
    packing = Packing.of(lengths, reach=reach)
    labels[packing.cu_seqlens[1:].long() - 1] = IGNORED  # nothing follows a document's last token
    labels[weights == 0] = IGNORED
    weights[labels == IGNORED] = 0
    return Batch(ids, labels, weights, packing)


def rows_of(step, reach=None):
    return [row_of(lengths, 10 * step + i, reach) for i, lengths in enumerate(LENGTHS)]


def joined(rows):
    """One batch of several rows."""
    return Batch(
        torch.cat([row.ids for row in rows]),
        torch.cat([row.labels for row in rows]),
        torch.cat([row.weights for row in rows]),
        Packing.of([n for row in rows for n in row.packing.lengths], reach=rows[0].packing.reach),
    )


def loss_of(model, batch):
    return model(batch.ids, batch.packing, batch.labels, batch.weights)


def plain(steps, reach=None):
    """Plain single-process training: all rows in one forward pass, `torch.optim.AdamW`."""
    torch.manual_seed(0)
    model = CWM(CONFIG)
    optimizer = torch.optim.AdamW(
        model.parameters(), LEARNING_RATE, betas=BETAS, eps=EPSILON, weight_decay=DECAY
    )
    losses, norms = [], []
    for step in range(steps):
        loss = loss_of(model, joined(rows_of(step, reach)))
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    with torch.no_grad():
        held_out = loss_of(model, joined(rows_of(99, reach))).item()
    return Outcome(losses, norms, held_out)


def open_case(case):
    """Return the sequence parallelism and the engine of a case; every rank must call."""
    from cluster.deepspeed import build, initialize, start_process, zero3_config
    from stages.training.sequence_parallel import SequenceParallel

    start_process()
    parallel = SequenceParallel(case.sequence_parallel, CONFIG.num_key_value_heads)
    config = zero3_config(
        learning_rate=LEARNING_RATE,
        betas=BETAS,
        epsilon=EPSILON,
        weight_decay=DECAY,
        clip=CLIP,
        bfloat16=case.bfloat16,
        offload=case.offload,
        partition_within=case.partition_within,
        gradient_dtype=case.gradient_dtype,
    )
    # a model so small would be kept whole: let everything go that no module is using
    for name in ("param_persistence_threshold", "max_live_parameters", "max_reuse_distance"):
        config["zero_optimization"][f"stage3_{name}"] = 0
    model = build(config, lambda: CWM(CONFIG, parallel.attention, recompute=case.recompute), seed=0)
    return parallel, initialize(model, config, leaves=[Block])


def sharded(case):
    """Train as ``case`` says; runs in every rank."""
    from cluster.deepspeed import all_sum

    parallel, engine = open_case(case)
    losses, norms = [], []
    for step in range(case.steps):
        rows = rows_of(step, case.reach)
        total = sum(float(row.weights.sum()) for row in rows)
        mine = rows[parallel.data_rank :: parallel.data_size]
        passes = [mine[i : i + case.micro_rows] for i in range(0, len(mine), case.micro_rows)]
        summed = 0.0
        for number, part in enumerate(passes):
            batch = parallel.shard(joined(part))
            share = float(batch.weights.sum()) / total
            loss = loss_of(engine, batch)
            engine.set_gradient_accumulation_boundary(number == len(passes) - 1)
            engine.backward(loss * share * dist.get_world_size(), scale_wrt_gas=False)
            summed += loss.item() * share
        second = twice(engine)
        engine.step()
        losses.append(all_sum([summed])[0])
        norms.append(float(engine.get_global_grad_norm()))
    with torch.no_grad():
        batch = parallel.shard(joined(rows_of(99, case.reach)))
        weight = float(batch.weights.sum())
        loss, weights = all_sum([loss_of(engine, batch).item() * weight, weight])
    return Outcome(losses, norms, loss / weights, *owned(engine), second)


def owned(engine):
    """This rank's share of the elements of parameters, and of AdamW's two moments."""
    parameters = list(engine.module.parameters())
    whole = sum(p.ds_numel for p in parameters)
    held = sum(p.ds_tensor.ds_numel for p in parameters)
    state = engine.optimizer.optimizer.state.values()
    moments = sum(x.numel() for s in state for x in s.values() if x.numel() > 1)
    return held / whole, moments / (2 * whole)


def twice(engine):
    """This rank's share of what hierarchical partitioning keeps."""
    parameters = list(engine.module.parameters())
    kept = [p.ds_secondary_tensor for p in parameters if p.ds_secondary_tensor is not None]
    return sum(x.numel() for x in kept) / sum(p.ds_numel for p in parameters)
