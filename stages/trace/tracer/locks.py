"""What would take the trace away is locked while a program is traced, and who tries it is noticed.

In the place of those functions of ``sys``, ``threading`` and (from Python 3.12 on)
``sys.monitoring`` that install trace and profile functions, or trace what a trace function calls
(``call_tracing``), the program finds some that do nothing.
To call one, or to put something else in its place, is tampering; to ask which trace function there
is (``gettrace``) is none, and finds None. Whoever kept the real functions from before can use them:
that is seen at the end, by what is installed then. What a program does to a frame's ``f_trace`` the
engine in C does not care for, and the one in Python loses the trace.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_LOCKED = {
    sys: (
        *("settrace", "setprofile", "_settraceallthreads", "_setprofileallthreads"),
        "call_tracing",
    ),
    threading: ("settrace", "setprofile", "settrace_all_threads", "setprofile_all_threads"),
}
_MONITORING = (
    *("use_tool_id", "free_tool_id", "clear_tool_id", "register_callback"),
    *("set_events", "set_local_events", "restart_events"),
)
_BLIND = {sys: ("gettrace", "getprofile"), threading: ("gettrace", "getprofile")}

_gettrace, _getprofile = sys.gettrace, sys.getprofile
_monitoring: Any = getattr(sys, "monitoring", None)
_get_tool = _monitoring.get_tool if _monitoring else None


@contextmanager
def locked(hook: Callable[[], Any], tampered: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Lock; yield what checks, while the tracer still traces, that ``hook`` is what is installed.

    ``tampered`` is called for everything that should not be.
    """
    places = _places()
    before = {place: getattr(*place) for place in places}
    locks = {place: _lock(each, place[1], tampered) for place, each in before.items()}
    for (module, name), lock in locks.items():
        setattr(module, name, lock)
    installed = _installed()

    def check() -> None:
        replaced = any(getattr(*place, None) is not lock for place, lock in locks.items())
        if replaced or _gettrace() != hook() or _installed() != installed:
            tampered()

    try:
        yield check
    finally:
        for (module, name), function in before.items():
            setattr(module, name, function)


def _places() -> list[tuple[Any, str]]:
    found = [(module, name) for module, names in _LOCKED.items() for name in names]
    found += [(module, name) for module, names in _BLIND.items() for name in names]
    found += [(_monitoring, name) for name in _MONITORING] if _monitoring else []
    return [place for place in found if hasattr(*place)]


def _lock(function: Any, name: str, tampered: Callable[[], None]) -> Callable[..., None]:
    blind = name in ("gettrace", "getprofile")

    def lock(*_: object, **__: object) -> None:
        if not blind:
            tampered()

    lock.__name__ = lock.__qualname__ = name
    lock.__doc__ = getattr(function, "__doc__", None)
    return lock


def _installed() -> list[Any]:
    tools = [_get_tool(number) for number in range(6)] if _get_tool else []
    return [_getprofile(), *tools]
