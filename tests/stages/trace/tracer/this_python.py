"""Check the tracer in this very interpreter, by its standard library alone; see `other_python`."""

from __future__ import annotations

import argparse
import importlib.util
import platform
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[4]
MODULE = "stages.trace.tracer._native"


def build(folder: Path) -> Path:
    """Compile the engine in C as pyproject.toml says; raises CalledProcessError when that fails."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [extension] = [
        each for each in project["tool"]["setuptools"]["ext-modules"] if each["name"] == MODULE
    ]
    made = folder / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    subprocess.run(
        [
            *compiler,
            *("-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"),
            *extension["extra-compile-args"],
            f"-I{sysconfig.get_paths()['include']}",
            *(str(ROOT / source) for source in extension["sources"]),
            *("-o", str(made)),
        ],
        check=True,
    )
    return made


def load(file: Path) -> None:
    """Import the engine in C from ``file``, in the place that the tracer looks for it."""
    import stages.trace.tracer as package

    spec = importlib.util.spec_from_file_location(MODULE, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[MODULE] = package._native = module


def broken(recording: Any) -> str:
    """Return which invariant a recording breaks, or ""."""
    from tests.stages.trace.tracer.invariants import check_recording

    try:
        check_recording(recording)
    except AssertionError as error:
        return f"breaks an invariant: {error}"
    return ""


def check_cases() -> list[str]:
    """Hold every case to its trace, both engines to the invariants and the naive tracer."""
    from tests.stages.trace.tracer import traces

    wrong = []
    for name in traces.NAMES:
        for engine in traces.ENGINES:
            recording = traces.traced(name, engine)
            if problem := broken(recording):
                wrong.append(f"{name}, {engine}: {problem}")
            file = traces.expected_file(name, engine)
            if not file.exists() or traces.written(recording) != file.read_text():
                wrong.append(f"{name}, {engine}: not as in {file.name}")
                print(f"--- {wrong[-1]}\n{traces.written(recording)}", end="")
            if not traces.agrees_with_naive(name, recording, engine):
                wrong.append(f"{name}, {engine}: a naive tracer sees something else")
    return wrong


def check_programs(count: int) -> tuple[list[str], int]:
    """Trace programs of any shape with both engines; return what is wrong, and all frames."""
    from tests.stages.trace.tracer import traces
    from tests.stages.trace.tracer.programs import seeded_program

    wrong, frames = [], 0
    for seed in range(count):
        source = seeded_program(seed)
        both = [
            traces.trace(source, engine=engine, events=300, value_chars=40)
            for engine in traces.ENGINES.values()
        ]
        frames += len(both[1].steps)
        if problem := broken(both[1]):
            wrong.append(f"program {seed}: {problem}")
        elif not traces.agree(*both):
            wrong.append(f"program {seed}: the engines disagree")
        elif traces.resolved(both[0]) != traces.naively(both[0], source, 40):
            wrong.append(f"program {seed}: a naive tracer sees something else")
    return wrong, frames


def main() -> None:
    """Check everything; exit with 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=500)
    programs = parser.parse_args().programs
    with tempfile.TemporaryDirectory() as folder:
        load(build(Path(folder)))
        from tests.stages.trace.tracer.traces import NAMES

        wrong = check_cases()
        more, frames = check_programs(programs)
    print(*wrong, *more, sep="\n", end="\n" if wrong or more else "")
    print(
        f"Python {platform.python_version()}: {len(NAMES)} cases, {len(wrong)} wrong;"
        f" {programs} programs of {frames:,} frames, {len(more)} wrong"
    )
    sys.exit(bool(wrong or more))


if __name__ == "__main__":
    main()
