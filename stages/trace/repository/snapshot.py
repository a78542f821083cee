"""What lies where the repositories are: the part of a trace step's identity that no setting holds.

A setting says where a repository is; its head's commit, or the digest of a plain folder's files,
says what it is. So it is with its environment: versions of what is installed, digests of wheels.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from stages.trace.repository.environment import environment_of, wheel_digests
from stages.trace.repository.settings import RepositorySettings
from stages.trace.repository.tree import tree_at
from stages.trace.settings import TraceSettings


def snapshot(settings: TraceSettings) -> dict[str, Any]:
    """Return of each repository by its name the revision and what its environment holds.

    Raises `RepositoryError` when a repository or its interpreter is not there.
    """
    return {each.name: _state(each) for each in settings.repositories}


def _state(repository: RepositorySettings) -> dict[str, Any]:
    state: dict[str, Any] = {"revision": tree_at(Path(repository.path)).revision}
    if repository.wheels:
        state["wheels"] = wheel_digests(repository.wheels)
    if repository.wheels and not repository.interpreter:
        state["python"] = ".".join(map(str, sys.version_info[:3]))
    else:
        environment = environment_of(repository)
        state["python"] = environment.version
        state["distributions"] = [list(each) for each in environment.distributions]
    return state
