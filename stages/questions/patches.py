"""Broken functions with their true repair, for the loss on a patch that nobody has to format.

A patch is text: the broken function, what it should return, then the function as it was. The loss
is taken over the lines of the repair that are not in the broken function: given where they stand,
for all of the function before them is given too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from cluster.sandbox import Limits, Sandbox
from stages.forage.mutations import constants, mutate, operators
from stages.tasks.verify import PRELOAD
from stages.tokenizer.sample import sample_by_hash

_LIMITS = Limits(cpu_seconds=30, wall_seconds=60, processes=8, output_bytes=4 << 20)


def patch(source: str, broken: str, wanted: str) -> list[tuple[str, bool]] | None:
    """Return the text of a patch in pieces, each with whether it is scored; None without a change.

    ``wanted`` says what the function should return.
    """
    old, new = broken.splitlines(keepends=True), source.splitlines(keepends=True)
    pieces = [(broken.rstrip("\n") + "\n" + wanted, False)]
    matcher = SequenceMatcher(a=old, b=new, autojunk=False)
    for tag, _, _, start, end in matcher.get_opcodes():
        if start < end:
            pieces.append(("".join(new[start:end]), tag != "equal"))
    return pieces if any(scored for _, scored in pieces) else None


def program_patches(
    rows: Iterable[Mapping[str, Any]], *, count: int, seed: int
) -> list[dict[str, Any]]:
    """Break generated programs in one operator or constant, so that their call returns another
    value.

    ``rows`` are those of ``programs.jsonl`` with their ``source``. At most ``count`` come back.
    """
    broken = [(row, text) for row in rows if (text := _broken(row["source"], seed)) is not None]
    with Sandbox(preload=PRELOAD) as box:
        programs = [
            {"source": text, "calls": [f"{row['entry']}({row['arguments']})"]}
            for row, text in broken
        ]
        reply = box.call(
            "stages.tasks.worker:evaluate", {"programs": programs, "seconds": 1.0}, limits=_LIMITS
        )
    values: Sequence[Any] = reply.value if reply.outcome == "ok" else []
    found = []
    for (row, text), value in zip(broken, values, strict=False):
        wanted = f"assert {row['entry']}({row['arguments']}) == {row['result']}\n"
        pieces = patch(row["source"], text, wanted)
        if value and value[0] is not None and value[0] != row["result"] and pieces:
            found.append(_row("program", row["key"], row["group"], pieces))
    return found[:count]


def _broken(source: str, seed: int) -> str | None:
    changes = mutate(source, {"operators": operators, "constants": constants})
    by_hash = sample_by_hash(
        ((change.source, change.source, 1) for change in changes), budget=1, seed=seed
    )
    return by_hash[0] if by_hash else None


def function_patches(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the patches of held-out trajectories: real functions, mutated, with their tests.

    ``rows`` are of `stages.tables.TRAJECTORIES`; a mutation that several have gives one patch.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        examples = (f">>> {t['call']}\n{t['expected']}" for t in json.loads(row["tests"]))
        wanted = "".join(example.rstrip("\n") + "\n" for example in examples)
        if pieces := patch(row["original"], row["mutated"], wanted):
            found.setdefault(row["mutated"], _row("function", row["key"], row["group"], pieces))
    return list(found.values())


def _row(source: str, key: str, group: str, pieces: list[tuple[str, bool]]) -> dict[str, Any]:
    return {"key": key, "group": group, "source": source, "pieces": pieces}
