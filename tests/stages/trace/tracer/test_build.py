"""Where the engine in C comes from: never one of other sources, and never compiled unasked."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.sandbox import Sandbox
from stages.trace.tracer import TraceLimits, build, trace_source

ROOT = Path(__file__).parents[4]
SAYS = "from stages.trace.tracer.engine import engine_name; print(engine_name())"


@pytest.fixture
def uploaded(tmp_path):
    """A copy of the tracer's sources without what was built, as a worker gets it."""
    folder = tmp_path / "uploaded"
    shutil.copytree(
        ROOT / "stages/trace/tracer",
        folder / "stages/trace/tracer",
        ignore=shutil.ignore_patterns("*.so", "__pycache__"),
    )
    for package in ("stages", "stages/trace"):
        (folder / package / "__init__.py").touch()
    return folder


def said(folder, code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(folder / "cache"), **environment},
        capture_output=True,
        text=True,
        check=True,
    )


BUILDS = "from stages.trace.tracer.build import native_environment as n; print(*n().values())"


def test_the_stamp_is_that_of_the_sources():
    assert f'"{build.sources_digest()}"' in (build._NATIVE / "sources.h").read_text(), (
        "native/ was changed: python stages/trace/tracer/build.py"
    )


def test_it_is_built_once_when_asked_and_found_from_then_on(uploaded):
    assert said(uploaded, SAYS).stdout == "python\n"
    file = Path(said(uploaded, BUILDS).stdout.strip())
    assert file.is_file() and build.sources_digest() in file.parts
    when = file.stat().st_mtime_ns
    assert said(uploaded, BUILDS).stdout.strip() == str(file)
    assert file.stat().st_mtime_ns == when
    assert said(uploaded, SAYS).stdout == "native\n"
    assert said(uploaded, SAYS, XDG_CACHE_HOME="/nowhere").stdout == "python\n"
    named = {"XDG_CACHE_HOME": "/nowhere", build.VARIABLE: str(file)}
    assert said(uploaded, SAYS, **named).stdout == "native\n"

    changed = uploaded / "stages/trace/tracer/native/text.h"
    changed.write_text(changed.read_text() + "\n")
    assert said(uploaded, SAYS).stdout == "python\n"
    assert said(uploaded, SAYS, **named).stdout == "python\n"  # of other sources


def test_without_a_compiler_there_is_a_warning(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(build, "find_native", lambda: (_ for _ in ()).throw(ImportError))
    monkeypatch.setattr(build.sysconfig, "get_config_var", lambda name: "no-such-compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        assert build.native_environment() == {}
    assert "no-such-compiler" in caplog.text
    assert not list(tmp_path.rglob("*.so"))


def test_a_program_is_traced_in_the_sandbox():
    source = "def main(n):\n    x = n + 1\n    return [x]\n"
    limits = TraceLimits(value_chars=20)
    with Sandbox(preload=("stages.trace.worker",)) as box:
        contained = trace_source(source, "main", "4", limits, sandbox=box)
        with pytest.raises(RuntimeError, match="KeyError"):
            trace_source("raise KeyError(1)\ndef main(): pass\n", sandbox=box)
    assert contained == trace_source(source, "main", "4", limits)
    assert contained.result == "[5]"
