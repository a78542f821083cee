"""From a group of trajectories to training items: what is rejected, stale or without signal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from stages.rl.environment import Trajectory
from stages.rl.objective import group_advantages, is_gibberish, is_stale
from stages.rl.settings import RLSettings


@dataclass(slots=True)
class Group:
    """The trajectories sampled for one prompt."""

    task: str
    kind: str
    trajectories: list[Trajectory]

    @property
    def solved(self) -> list[bool]:
        """Which of the episodes that could be scored passed."""
        return [t.total_reward > 0 for t in self.trajectories if not t.failed]


@dataclass(frozen=True, slots=True)
class Item:
    """One context of a trajectory, ready for the objective."""

    tokens: list[int]
    log_probs: list[float]
    agent: list[bool]
    advantage: float
    fresh: bool = False
    """Sampled from exactly the trainer's weights: the sampler's log-probs must be the trainer's."""

    @property
    def agent_tokens(self) -> int:
        """Tokens that the objective sums over."""
        return sum(self.agent)


@dataclass(slots=True)
class Selection:
    """The items of one group, and how many trajectories were left out for which reason."""

    items: list[Item] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    staleness: list[int] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """Agent tokens with a non-zero advantage: what fills a batch."""
        return sum(item.agent_tokens for item in self.items)


def _fault(
    trajectory: Trajectory, version: int, vocabulary: int, settings: RLSettings
) -> str | None:
    """Why a trajectory may not take part, or None."""
    if trajectory.failed:
        return "infrastructure"
    if is_stale(trajectory.end_version, version, settings.max_staleness):
        return "stale"
    for context in trajectory.contexts:
        pairs = [
            (t, p)
            for t, p, a in zip(context.tokens, context.log_probs, context.agent, strict=True)
            if a
        ]
        if is_gibberish(
            [t for t, _ in pairs],
            [p for _, p in pairs],
            vocabulary=vocabulary,
            share=settings.gibberish_share,
            slack=settings.gibberish_slack,
        ):
            return "gibberish"
    return None


def _items(trajectory: Trajectory, advantage: float, version: int) -> list[Item]:
    fresh = trajectory.begin_version == trajectory.end_version == version
    return [
        Item(context.tokens, context.log_probs, context.agent, advantage, fresh)
        for context in trajectory.contexts
        if any(context.agent)
    ]


def select(group: Group, *, version: int, vocabulary: int, settings: RLSettings) -> Selection:
    """Filter one group at the trainer's ``version`` and give what remains its advantages.

    Faulty trajectories are left out before the group's mean is taken: what is not scored must not
    move the baseline of what is.
    """
    selection = Selection()
    kept: list[Trajectory] = []
    for trajectory in group.trajectories:
        fault = _fault(trajectory, version, vocabulary, settings)
        if fault:
            selection.dropped[fault] += 1
        else:
            kept.append(trajectory)
    advantages = group_advantages([t.total_reward for t in kept], [t.agent_tokens for t in kept])
    for trajectory, advantage in zip(kept, advantages, strict=True):
        if advantage == 0.0:
            selection.dropped["zero-advantage"] += 1
            continue
        selection.staleness.append(version - trajectory.end_version)
        selection.items.extend(_items(trajectory, advantage, version))
    return selection
