"""The scripted agent: what it does about a broken function, as a list of tool calls.

It reads the function, runs the tests, edits, runs them again and submits. Sometimes its first edit
is wrong; then it tries again, or gives up, so that failures are among the trajectories as they are
among a model's.
"""

from __future__ import annotations

import random

from stages.forage.mutations import constants, mutate, operators, variables
from stages.forage.settings import ForageSettings
from stages.forage.tools import TESTS, edit_call, find_block

Action = tuple[str, str]
"""(tool, content)."""

_GUESSES = {"operators": operators, "constants": constants, "variables": variables}


def task_statement(name: str, module: str) -> str:
    """Return what the agent is told."""
    return f"{name} of {module} is broken: `python {TESTS}` fails. Fix {name}.py, then submit."


def actions(
    name: str, mutated: str, original: str, settings: ForageSettings, rng: random.Random
) -> list[Action]:
    """Return the agent's tool calls from the ``mutated`` function on."""
    file = f"{name}.py"
    done: list[Action] = [("bash", f"cat {file}"), ("bash", f"python {TESTS}")]
    current = mutated
    guess = _wrong_guess(mutated, original, rng)
    if guess is not None and rng.random() < settings.wrong_edit_fraction:
        done += [("edit", _edit(file, current, guess)), ("bash", f"python {TESTS}")]
        current = guess
        if rng.random() < settings.give_up_fraction:
            return [*done, ("submit", file)]
    done += [("edit", _edit(file, current, original)), ("bash", f"python {TESTS}")]
    return [*done, ("submit", file)]


def _wrong_guess(mutated: str, original: str, rng: random.Random) -> str | None:
    """Return the broken function with one more thing changed, as a repair at the wrong place
    does.
    """
    guesses = [m.source for m in mutate(mutated, _GUESSES) if m.source != original]
    return rng.choice(guesses) if guesses else None


def _edit(file: str, before: str, after: str) -> str:
    """Return the edit that makes ``after`` of ``before``: the smallest block of lines found only
    once.
    """
    old, new = before.removesuffix("\n").split("\n"), after.removesuffix("\n").split("\n")
    start = next(
        (n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b),
        min(len(old), len(new)),
    )
    tail = 0
    while tail < min(len(old), len(new)) - start and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    # wider, until the block is there and unmistakable
    while start == len(old) - tail or len(find_block(old, old[start : len(old) - tail])) > 1:
        if start > 0:
            start -= 1
        else:
            tail -= 1
    return edit_call(
        file, "\n".join(old[start : len(old) - tail]), "\n".join(new[start : len(new) - tail])
    )
