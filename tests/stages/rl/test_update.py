from dataclasses import replace

import pytest
import torch

from cluster.deepspeed import start_process
from model.checkpoint import load_config
from model.transformer import CWM
from stages.rl.learner import Learner
from stages.rl.selection import Item
from stages.rl.settings import RLPlacement, RLSettings
from stages.rl.update import learning_rate, update
from tests.ranks import run_ranks
from tests.stages.rl.torch_learner import TorchLearner

SETTINGS = RLSettings(max_length=16, max_answer_tokens=8, learning_rate=1e-3, warmup_steps=4)


def items():
    generator = torch.Generator().manual_seed(1)
    made = []
    for number in range(12):
        length = int(torch.randint(6, 12, (), generator=generator))
        tokens = torch.randint(0, 16, (length,), generator=generator).tolist()
        agent = [False] * 4 + [True] * (length - 4)
        log_probs = [0.0] * 4 + [-2.5] * (length - 4)
        made.append(Item(tokens, log_probs, agent, 1.0 if number % 3 else -0.7, fresh=True))
    return made


def test_warm_up_then_constant():
    rates = [learning_rate(SETTINGS, n) for n in range(6)]
    assert rates == pytest.approx([2.5e-4, 5e-4, 7.5e-4, 1e-3, 1e-3, 1e-3])


@pytest.mark.parametrize("micro_batch_tokens", [1000, 30])
def test_zero3_takes_the_steps_of_plain_torch(warm, tmp_path, micro_batch_tokens):
    start_process()
    zero = Learner(warm, SETTINGS, RLPlacement(), scratch=tmp_path)
    plain = TorchLearner(warm, SETTINGS)
    for step in range(4):
        left = update(zero, items(), SETTINGS, updates=step, micro_batch_tokens=micro_batch_tokens)
        right = update(plain, items(), SETTINGS, updates=step, micro_batch_tokens=1000)
        assert left == pytest.approx(right, rel=1e-3, abs=1e-5)
    one, other = zero.state_dict(), plain.state_dict()
    assert max((one[n] - other[n]).abs().max() for n in one) < 1e-5
    assert left["clip_fraction"] > 0


def shared_steps(checkpoint, folder):
    """The metrics of three steps of this rank of two that share every micro-batch."""
    start_process()
    learner = Learner(
        checkpoint, SETTINGS, RLPlacement(workers=2, sequence_parallel=2), scratch=folder
    )
    return [
        update(learner, items(), SETTINGS, updates=step, micro_batch_tokens=30) for step in range(3)
    ]


def test_two_ranks_share_micro_batches(warm, tmp_path):
    config = replace(load_config(warm), num_key_value_heads=2)  # one for each
    start = tmp_path / "start"
    CWM(config).save_pretrained(start)
    plain = TorchLearner(start, SETTINGS)
    true = [update(plain, items(), SETTINGS, updates=n, micro_batch_tokens=1000) for n in range(3)]
    for steps in run_ranks(2, shared_steps, start, tmp_path):
        for left, right in zip(steps, true, strict=True):
            assert left == pytest.approx(right, rel=1e-3, abs=1e-5)


def test_advantage_moves_the_probability_its_way(warm):
    learner = TorchLearner(warm, SETTINGS)
    first = update(learner, items(), SETTINGS, updates=10, micro_batch_tokens=1000)
    for step in range(5):
        last = update(learner, items(), SETTINGS, updates=10 + step, micro_batch_tokens=1000)
    assert last["loss"] < first["loss"]


def test_several_updates_on_one_batch_move_away_from_the_sampler(warm):
    several = RLSettings(
        max_length=16, max_answer_tokens=8, learning_rate=1e-3, updates_per_batch=3
    )
    one, three = TorchLearner(warm, SETTINGS), TorchLearner(warm, several)
    update(one, items(), SETTINGS, updates=10, micro_batch_tokens=1000)
    update(three, items(), several, updates=10, micro_batch_tokens=1000)
    name = "lm_head.weight"
    start = TorchLearner(warm, SETTINGS).state_dict()[name]
    assert (three.state_dict()[name] - start).norm() > 1.5 * (one.state_dict()[name] - start).norm()
