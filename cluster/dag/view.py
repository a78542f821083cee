"""What a person sees while steps run: a live line per step on a terminal, else plain log lines."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from cluster.dag.decision import Decision
from cluster.dag.executor import Outcome
from cluster.dag.store import Store

_POLL_SECONDS = 0.4


class _Running:
    """A step at work: its log file as far as it was read, its last line."""

    def __init__(self, folder: Path) -> None:
        self.began = time.monotonic()
        self._since = time.time() - 0.1
        self.last = ""
        self._folder = folder
        self._stream: TextIO | None = None
        self._rest = ""

    def new_lines(self) -> list[str]:
        """Return the whole lines that were logged since the last call."""
        if self._stream is None:
            # What an earlier, killed attempt logged is older. The open file stays valid when its
            # directory is renamed.
            logs = [f for f in self._folder.glob("*/log.txt") if f.stat().st_mtime > self._since]
            if not logs:
                return []
            self._stream = max(logs, key=lambda file: file.stat().st_mtime_ns).open()
        text = self._rest + self._stream.read()
        *lines, self._rest = text.split("\n")
        if lines:
            self.last = lines[-1]
        return lines

    def close(self) -> None:
        """Close the log file."""
        if self._stream is not None:
            self._stream.close()


class View:
    """`cluster.dag.executor.Observer` that prints.

    ``follow`` reads the logs of steps that run in other processes; those in this one print
    themselves, and then there is no live display.
    """

    def __init__(self, console: Console, store: Store, *, follow: bool) -> None:
        self._console = console
        self._store = store
        self._follow = follow
        self._running: dict[str, _Running] = {}
        self._looked = 0.0
        live = follow and console.is_terminal
        self._live = Live(console=console, transient=True, refresh_per_second=4) if live else None

    def __enter__(self) -> View:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        for running in self._running.values():
            running.close()

    def started(self, step: str, decision: Decision) -> None:
        """Say that a step begins, and why."""
        verb = "resumes" if decision.action == "resume" else "runs"
        self._say(step, f"[bold]{verb}[/]: {escape(decision.why)}")
        assert decision.identity is not None
        folder = self._store.folder(decision.step.stage.name, decision.identity.fingerprint)
        self._running[step] = _Running(folder.path)

    def ended(self, outcome: Outcome) -> None:
        """Print the rest of a step's log and how it ended."""
        running = self._running.pop(outcome.step, None)
        if running is not None:
            self._show(outcome.step, running)
            running.close()
        if outcome.status == "failed":
            self._say(outcome.step, f"[red]failed[/]: {escape(outcome.message)}")
        elif outcome.status == "done" and outcome.artifact is not None:
            self._say(outcome.step, f"[green]done[/] → {escape(str(outcome.artifact.path))}")

    def poll(self) -> None:
        """Show what the running steps logged, at most a few times a second."""
        if time.monotonic() - self._looked < _POLL_SECONDS:
            return
        self._looked = time.monotonic()
        for step, running in self._running.items():
            self._show(step, running)
        if self._live is not None:
            self._live.update(self._table())

    def _show(self, step: str, running: _Running) -> None:
        if not self._follow:
            return
        for line in running.new_lines():
            if self._live is None:
                self._say(step, escape(line))

    def _table(self) -> Table:
        """Return a row per running step: name, seconds, its last line."""
        table = Table(box=None, show_header=False, pad_edge=False)
        for column in ("step", "seconds", "line"):
            table.add_column(column, no_wrap=True, overflow="ellipsis")
        for step, running in self._running.items():
            seconds = f"{time.monotonic() - running.began:.0f} s"
            table.add_row(f"[bold]{step}[/]", seconds, escape(running.last))
        return table

    def _say(self, step: str, text: str) -> None:
        self._console.print(f"[cyan]{escape(step)}[/] | {text}", highlight=False, soft_wrap=True)
