"""The cases, the invariants and programs of any shape, on other versions of Python::

    python -m tests.stages.trace.tracer.other_python [--programs N] [INTERPRETER …]

Without interpreters, those that are found: python3.12 and python3.13 of the PATH, or the
interpreters that the variable PYTHONS names, separated by spaces. They need nothing but their
standard library, their headers and a C compiler: the engine in C is compiled for each of them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
WANTED = ("python3.12", "python3.13")
CHECK = "tests.stages.trace.tracer.this_python"


def runs(interpreter: str) -> bool:
    """Say whether an interpreter is there and starts."""
    found = shutil.which(interpreter)
    return (
        found is not None and not subprocess.run([found, "-c", ""], capture_output=True).returncode
    )


def interpreters() -> list[str]:
    """Return the interpreters to check; raises SystemExit with what is missing."""
    wanted = os.environ.get("PYTHONS", "").split() or list(WANTED)
    missing = [each for each in wanted if not runs(each)]
    if missing:
        raise SystemExit(
            f"Missing: {', '.join(missing)} (on the PATH, or named by PYTHONS='PYTHON PYTHON';"
            " with pyenv: pyenv install 3.12 3.13, then PYENV_VERSION=3.12:3.13)"
        )
    return wanted


def main() -> None:
    """Check each interpreter; exit with 1 when one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--programs", default="500", help="how many programs of any shape")
    parser.add_argument("interpreters", nargs="*")
    options = parser.parse_args()
    failed = 0
    for interpreter in options.interpreters or interpreters():
        command = [interpreter, "-m", CHECK, "--programs", options.programs]
        # no site-packages: what is installed there must not be what makes it work
        failed += subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONNOUSERSITE": "1", "PYTHONHASHSEED": "0"}
        ).returncode
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
