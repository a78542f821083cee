"""The log of one attempt: what the step's process logs goes to ``log.txt`` in its directory."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OURS = ("pipelines", "stages", "cluster", "model")


class _Relevant(logging.Filter):
    """Everything from the project and the stage's own package; from libraries only warnings."""

    def __init__(self, package: str) -> None:
        super().__init__()
        self._packages = (*OURS, package)

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or record.name.partition(".")[0] in self._packages


@contextmanager
def step_log(file: Path, step: str, module: str, *, echo: bool) -> Iterator[None]:
    """Send log records to ``file`` in the block, with ``echo`` also to stdout after the step's
    name.

    ``module`` is where the stage's function is; its top-level package counts as ours.
    """
    root = logging.getLogger()
    handlers: list[logging.Handler] = [logging.FileHandler(file)]
    handlers[0].setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    if echo:
        handlers.append(logging.StreamHandler(sys.stdout))
        handlers[1].setFormatter(logging.Formatter(f"{step} | %(message)s"))
    level, previous = root.level, list(root.handlers)
    if echo:  # a plain handler of the driver would print every line a second time
        root.handlers = [h for h in previous if type(h) is not logging.StreamHandler]
    root.setLevel(logging.INFO)
    for handler in handlers:
        handler.addFilter(_Relevant(module.partition(".")[0]))
        root.addHandler(handler)
    try:
        yield
    finally:
        root.handlers = previous
        handlers[0].close()
        root.setLevel(level)
