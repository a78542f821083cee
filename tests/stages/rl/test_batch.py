import pytest
import torch

from stages.rl.batch import divide, pack, rounds, split
from stages.rl.selection import Item


def item(length, advantage=1.0, agent=2):
    return Item(
        tokens=list(range(length)),
        log_probs=[-0.5 * i for i in range(length)],
        agent=[i >= length - agent for i in range(length)],
        advantage=advantage,
    )


def test_labels_are_the_next_tokens_that_the_agent_wrote():
    micro = pack([item(4, 2.0), item(3, -1.0)])
    assert micro.ids.tolist() == [0, 1, 2, 3, 0, 1, 2]
    assert micro.labels.tolist() == [-100, 2, 3, -100, 1, 2, -100]
    assert micro.old_log_probs.tolist() == [-0.5, -1.0, -1.5, 0, -0.5, -1.0, 0]
    assert micro.advantages.tolist() == [2.0] * 4 + [-1.0] * 3
    assert micro.packing.lengths == (4, 3)
    assert micro.mask.tolist() == [False, True, True, False, True, True, False]


def test_ranks_get_everything_once_and_about_equally():
    items = [item(n) for n in (9, 3, 7, 5, 5, 4, 2)]
    shares = divide(items, 3)
    assert sorted(len(i.tokens) for share in shares for i in share) == [2, 3, 4, 5, 5, 7, 9]
    loads = [sum(len(i.tokens) for i in share) for share in shares]
    assert max(loads) - min(loads) <= 2


def test_runs_stay_below_the_limit_unless_one_item_is_longer():
    runs = split([item(n) for n in (4, 4, 4, 20, 3)], 10)
    assert [[len(i.tokens) for i in run] for run in runs] == [[4, 4], [4], [20], [3]]


def test_every_rank_has_equally_many_rounds():
    items = [item(8), item(3), item(3), item(3)]
    first, second = (rounds(items, 2, rank, max_tokens=4) for rank in (0, 1))
    assert len(first) == len(second) == 3
    idle = pack(first[-1])
    assert not idle.mask.any() and torch.all(idle.advantages == 0)


@pytest.mark.parametrize("rank", [0, 1])
def test_one_item_keeps_all_ranks_in_step(rank):
    assert len(rounds([item(5)], 2, rank, max_tokens=4)) == 1
