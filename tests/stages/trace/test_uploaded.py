"""A cluster's worker that was given the sources alone: it compiles the tracer for its sandboxes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
ASKS = """
from stages.trace.batches import _sandbox
from stages.trace.tracer.engine import engine_name
with _sandbox() as box:
    code = "__import__('stages.trace.tracer.engine', fromlist=['_']).engine_name()"
    inside = box.call("builtins:eval", code)
    left = box.call("builtins:eval", "[name for name in __import__('os').environ if 'CWM' in name]")
print(engine_name(), inside.value, left.value)
"""


def test_the_tracer_is_compiled_and_shown_in_the_sandbox(tmp_path):
    folder = tmp_path / "uploaded"
    for package in ("cluster", "model", "stages"):
        ignored = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    cache = tmp_path / "cache"
    run = subprocess.run(
        [sys.executable, "-c", ASKS],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(cache), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "native native []\n"
    assert list(cache.rglob("*.so"))
