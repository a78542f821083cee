"""What can be wrong with a sharded checkpoint."""

from __future__ import annotations


class ShardError(RuntimeError):
    """A checkpoint's shards cannot be used; says where they lie and what is missing."""
