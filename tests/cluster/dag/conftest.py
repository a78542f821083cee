"""The toy pipeline, copied so that its files can be edited, run as a program in its own process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Toy:
    """A copy of the toy pipeline and a store for it."""

    folder: Path
    store: Path

    def command(self, *arguments, executor="local"):
        given = ["--executor", executor, "--tracking", "none", *arguments]
        return [sys.executable, "-m", "copied.pipeline", *given]

    def environment(self, **more):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "CWM_"))}
        paths = f"{self.folder.parent}{os.pathsep}{ROOT}"
        return clean | {"PYTHONPATH": paths, "CWM_STORE": str(self.store), **more}

    def run(self, *arguments, expect=0, executor="local", **environment):
        done = subprocess.run(
            self.command(*arguments, executor=executor),
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(self, *arguments, executor="local"):
        return subprocess.Popen(
            self.command(*arguments, executor=executor),
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def plan(self, *arguments, **environment):
        """Return {step: its row of --plan --json}."""
        plan = json.loads(self.run("--plan", "--json", *arguments, **environment))
        return {row["step"]: row for row in plan["steps"]}

    def actions(self, *arguments, **environment):
        return {n: row["action"] for n, row in self.plan(*arguments, **environment).items()}

    def latest(self, preset="toy.toy"):
        """Return {step: directory of its latest artifact}."""
        paths = json.loads((self.store / "pipelines" / preset / "latest.json").read_text())
        return {step: self.store / path for step, path in paths.items()}

    def records(self, preset="toy.toy"):
        latest = self.latest(preset)
        return {n: json.loads((path / "artifact.json").read_text()) for n, path in latest.items()}

    def digests(self, preset="toy.toy"):
        return {n: record["content_digest"] for n, record in self.records(preset).items()}


def wait_for(condition, seconds=60.0):
    """Wait until ``condition()`` is true and return what it returned."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.02)
    return value


@pytest.fixture
def toy(tmp_path):
    folder = tmp_path / "program" / "copied"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(__file__).parent / "toy", folder, ignore=ignore)
    return Toy(folder, tmp_path / "store")
