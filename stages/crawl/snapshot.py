"""What is out there now: the part of a crawl's identity that no setting holds."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from typing import Any

from stages.crawl.settings import CrawlSettings
from stages.crawl.sources import installed_distributions


def snapshot(settings: CrawlSettings, search_path: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the interpreter's version and [name, version, sha256 of RECORD] of each distribution.

    Installing, removing or upgrading a distribution changes it. One without a RECORD (a development
    installation) has the digest "". ``search_path`` replaces the folders
    of the running interpreter.
    """
    state: dict[str, Any] = {"python": platform.python_version()}
    if "installed" in settings.sources:
        found = installed_distributions(settings.excluded_distributions, search_path)
        state["distributions"] = sorted(
            [d.metadata["Name"], d.version, _digest(d.read_text("RECORD"))] for d in found
        )
    return state


def _digest(record: str | None) -> str:
    return hashlib.sha256(record.encode()).hexdigest() if record else ""
