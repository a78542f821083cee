"""Names, limits and links that MLflow accepts: sanitised metric names, short digests, flat
parameters, UI links.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

MAX_DIGEST = 36  # characters of a dataset digest
MAX_TAG = 5000  # MLflow takes 8000 bytes; what is longer is cut here
MAX_PARAM = 5900  # MLflow takes 6000
MAX_BATCH = 100  # parameters, tags or (of 1000 allowed) metrics in one call

_FORBIDDEN = re.compile(r"[^/\w.\- ]", re.ASCII)
_MODE = "?workflowType=machine_learning"  # else the UI opens in its "GenAI" mode


def metric_name(name: str) -> str:
    """Return ``name`` as a metric or parameter name: ``@`` becomes ``_at_``, other odd characters
    ``_``.
    """
    clean = _FORBIDDEN.sub("_", name.replace("@", "_at_"))
    return "/".join(part for part in clean.split("/") if part not in ("", ".", "..")) or "_"


def short_digest(digest: str) -> str:
    """Return the first 32 characters of a content digest: a dataset's digest may not be longer than
    36.
    """
    return digest[:32]


def flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested mappings, dataclasses and short sequences of them, with dotted
    names.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from flatten(item, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def parameters(values: Mapping[str, Any]) -> dict[str, str]:
    """Return nested settings as flat MLflow parameters."""
    return {metric_name(name): str(value)[:MAX_PARAM] for name, value in flatten(values) if name}


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers of statistics and of mappings in them as flat metrics.

    What is nested deeper is detail for a report (a table per origin), not a metric.
    """
    shallow = {
        f"{name}.{key}" if key is not None else name: item
        for name, value in values.items()
        for key, item in (value.items() if isinstance(value, Mapping) else [(None, value)])
    }
    return {
        metric_name(name): float(value)
        for name, value in shallow.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


def run_link(experiment: str, run: str) -> str:
    """Return the UI's address of a run, relative to wherever the UI is served."""
    return f"#/experiments/{experiment}/runs/{run}{_MODE}"


def model_link(experiment: str, model: str) -> str:
    """Return the UI's address of a logged model."""
    return f"#/experiments/{experiment}/models/{model}{_MODE}"


def search_link(experiment: str, query: str) -> str:
    """Return the UI's address of the runs that match a search filter."""
    return f"#/experiments/{experiment}/runs{_MODE}&searchFilter={quote(query, safe='')}"
