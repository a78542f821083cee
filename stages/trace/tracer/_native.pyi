"""The tracing engine in C: see ``native/``."""

from collections.abc import Mapping
from typing import Any, final

from stages.trace.tracer.engine import Begin, Close, Files, Target

SOURCES: str
"""A digest of the sources it was made of."""

@final
class Engine:
    """Follows one thread between start and stop; see stages.trace.tracer.engine."""

    name: str
    hook: Any

    def __init__(
        self,
        *,
        targets: Mapping[int, Target],
        begin: Begin,
        close: Close,
        files: Files | None,
        any_entry: bool,
        stopped: type[BaseException],
        leaving: bytes,
        yielding: bytes,
        ends_a_loop: bytes,
        resume: int,
        events: int,
        bytes: int,
        value_chars: int,
        calls: int,
        depth: int,
        attributes: bool,
        go_on: bool,
    ) -> None: ...
    def start(self) -> None:
        """Trace this thread from here on."""

    def stop(self) -> None:
        """Trace no more; what is still open is lost."""

def render(value: Any, budget: int, attributes: bool = True, /) -> str:
    """Return what stages.trace.tracer.rendering.render returns."""
