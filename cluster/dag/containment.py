"""Whether untrusted programs can be contained on this machine, asked before anything runs."""

from __future__ import annotations

from cluster.dag.errors import DagError


class NotContainedError(DagError):
    """A step would run crawled or generated programs on a machine that cannot contain them."""


def containment() -> str:
    """Return the sandbox layer of this machine; raises `NotContainedError` with what to do."""
    from cluster.sandbox.layer import SandboxUnavailable, require_layer

    try:
        return require_layer()
    except SandboxUnavailable as error:
        raise NotContainedError(str(error)) from error
