"""The engine in C where it was not installed, or from other sources: built once, and kept.

Installing the package builds it. But a worker of a cluster may get the sources alone: then it is
compiled there, into a folder of the user's cache that is named after a digest of the sources and
the interpreter's ABI. An extension says which sources it was made of (``SOURCES``), so that none
that is out of date is ever used. Nothing is compiled on import, or inside a sandbox: a sandboxed
tracer finds the extension by the variable `VARIABLE`.

    python stages/trace/tracer/build.py    after a change in native/: write its digest there
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import logging
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

_LOG = logging.getLogger(__name__)
_NATIVE = Path(__file__).parent / "native"
_STAMP = _NATIVE / "sources.h"
_COMPILE_SECONDS = 300
MODULE = "stages.trace.tracer._native"
VARIABLE = "OPEN_CWM_NATIVE"
"""Where the extension is, for processes that cannot build it."""


@cache
def sources_digest() -> str:
    """Return a digest of the sources, "" where they are not."""
    files = sorted({*_NATIVE.glob("*.[ch]")} - {_STAMP})
    digest = hashlib.sha256()
    for file in files:
        data = file.read_bytes()
        digest.update(f"{file.name} {len(data)}\n".encode() + data)
    return digest.hexdigest()[:16] if files else ""


def find_native() -> ModuleType:
    """Import the engine in C of these sources; raises ImportError when it is nowhere."""
    if MODULE in sys.modules:
        return importlib.import_module(MODULE)
    for file in (os.environ.get(VARIABLE), *_installed(), _kept()):
        if file and str(file).endswith(_suffix()) and Path(file).is_file():
            module = _load(Path(file))
            if sources_digest() in ("", module.SOURCES):
                sys.modules[MODULE] = module
                vars(sys.modules[MODULE.rpartition(".")[0]])["_native"] = module
                return module
    raise ImportError("the tracer in C is not built")


def native_environment() -> dict[str, str]:
    """Return what tells processes in a sandbox where the engine in C is; build it if need be.

    The folder of the file that `VARIABLE` names has to be readable there. Empty where there is no
    compiler: a warning says so, and the tracer is the one in Python.
    """
    try:
        return {VARIABLE: str(find_native().__file__)}
    except ImportError:
        pass
    file = _kept()
    try:
        if file is None:
            raise OSError("there is neither a home folder nor XDG_CACHE_HOME to keep it in")
        compile_native(file)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        _LOG.warning("the tracer in C cannot be built here: %s", said[-500:])
        return {}
    return {VARIABLE: str(file)}


def compile_native(file: Path) -> None:
    """Compile the sources into ``file``, which is there whole or not at all.

    Raises OSError or `subprocess.SubprocessError`.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        made = Path(folder) / file.name
        command = [
            *shlex.split(sysconfig.get_config_var("CC") or "cc"),
            *("-O3", "-flto", "-fvisibility=hidden", "-shared", "-fPIC"),
            f'-DTRACE_SOURCES="{sources_digest()}"',
            f"-I{sysconfig.get_paths()['include']}",
            *map(str, sorted(_NATIVE.glob("*.c"))),
            *("-o", str(made)),
        ]
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=_COMPILE_SECONDS
        )
        made.replace(file)


def _suffix() -> str:
    return str(sysconfig.get_config_var("EXT_SUFFIX"))


def _installed() -> list[Path]:
    return [Path(__file__).with_name(f"_native{_suffix()}")]


def _kept() -> Path | None:
    """Where a built extension is kept; None where there is no home, as in a sandbox."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return folder / "open-cwm" / "native" / sources_digest() / f"_native{_suffix()}"


def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(MODULE, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no extension")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stamp() -> None:
    """Write the digest of the sources to where the compiler finds it."""
    _STAMP.write_text(
        "/* Written by `python stages/trace/tracer/build.py`. */\n\n"
        f'#ifndef TRACE_SOURCES\n#define TRACE_SOURCES "{sources_digest()}"\n#endif\n'
    )


if __name__ == "__main__":
    stamp()
