"""Modules without their accelerators: ``heapq`` as it is written, where C has taken its place."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Mapping
from importlib.util import module_from_spec
from typing import Any


def in_python(module: types.ModuleType, names: Iterable[str]) -> Mapping[str, types.ModuleType]:
    """Return where each of a module's functions is found in Python: there, or in a second copy.

    A module of the standard library that has a function in Python and then takes that of a C module
    over it is imported once more with that C module out of reach.
    """
    found = dict.fromkeys(names, module)
    replaced = {name: _accelerator(module, name) for name in found}
    blocked = {each for each in replaced.values() if each}
    if not blocked or module.__spec__ is None or module.__spec__.loader is None:
        return found
    copy = module_from_spec(module.__spec__)
    before = {name: sys.modules.get(name) for name in blocked}
    loaded: dict[str, Any] = sys.modules
    loaded.update(dict.fromkeys(blocked))  # None: importing it is an ImportError
    try:
        module.__spec__.loader.exec_module(copy)
    except ImportError:  # it cannot do without
        return found
    finally:
        sys.modules.update({name: each for name, each in before.items() if each is not None})
        for name in (name for name, each in before.items() if each is None):
            del sys.modules[name]
    return found | {name: copy for name, accelerator in replaced.items() if accelerator}


def _accelerator(module: types.ModuleType, name: str) -> str:
    """Return the C module that a function comes from, or ""."""
    value = getattr(module, name, None)
    home = getattr(value, "__module__", None) or ""
    is_accelerator = home.startswith("_") and home in sys.stdlib_module_names
    return home if isinstance(value, types.BuiltinFunctionType) and is_accelerator else ""
