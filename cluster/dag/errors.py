"""The base of the kit's named errors, which are printed without a traceback."""

from __future__ import annotations


class DagError(RuntimeError):
    """Something a person can act on; the message says what, where and what to do."""


class StoppedError(DagError):
    """A step ended early because it was asked to; what it saved is in its scratch directory."""
