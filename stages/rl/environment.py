"""Environments over token lists, in CWM's shape: start, step, rewards apart.

An `Env` holds no episode: everything that changes lies in a `State`, which can be cloned to branch.
Tokens go in and out; texts in a `Transition` are for people and are never tokenised again. An
environment says what happened (``outcomes``); a `RewardFn` says what that is worth.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

RewardFn = Callable[["Transition"], list[float]]
"""Rewards of a transition: one number per action token."""


class RewardError(LookupError):
    """There is no reward function of that name; lists the known ones."""


@dataclass(slots=True)
class State:
    """One episode: the policy's current context, turns taken and whatever the environment needs."""

    context: list[int]
    turns: int = 0
    data: dict[str, Any] = field(default_factory=dict)

    def clone(self) -> State:
        """An independent copy, to branch an episode."""
        return State(context=list(self.context), turns=self.turns, data=copy.deepcopy(self.data))

    def close(self) -> None:
        """Release what the episode holds outside this process; the base state holds nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Transition:
    """What one action did.

    ``observation`` are tokens that the environment appends; a terminal transition has none. With
    ``context_switch`` the observation replaces the context. An outcome of None means that it could
    not be found out (a broken sandbox): the episode must be masked, never scored.
    """

    action: list[int]
    observation: list[int]
    terminal: bool
    action_text: str = ""
    observation_text: str = ""
    context_switch: bool = False
    outcomes: Mapping[str, bool | float | None] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Context:
    """Aligned tokens, log-probs (0 on the environment's), rewards and who wrote each token."""

    tokens: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    agent: list[bool] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Trajectory:
    """One episode as the trainer sees it, with the versions of the policy that wrote it."""

    contexts: list[Context] = field(default_factory=list)
    outcomes: dict[str, bool | float | None] = field(default_factory=dict)
    text: str = ""
    begin_version: int = 0
    end_version: int = 0
    failed: bool = False
    """The environment could not score it: infrastructure, not the policy."""

    def observe(self, tokens: Sequence[int], *, switch: bool = False) -> None:
        """Append the environment's tokens, in a new context after a switch."""
        if switch or not self.contexts:
            self.contexts.append(Context())
        context = self.contexts[-1]
        context.tokens.extend(tokens)
        context.log_probs.extend([0.0] * len(tokens))
        context.agent.extend([False] * len(tokens))
        context.rewards.extend([0.0] * len(tokens))

    def act(
        self, tokens: Sequence[int], log_probs: Sequence[float], rewards: Sequence[float]
    ) -> None:
        """Append the agent's tokens with the sampler's log-probs and their rewards."""
        if not len(tokens) == len(log_probs) == len(rewards):
            raise ValueError(
                f"an action has {len(tokens)} tokens, {len(log_probs)} log-probs and "
                f"{len(rewards)} rewards: they must be aligned"
            )
        context = self.contexts[-1]
        context.tokens.extend(tokens)
        context.log_probs.extend(log_probs)
        context.agent.extend([True] * len(tokens))
        context.rewards.extend(rewards)

    @property
    def total_reward(self) -> float:
        """The return R: the sum of all rewards, undiscounted."""
        return sum(sum(context.rewards) for context in self.contexts)

    @property
    def agent_tokens(self) -> int:
        """L: how many tokens the policy wrote."""
        return sum(sum(context.agent) for context in self.contexts)


class Env(Protocol):
    """CWM's environment interface; ``arguments`` is the task as plain values."""

    def start(self, arguments: Mapping[str, Any]) -> tuple[State, Transition]:
        """Begin an episode: its state, and a transition whose observation is the prompt."""

    def step(self, state: State, action: list[int]) -> Transition:
        """Apply an action; ``state`` may be changed in place (clone it first to branch)."""

    def max_action_length(self, state: State) -> int:
        """The most tokens that the next action may have."""


def on_last_token(action: Sequence[int], value: float) -> list[float]:
    """A reward for the whole action, placed on its last token."""
    return [0.0] * (len(action) - 1) + [value] if action else []


def pass_only(transition: Transition) -> list[float]:
    """+1 on the last token of a passing episode, -1 of a failing one, 0 before the end."""
    value = 2.0 * bool(transition.outcomes.get("pass")) - 1.0 if transition.terminal else 0.0
    return on_last_token(transition.action, value)


REWARDS: dict[str, RewardFn] = {"pass_only": pass_only}


def reward_function(name: str) -> RewardFn:
    """Return the reward function of that name, or raise `RewardError`."""
    if name not in REWARDS:
        raise RewardError(f"no reward function {name!r}; there are {', '.join(sorted(REWARDS))}")
    return REWARDS[name]


Verdict = Callable[[Any, str], bool | None]
"""(task, answer text) -> passed, or None when the infrastructure failed."""


@dataclass(frozen=True, slots=True)
class SingleTurnEnv:
    """One prompt, one answer, a verdict.

    ``prompt`` maps a task's plain values to prompt tokens, ``decode`` tokens to text, ``verdict``
    judges the text. An answer that does not end with a token of ``stop_ids`` was cut off and fails.
    """

    prompt: Callable[[Mapping[str, Any]], list[int]]
    decode: Callable[[Sequence[int]], str]
    verdict: Verdict
    stop_ids: frozenset[int]
    max_length: int
    max_answer_tokens: int

    def start(self, arguments: Mapping[str, Any]) -> tuple[State, Transition]:
        """Begin: the observation is the prompt."""
        prompt = self.prompt(arguments)
        state = State(context=list(prompt), data={"task": arguments})
        return state, Transition(action=[], observation=list(prompt), terminal=False)

    def step(self, state: State, action: list[int]) -> Transition:
        """Judge the answer; always terminal."""
        state.context.extend(action)
        state.turns += 1
        finished = bool(action) and action[-1] in self.stop_ids
        text = self.decode(action[:-1] if finished else action)
        passed = self.verdict(state.data["task"], text) if finished else False
        return Transition(
            action=action,
            observation=[],
            terminal=True,
            action_text=text,
            outcomes={"pass": passed, "finished": finished},
        )

    def max_action_length(self, state: State) -> int:
        """What is left of the episode's length, at most one answer."""
        return max(0, min(self.max_answer_tokens, self.max_length - len(state.context)))
