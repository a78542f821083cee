"""The Code World Model: its architecture, its decoding and its language.

The three names that everything else needs are importable from here, on first use (so that planning
a pipeline does not import torch)::

    from model import CWM, CWMConfig, Packing
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["CWM", "CWMConfig", "Packing"]

_HOME = {"CWM": "model.transformer", "CWMConfig": "model.config", "Packing": "model.packing"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
