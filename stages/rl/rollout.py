"""The rollout worker: plays episodes with its own copy of the model, and keeps the copy fresh.

Every ``swap_every`` steps of generation a worker takes up newer weights, also in the middle of an
answer; a trajectory records the versions of its first and its last tokens, and the log-probs under
which each token was really sampled.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import torch

from cluster.dag.process import cpu_seconds
from cluster.dag.stage import resolve
from cluster.devices import device
from model.checkpoint import load_pretrained
from model.generate import Generator
from stages.rl.domain import Domain, WorkerSpec
from stages.rl.environment import State, Trajectory, reward_function
from stages.rl.pool import Request, Rollouts
from stages.rl.selection import Group
from stages.rl.weights import VersionGoneError, WeightTransport

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Episode:
    """One running episode and the action it was given last."""

    state: State
    trajectory: Trajectory
    action: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    limit: int = 0  # tokens of the action
    over: bool = False


class RolloutWorker:
    """Model, generator, environment and sandbox of one worker; also the body of the Ray actor."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._settings = spec.settings
        self._domain: Domain = resolve(spec.domain)(spec)
        self._reward = reward_function(spec.settings.reward)
        self._transport = WeightTransport(Path(spec.weights))
        dtype = torch.bfloat16 if spec.settings.precision == "bfloat16" else torch.float32
        self._model = load_pretrained(spec.checkpoint).to(device(), dtype).eval()
        self._version: int | None = None
        self._generator = Generator(
            self._model,
            max_length=spec.settings.max_length,
            stop_ids=self._domain.stop_ids,
            batch=spec.settings.generation_batch,
            refresh=self._look,
        )
        self._request: Request | None = None  # the one being played
        self._steps = 0  # of generation, since the last look for newer weights

    def ready(self) -> bool:
        """Answer once the worker has started."""
        return True

    def close(self) -> float:
        """Close the sandbox; return the processor seconds that worker and sandbox used."""
        self._domain.close()
        return cpu_seconds()

    def rollout(self, request: Request) -> Rollouts:
        """Play ``samples`` episodes of each of the request's tasks."""
        started = time.monotonic()
        self._generator.seed, self._generator.calls = request.seed, 0
        self._request = request
        groups: list[Group] = []
        episodes: list[_Episode] = []
        for name in request.tasks:
            group = Group(name, self._domain.kinds[name], [])
            for _ in range(request.samples):
                episodes.append(self._start(name))
                group.trajectories.append(episodes[-1].trajectory)
            groups.append(group)
        active = episodes
        while active:
            self._act(active, request)
            for episode in active:
                self._step(episode)
            active = [episode for episode in active if not episode.over]
        tokens = sum(t.agent_tokens for group in groups for t in group.trajectories)
        return Rollouts(request, groups, time.monotonic() - started, tokens)

    def _start(self, name: str) -> _Episode:
        state, first = self._domain.env.start(self._domain.arguments[name])
        trajectory = Trajectory()
        trajectory.observe(first.observation)
        return _Episode(state, trajectory)

    def _refresh(self, request: Request) -> int:
        """Load the version that the request asks for, or the latest; return it."""
        while True:
            wanted = self._transport.latest() if request.version is None else request.version
            if wanted is None:
                raise VersionGoneError(f"no version was published in {self._transport.folder}")
            # Also when it is older: a trainer that resumed has gone back.
            if wanted == self._version:
                return wanted
            try:
                self._model.load_state_dict(self._transport.pull(wanted))
            except VersionGoneError:
                if request.version is not None:
                    raise
                continue  # replaced between the two reads
            self._version = wanted

    def _look(self) -> int:
        """Return the version to generate with; called at every step of generation."""
        assert self._request is not None and self._version is not None
        self._steps += 1
        if self._settings.swap_every and self._steps > self._settings.swap_every:
            self._steps = 0
            return self._refresh(self._request)
        return self._version

    def _act(self, episodes: list[_Episode], request: Request) -> None:
        """Generate one whole action for every episode."""
        for episode in episodes:
            episode.action, episode.log_probs = [], []
            episode.limit = self._domain.env.max_action_length(episode.state)
        self._refresh(request)
        self._steps = 0
        for alike in self._alike([episode for episode in episodes if episode.limit > 0]):
            self._generate(alike, request)

    def _alike(self, pending: list[_Episode]) -> list[list[list[_Episode]]]:
        """Sort episodes for generation: calls of prompts of episodes with an equal context.

        Prompts of one call are sampled equally often and have actions of one limit.
        """
        prompts: dict[tuple[int, ...], list[_Episode]] = defaultdict(list)
        for episode in pending:
            prompts[tuple(episode.state.context)].append(episode)
        calls: dict[tuple[int, int], list[list[_Episode]]] = defaultdict(list)
        for same in prompts.values():
            calls[len(same), same[0].limit].append(same)
        return list(calls.values())

    def _generate(self, prompts: list[list[_Episode]], request: Request) -> None:
        first = prompts[0][0]
        samples = self._generator.generate(
            [list(same[0].state.context) for same in prompts],
            max_new_tokens=first.limit,
            temperature=request.temperature,
            samples=len(prompts[0]),
        )
        for same, drawn in zip(prompts, samples, strict=True):
            for episode, sample in zip(same, drawn, strict=True):
                if not episode.trajectory.agent_tokens:
                    episode.trajectory.begin_version = sample.versions[0]
                episode.trajectory.end_version = sample.versions[-1]
                episode.action, episode.log_probs = sample.tokens, sample.logprobs

    def _step(self, episode: _Episode) -> None:
        trajectory = episode.trajectory
        transition = self._domain.env.step(episode.state, episode.action)
        trajectory.act(episode.action, episode.log_probs, self._reward(transition))
        trajectory.outcomes.update(transition.outcomes)
        trajectory.text = transition.action_text
        # An outcome that could not be found out is nobody's fault: masked, never scored.
        trajectory.failed |= any(value is None for value in transition.outcomes.values())
        if transition.terminal:
            episode.over = True
            episode.state.close()
        else:
            trajectory.observe(transition.observation, switch=transition.context_switch)
