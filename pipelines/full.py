#!/usr/bin/env python
"""The whole pipeline: crawl code, run it, train a Code World Model on both, evaluate it.

python pipelines/full.py                      everything, with the preset tiny
python pipelines/full.py --plan               what would happen, and why
python pipelines/full.py --help               the rest, with examples
ray job submit --working-dir . -- python pipelines/full.py --preset smoke
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that it runs from anywhere, installed or not

from cluster.dag.command_line import main  # noqa: E402
from pipelines.presets import PRESETS  # noqa: E402

if __name__ == "__main__":
    sys.exit(
        main(
            PRESETS,
            pipeline="full",
            program="python pipelines/full.py",
            root=ROOT,
            about="Train a Code World Model from nothing: crawl, trace, train, evaluate, report.",
        )
    )
