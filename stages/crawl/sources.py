"""The places where source files are found: what each origin holds, before any file is read."""

from __future__ import annotations

import platform
import re
import site
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from stages.crawl.licences import Licence, licence_of

STDLIB_LICENCE = "Python-2.0.1"
"""SPDX's name for the whole stack in CPython's LICENSE.

The stack is PSF-2.0 over BeOpen's, CNRI's (Python 1.6.1) and CWI's licences. ``PSF-2.0`` names its
first layer only, and ``Python-2.0`` the older stack with CNRI's licence of Python 1.6; the full one
is the honest name.
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A source file that an origin lists: where it lies and its path as the origin names it."""

    path: str
    file: Path


@dataclass(frozen=True, slots=True)
class Origin:
    """A distribution or an interpreter: name, version, licence, Python files in path order."""

    source: str
    name: str
    revision: str
    licence: Licence | None
    files: tuple[Found, ...]


def normal_name(name: str) -> str:
    """Return a distribution's name in PEP 503's normal form."""
    return re.sub(r"[-_.]+", "-", name).lower()


def stdlib(root: Path | None = None) -> Origin:
    """Return the standard library of the running interpreter (``root`` is for tests)."""
    root = root or Path(sysconfig.get_path("stdlib"))
    licence_file = root / "LICENSE.txt"
    method = "interpreter-licence-file" if licence_file.is_file() else "interpreter"
    files = tuple(
        Found(path.relative_to(root).as_posix(), path)
        for path in sorted(root.rglob("*.py"))
        if not {"site-packages", "dist-packages"} & set(path.parts)
    )
    licence = Licence(STDLIB_LICENCE, method)
    return Origin("stdlib", "cpython", platform.python_version(), licence, files)


def site_folders() -> list[str]:
    """Return where the running interpreter's packages are installed.

    Not ``sys.path``: importing Ray adds the folder of its own copies of other packages to it, so
    the same machine would look different from within a Ray job.
    """
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [*user, *site.getsitepackages()]


def installed_distributions(
    excluded: Sequence[str] = (), search_path: Sequence[str] | None = None
) -> list[Distribution]:
    """Return the installed distributions by name, without those ``excluded``.

    Of a name that is installed twice the first on the path counts, as it does for ``import``.
    ``search_path`` replaces the interpreter's `site_folders`.
    """
    names = {normal_name(name) for name in excluded}
    found: dict[str, Distribution] = {}
    for distribution in distributions(path=list(search_path or site_folders())):
        if "Name" not in distribution.metadata:  # left by a half-removed installation
            continue
        name = normal_name(distribution.metadata["Name"])
        if name not in names:
            found.setdefault(name, distribution)
    return [found[name] for name in sorted(found)]


def installed(distribution: Distribution) -> Origin:
    """Return what one installed distribution holds, as its RECORD lists it."""
    files = sorted(
        (str(file), Path(str(distribution.locate_file(file))))
        for file in distribution.files or []
        if file.suffix == ".py" and ".." not in file.parts
    )
    return Origin(
        "installed",
        normal_name(distribution.metadata["Name"]),
        distribution.version,
        licence_of(distribution),
        tuple(Found(path, file) for path, file in files),
    )


def origins(sources: Sequence[str], excluded: Sequence[str]) -> Iterator[Origin]:
    """Yield the origins of the wanted ``sources``, in a stable order."""
    if "stdlib" in sources:
        yield stdlib()
    if "installed" in sources:
        for distribution in installed_distributions(excluded):
            yield installed(distribution)
