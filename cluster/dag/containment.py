"""Whether untrusted programs can be contained on this machine, asked before anything runs."""

from __future__ import annotations

import os

from cluster.dag.errors import DagError


class NotContainedError(DagError):
    """A step would run crawled or generated programs on a machine that cannot contain them."""


def containment() -> str:
    """Return the sandbox layer of this machine; raises `NotContainedError` with what to do.

    The message names the machine, every layer that is missing with the reason, what would bring
    it, and how to go without.
    """
    from cluster.sandbox.layer import SandboxUnavailable, choose_layer

    try:
        return choose_layer().layer
    except SandboxUnavailable as error:
        raise NotContainedError(str(error)) from error


def allow_unsandboxed() -> None:
    """Let untrusted programs run where nothing contains them; the user has asked for it."""
    from cluster.sandbox.layer import ALLOW

    os.environ[ALLOW] = "1"
