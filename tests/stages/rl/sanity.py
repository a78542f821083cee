"""The sanity rule: whatever the prompt, an answer must look like ``?*?-?``.

A domain without text or sandbox: tokens 0-9 are digits, then operators and the framing tokens.
"""

import re
from pathlib import Path

import torch

from model.checkpoint import save_pretrained
from model.config import CWMConfig
from model.packing import Packing
from model.transformer import CWM
from stages.rl.domain import Domain, Prompts
from stages.rl.environment import SingleTurnEnv

CHARACTERS = "0123456789+-*"
BEGIN, ASK, STOP = 13, 14, 15
CONFIG = CWMConfig(
    vocab_size=16,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=16,
    rope_theta=1e4,
    rope_scaling=None,
    max_position_embeddings=32,
    sliding_window=16,
    initializer_range=0.1,
    bos_token_id=BEGIN,
    eos_token_ids=(STOP,),
)
RULE = re.compile(r"\d\*\d-\d")
TASKS = {f"t{a}{b}": {"numbers": [a, b]} for a in range(10) for b in range(10)}
NAMES = sorted(TASKS)
PROMPTS = Prompts(train={"output": NAMES[:80]}, heldout=[(name, "output") for name in NAMES[80:]])


def prompt(task):
    return [BEGIN, *task["numbers"], ASK]


def text(ids):
    return "".join(CHARACTERS[i] if i < len(CHARACTERS) else "�" for i in ids)


def domain(spec):
    """Build the domain; verdicts are given by the rule."""
    env = SingleTurnEnv(
        prompt=prompt,
        decode=text,
        verdict=lambda task, answer: bool(RULE.fullmatch(answer)),
        stop_ids=frozenset({STOP}),
        max_length=spec.settings.max_length,
        max_answer_tokens=spec.settings.max_answer_tokens,
    )
    return Domain(env=env, arguments=TASKS, kinds=dict.fromkeys(TASKS, "output"), stop_ids=(STOP,))


def dying_domain(spec):
    """A domain whose verdict ends the worker's process, as a crashed interpreter would."""
    import os

    healthy = domain(spec)
    env = SingleTurnEnv(
        prompt=prompt,
        decode=text,
        verdict=lambda task, answer: os._exit(1),
        stop_ids=frozenset({STOP}),
        max_length=spec.settings.max_length,
        max_answer_tokens=spec.settings.max_answer_tokens,
    )
    return Domain(env=env, arguments=TASKS, kinds=healthy.kinds, stop_ids=(STOP,))


def warm_start(folder: Path, steps: int = 150) -> Path:
    """Write a model that knows expressions of two random operators: one in nine obeys the rule."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = CWM(CONFIG)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(steps):
        rows = 16
        numbers = torch.randint(0, 10, (rows, 5), generator=generator)
        signs = torch.randint(10, 13, (rows, 2), generator=generator)
        begin, ask, stop = (torch.full((rows, 1), t) for t in (BEGIN, ASK, STOP))
        answer = [numbers[:, 2:3], signs[:, :1], numbers[:, 3:4], signs[:, 1:], numbers[:, 4:]]
        ids = torch.cat([begin, numbers[:, :2], ask, *answer, stop], 1)
        labels = torch.full_like(ids, -100)
        labels[:, 3:-1] = ids[:, 4:]
        loss = model(ids.flatten(), Packing.of([ids.shape[1]] * rows), labels.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    save_pretrained(model, folder)
    return folder
