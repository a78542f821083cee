"""The digest of a stage's code, so that an edit is seen.

Python files are compared by what they do: parsed, without comments and docstrings. Other files of
the package (templates, style sheets) are compared by their bytes.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from cluster.dag.errors import DagError
from cluster.dag.stage import Stage

_MADE = frozenset({".pyc", ".so"})  # from files that are digested themselves
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class CodeNotFoundError(DagError):
    """A module that a stage names cannot be found; says which stage and module."""


def code_digest(stage: Stage) -> dict[str, str]:
    """Return {file: digest} for the package of the stage's function and for ``stage.modules``.

    Files are named by their path from the root of the top-level package, as in
    ``stages/crawl/run.py``.
    """
    module = stage.run.partition(":")[0]
    package = module.rpartition(".")[0] or module
    found: dict[str, str] = {}
    for code in (package, *stage.modules):
        for name, file in _files(code, stage.name):
            status = file.stat()
            found[name] = _digest(file, status.st_mtime_ns, status.st_size)
    return dict(sorted(found.items()))


def drifted_files(recorded: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the files that differ, with " (new)" or " (gone)" where that applies."""
    changed = []
    for name in sorted({*recorded, *now}):
        if name not in recorded:
            changed.append(f"{name} (new)")
        elif name not in now:
            changed.append(f"{name} (gone)")
        elif recorded[name] != now[name]:
            changed.append(name)
    return changed


def _files(module: str, stage: str) -> Iterator[tuple[str, Path]]:
    """Yield (name, path) of a module's file, or of every file of a package."""
    try:
        spec = find_spec(module)  # imports the parent packages only, which stay light
    except ModuleNotFoundError as error:
        raise CodeNotFoundError(f"stage {stage}: no module {module}: {error}") from error
    if spec is None or (spec.origin is None and not spec.submodule_search_locations):
        raise CodeNotFoundError(f"stage {stage}: no module {module}; see its run and modules")
    parts = module.split(".")
    if not spec.submodule_search_locations:
        file = Path(spec.origin or "")
        yield "/".join([*parts[:-1], file.name]), file
        return
    for location in spec.submodule_search_locations:
        folder = Path(location)
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts and file.suffix not in _MADE:
                yield "/".join([*parts, *file.relative_to(folder).parts]), file


@cache
def _digest(file: Path, _modified: int, _size: int) -> str:
    content = file.read_bytes()
    if file.suffix == ".py":
        content = _without_comments(content).encode()
    return hashlib.sha256(content).hexdigest()


def _without_comments(source: bytes) -> str:
    """Return the program's text as Python would write it, without comments and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, _WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(ast.fix_missing_locations(tree))
