"""Imported by the interpreter that runs a repository's tests, before anything else.

It has pytest load `open_cwm_pytest`, and takes every trace of itself out of the environment:
processes that the tests start see what they would see without it.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys

_REQUEST = "OPEN_CWM_TRACE"
_PLUGIN = "open_cwm_pytest"


def _arrange() -> None:
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  no pathlib yet
    others = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    os.environ["PYTHONPATH"] = os.pathsep.join(each for each in others if each != here)
    os.environ.pop("MALLOC_PERTURB_", None)  # read by now; it differs from session to session
    plugins = [os.environ["PYTEST_PLUGINS"]] if os.environ.get("PYTEST_PLUGINS") else []
    os.environ["PYTEST_PLUGINS"] = ",".join([_PLUGIN, *plugins])
    _run_next(here)


def _run_next(here: str) -> None:
    """Run the ``sitecustomize`` that this one hides, as that of a distribution."""
    others = [each for each in sys.path if os.path.abspath(each) != here]  # noqa: PTH100
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if _REQUEST in os.environ:
    _arrange()
