"""The model under DeepSpeed ZeRO-3 is the model without it, in a process of its own."""

import multiprocessing
import os

import torch

from model import CWM, Packing, loss
from model.transformer import Block
from tests.model.tiny import CONFIG, ids_of

CONFIGURATION = {
    "train_batch_size": 1,
    "gradient_clipping": 1.0,
    "zero_optimization": {"stage": 3},
    "optimizer": {"type": "AdamW", "params": {"lr": 1e-3, "torch_adam": True}},
    "zero_allow_untested_optimizer": True,
}


def plain_losses(steps):
    torch.manual_seed(0)
    model = CWM(CONFIG)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.01)
    losses = []
    for step in range(steps):
        value = loss_of(model, step)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(value.item())
    return losses


def example(step):
    weights = torch.rand(60, generator=torch.Generator().manual_seed(step))
    return ids_of(60, seed=step), Packing.of([20, 40]), ids_of(60, seed=step + 50), weights


def loss_of(model, step):
    """The weighted mean, in turns by the head and from single losses, as RL does."""
    ids, packing, labels, weights = example(step)
    if step % 2:
        return (model(ids, packing, labels, reduction="none") * weights).sum() / weights.sum()
    return model(ids, packing, labels, weights)


def compare(rendezvous):
    os.environ |= {"DS_ACCELERATOR": "cpu", "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{rendezvous}", rank=0, world_size=1
    )
    import deepspeed
    import deepspeed.ops
    from deepspeed.utils import set_z3_leaf_modules

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # would be compiled
    deepspeed.init_distributed(dist_backend="gloo")
    torch.manual_seed(0)
    with deepspeed.zero.Init(config_dict_or_path=CONFIGURATION):
        model = CWM(CONFIG, recompute="selective")
    torch.manual_seed(0)
    for (name, ours), true in zip(model.named_parameters(), CWM(CONFIG).parameters(), strict=True):
        assert ours.numel() == 0, name  # only the shard is held
        with deepspeed.zero.GatheredParameters([ours]):
            assert torch.equal(ours, true), name
    set_z3_leaf_modules(model, [Block])
    loss._LOGITS_AT_ONCE, loss.CHUNK = 0, 16  # also the chunked head
    engine, *_ = deepspeed.initialize(model=model, config=CONFIGURATION)
    losses = []
    for step in range(4):
        value = loss_of(engine, step)
        engine.backward(value)
        engine.step()
        losses.append(value.item())
    loss._LOGITS_AT_ONCE = 1 << 22
    difference = torch.tensor(losses) - torch.tensor(plain_losses(4))
    assert difference.abs().max() < 2e-5, difference


def test_initialisation_and_training_equal_plain_torch(tmp_path):
    process = multiprocessing.get_context("spawn").Process(
        target=compare, args=(tmp_path / "rendezvous",)
    )
    process.start()
    process.join(300)
    assert process.exitcode == 0
