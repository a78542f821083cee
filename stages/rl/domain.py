"""What a rollout worker plays in: an environment, its tasks, and what must be closed afterwards.

A domain is named by a string (``"stages.rl.domain:tasks"``), so that workers on other machines can
build it: a function (`WorkerSpec`) -> `Domain`. This module's `tasks` is the stage's own: prompts
of `stages.tasks`, judged by execution in a sandbox.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.chat import encode_chat
from model.tokens import Tokenizer
from stages.rl.environment import Env, SingleTurnEnv
from stages.rl.settings import RLSettings

log = logging.getLogger(__name__)

VERDICTS_KEPT = 50_000
"""Verdicts a worker remembers before it starts afresh."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """All that a rollout worker needs, as plain values."""

    checkpoint: str
    """Folder of the model that RL starts from, with its tokenizer."""
    tasks: str
    """Folder of the tasks artifact."""
    weights: str
    """Folder of the weight transport."""
    settings: RLSettings
    domain: str = "stages.rl.domain:tasks"


@dataclass(frozen=True, slots=True)
class Domain:
    """An environment and the tasks it can start, by id."""

    env: Env
    arguments: Mapping[str, Mapping[str, Any]]
    kinds: Mapping[str, str]
    stop_ids: tuple[int, ...]
    close: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True, slots=True)
class Prompts:
    """The ids that the trainer draws from."""

    train: dict[str, list[str]]
    """Kind -> ids."""
    heldout: list[tuple[str, str]]
    """(id, kind), in a fixed order."""
    too_long: int = 0
    """Training prompts left out because prompt and answer would not fit."""


def _text(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    # A model's vocabulary may be padded beyond the tokenizer's; such a token has no text.
    known = [i for i in ids if i < tokenizer.vocab_size]
    return tokenizer.decode(known) if len(known) == len(ids) else "\ufffd"


class _Judge:
    """Remembers verdicts: groups repeat answers, and the programs are deterministic."""

    def __init__(self, verify: Callable[[str, str], bool | None]) -> None:
        self._verify = verify
        self._known: dict[tuple[str, str], bool] = {}

    def __call__(self, arguments: Mapping[str, Any], text: str) -> bool | None:
        """Judge an answer to the task of this id; what could not be judged is tried again."""
        key = (arguments["id"], text)
        if key in self._known:
            return self._known[key]
        passed = self._verify(*key)
        if passed is not None:
            if len(self._known) >= VERDICTS_KEPT:
                self._known.clear()
            self._known[key] = passed
        return passed


def tasks(spec: WorkerSpec) -> Domain:
    """Build the stage's domain: chats of `stages.tasks`, verdicts by execution."""
    from cluster.sandbox import Sandbox
    from stages.tasks.task import prompt_messages, read_tasks
    from stages.tasks.verify import LIMITS, PRELOAD, verify

    tokenizer = Tokenizer.load(Path(spec.checkpoint))
    box = Sandbox(preload=PRELOAD, limits=LIMITS)
    rows = {
        task.id: task
        for split in ("train", "heldout")
        for task in read_tasks(Path(spec.tasks) / f"{split}.jsonl")
    }

    def prompt(arguments: Mapping[str, Any]) -> list[int]:
        messages = prompt_messages(rows[arguments["id"]])
        return encode_chat(messages, tokenizer, generation_prefix=True)[0]

    judge = _Judge(lambda name, text: verify(rows[name], text, box))
    env = SingleTurnEnv(
        prompt=prompt,
        decode=lambda ids: _text(tokenizer, ids),
        verdict=judge,
        stop_ids=frozenset(tokenizer.stop_ids),
        max_length=spec.settings.max_length,
        max_answer_tokens=spec.settings.max_answer_tokens,
    )
    return Domain(
        env=env,
        arguments={name: {"id": name} for name in rows},
        kinds={name: task.kind for name, task in rows.items()},
        stop_ids=tuple(tokenizer.stop_ids),
        close=box.close,
    )


def _order(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def find_prompts(folder: Path, tokenizer: Tokenizer, settings: RLSettings) -> Prompts:
    """Choose the prompts that fit: all of the mix's kinds to train on, a fixed held-out sample."""
    from stages.tasks.task import prompt_messages, read_tasks

    room = settings.max_length - settings.max_answer_tokens
    shares = {entry.kind: entry.share for entry in settings.mix}
    found: dict[str, dict[str, list[str]]] = {}
    groups: dict[str, str] = {}
    too_long = 0
    for split in ("train", "heldout"):
        found[split] = {kind: [] for kind in shares}
        for task in read_tasks(folder / f"{split}.jsonl"):
            if task.kind not in shares:
                continue
            prompt, _ = encode_chat(prompt_messages(task), tokenizer, generation_prefix=True)
            if len(prompt) <= room:
                groups[task.id] = task.group
                found[split][task.kind].append(task.id)
            else:
                too_long += split == "train"
    heldout: list[tuple[str, str]] = []
    for kind, share in sorted(shares.items()):
        count = round(settings.validation_prompts * share / sum(shares.values()))
        # one of a group of near duplicates: the tests of the change take prompts as independent
        apart = {groups[n]: n for n in sorted(found["heldout"][kind], key=_order, reverse=True)}
        heldout.extend((name, kind) for name in sorted(apart.values(), key=_order)[:count])
    log.info(
        "prompts: %s to train on, %d held out, %d too long",
        {kind: len(names) for kind, names in found["train"].items()},
        len(heldout),
        too_long,
    )
    return Prompts(found["train"], heldout, too_long)
