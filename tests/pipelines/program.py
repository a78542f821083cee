"""The real pipeline as a person starts it: one program with one store, at the smallest scale."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from cluster.dag.lease import holder, read_lease
from tests.processes import alive, children, marked, started, title

ROOT = Path(__file__).parents[2]

SMALL = (
    "crawl.sources=stdlib",
    "crawl.stdlib_bytes=300000",
    "trace.program_levels=0,60",
    "trace.max_functions=2",
    "tokenizer.sample_bytes=100000",
    "tokenizer.measure_bytes=20000",
)
"""Overrides that make the early stages of ``smoke`` a matter of seconds."""


@dataclass(frozen=True)
class Program:
    """``pipelines/full.py --preset smoke`` with a store; what it starts carries a mark."""

    store: Path
    arguments: tuple[str, ...] = SMALL
    mark: str = field(default_factory=lambda: f"CWM_TEST={uuid.uuid4().hex}")

    def command(self, *more: str) -> list[str]:
        fixed = ["pipelines/full.py", "--preset", "smoke", "--store", str(self.store)]
        return [sys.executable, *fixed, *self.arguments, *more]

    def environment(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "CWM_"))}
        return clean | dict([self.mark.split("=")]) | {"OMP_NUM_THREADS": "1"}

    def run(self, *more: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*more),
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    def start(self, *more: str) -> Driver:
        log = self.store.parent / f"{self.store.name}-{uuid.uuid4().hex}.txt"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                self.command(*more),
                cwd=ROOT,
                env=self.environment(),
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        return Driver(process, log)

    def plan(self, *more: str) -> dict[str, dict]:
        """Each step's row of the plan."""
        steps = json.loads(self.run("--plan", "--json", *more).stdout)["steps"]
        return {row["step"]: row for row in steps}

    def records(self) -> dict[str, dict]:
        """Each step's newest record."""
        file = self.store / "pipelines" / "full.smoke" / "latest.json"
        paths = json.loads(file.read_text())
        return {
            s: json.loads((self.store / p / "artifact.json").read_text()) for s, p in paths.items()
        }

    def digests(self) -> dict[str, str]:
        return {step: record["content_digest"] for step, record in self.records().items()}

    def published(self) -> dict[Path, str]:
        """Which attempt is current, for every identity that has one."""
        return {link.parent: link.readlink().name for link in self.store.glob("*/*/current")}

    def left_processes(self) -> list[int]:
        """What still runs of all that was started, but for the agents of killed Ray nodes."""
        return [pid for pid in marked(self.mark) if not is_agent(title(pid))]

    def is_whole(self) -> bool:
        """Whether nothing is at work or half-made; a lease may be left whose holder was killed."""
        leases = [read_lease(file.parent) for file in self.store.glob("*/*/lease.json")]
        at_work = [lease for lease in leases if lease and not holder(lease).is_dead()]
        return not at_work and not list(self.store.glob("*/*/*.partial"))


@dataclass(frozen=True)
class Driver:
    """A started program, and what it printed so far."""

    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        return self.log.read_text()

    def wait_until(self, condition, seconds: float = 180.0):
        """Wait until ``condition()`` is true while the program runs; return what it returned."""
        until = time.monotonic() + seconds
        while not (value := condition()):
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < until, self.output()
            time.sleep(0.02)
        return value

    def printed(self, words: str) -> None:
        """Wait until the program has printed these words."""
        self.wait_until(lambda: words in self.output())

    def family(self) -> dict[int, str]:
        """All processes below the program, also those with another environment (sandboxes)."""
        return started(children(self.process.pid))

    def kill(self) -> dict[int, str]:
        """``kill -9`` of the program alone; returns what it leaves behind."""
        family = self.family()
        self.process.kill()
        self.process.wait()
        return family

    def end(self, seconds: float = 400.0) -> None:
        """Wait until the program has ended well."""
        assert self.process.wait(timeout=seconds) == 0, self.output()


def wait_until_gone(family: dict[int, str], *, agents: bool = False) -> None:
    """Wait until a killed program's processes have ended; none of them is ended by us.

    ``agents`` also waits for the two agents of a Ray node, which do nothing any more but try for a
    minute to report to the session that is gone.
    """
    until = time.monotonic() + (100 if agents else 20)
    while left := [name for name in map(title, alive(family)) if agents or not is_agent(name)]:
        assert time.monotonic() < until, left
        time.sleep(0.1)


def is_agent(name: bytes) -> bool:
    return name in (b"ray::DashboardAgent", b"ray::RuntimeEnvAgent")
