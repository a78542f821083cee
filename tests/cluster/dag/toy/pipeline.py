"""The toy pipeline's steps and its command line: ``python -m PACKAGE.pipeline [arguments]``.

numbers ─→ keep ─┬→ total.kept ─┐
        └→ total.all ───────────┼→ gather
                 └→ slow ───────┘
"""

from __future__ import annotations

import sys
from pathlib import Path

from cluster.dag.command_line import main
from cluster.dag.step import Preset, Step

from .gather import GATHER
from .keep import KEEP
from .numbers import NUMBERS
from .numbers.settings import NumbersSettings
from .settings import GatherSettings, KeepSettings, SlowSettings, TotalSettings
from .slow import SLOW
from .total import TOTAL


def toy(name="toy", policy="rerun", **slow):
    return Preset(
        name=name,
        drift_policy=policy,
        steps=(
            Step("numbers", NUMBERS, NumbersSettings()),
            Step("keep", KEEP, KeepSettings(), inputs={"numbers": "numbers"}),
            Step("total.all", TOTAL, TotalSettings(), inputs={"numbers": "numbers"}),
            Step("total.kept", TOTAL, TotalSettings(), inputs={"numbers": "keep"}),
            Step("slow", SLOW, SlowSettings(**slow), inputs={"numbers": "keep"}),
            Step(
                "gather",
                GATHER,
                GatherSettings(),
                inputs={"all": "total.all", "kept": "total.kept", "slow": "slow"},
            ),
        ),
    )


PRESETS = {
    "tiny": toy,
    "asking": lambda: toy("asking", "ask"),
    "slow": lambda: toy("slow", steps=30, seconds=0.1),
}


def run(*arguments):
    return main(
        PRESETS,
        pipeline="toy",
        program=f"python -m {__package__}.pipeline",
        root=Path(__file__).resolve().parents[__package__.count(".") + 1],
        about="A toy.",
        arguments=arguments or None,
    )


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]))
