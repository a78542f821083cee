"""From a distribution's metadata to an SPDX expression, and whether it is permissive.

Asked in this order, the first that speaks wins:

1. ``License-Expression`` (PEP 639): SPDX by definition.
2. ``License``: free text, taken when it is an SPDX expression or a well-known way to write one.
3. ``Classifier: License :: …``: several are joined with AND, the reading that promises least.
4. The licence files themselves, for the "BSD" family, whose classifier does not say which clauses.

What stays unclear stays without a licence; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution
from typing import Any

from license_expression import (
    ExpressionError,
    LicenseWithExceptionSymbol,
    Licensing,
    get_spdx_licensing,
)


@dataclass(frozen=True, slots=True)
class Licence:
    """An SPDX expression and how it was found."""

    expression: str
    method: str


# lower case, "license" and punctuation squeezed out (see _squeeze) → SPDX
_SPELLINGS = {
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2 0": "Apache-2.0",
    "apache software": "Apache-2.0",
    "apache software 2 0": "Apache-2.0",
    "apache version 2 0": "Apache-2.0",
    "2 clause bsd": "BSD-2-Clause",
    "bsd 2 clause": "BSD-2-Clause",
    "simplified bsd": "BSD-2-Clause",
    "3 clause bsd": "BSD-3-Clause",
    "bsd 3 clause": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "modified bsd": "BSD-3-Clause",
    "isc": "ISC",
    "mit": "MIT",
    "mit style": "MIT",
    "mozilla public 2 0": "MPL-2.0",
    "psf": "PSF-2.0",
    "python software foundation": "PSF-2.0",
}

_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "zlib/libpng License": "Zlib",
}

_FILE_HEADER = re.compile(r"SPDX-License-Identifier:\s*([^\r\n*]+)")


@cache
def _licensing() -> Licensing:
    return get_spdx_licensing()


@cache
def normalise(text: str) -> str | None:
    """Return ``text`` as a normalised SPDX expression, or None when it is not one."""
    try:
        parsed = _licensing().parse(text, validate=True, strict=True)
    except ExpressionError:
        return None
    return None if parsed is None else str(parsed)


@cache
def is_permissive(expression: str, allowed: frozenset[str]) -> bool:
    """Say whether the SPDX ``expression`` can be met with licences of ``allowed`` alone.

    An exception (``WITH``) only ever adds permissions, so the licence it belongs to decides.
    """
    licensing = _licensing()

    def met(node: Any) -> bool:
        if isinstance(node, LicenseWithExceptionSymbol):
            return node.license_symbol.key in allowed
        if isinstance(node, licensing.AND):
            return all(met(part) for part in node.args)
        if isinstance(node, licensing.OR):
            return any(met(part) for part in node.args)
        return node.key in allowed

    return met(licensing.parse(expression))


def licence_of(distribution: Distribution) -> Licence | None:
    """Return the licence that a distribution states, or None when it states none clearly."""
    steps: tuple[tuple[str, Callable[[Distribution], str | None]], ...] = (
        ("license-expression", _from_expression),
        ("license-field", _from_field),
        ("classifier", _from_classifiers),
        ("licence-file", _from_files),
    )
    for method, ask in steps:
        expression = ask(distribution)
        if expression is not None:
            return Licence(expression, method)
    return None


def licence_of_file(text: str, default: Licence | None) -> Licence | None:
    """Return what an ``SPDX-License-Identifier`` in the file's head says, ``default`` without one.

    One that is no SPDX expression (``LicenseRef-Proprietary``) still overrides the distribution: it
    gives None.
    """
    match = _FILE_HEADER.search(text, 0, 2000)
    if match is None:
        return default
    own = normalise(match.group(1).strip())
    return Licence(own, "file-header") if own else None


def _field(distribution: Distribution, name: str) -> str:
    metadata = distribution.metadata
    return metadata[name].strip() if name in metadata else ""


def _from_expression(distribution: Distribution) -> str | None:
    return normalise(_field(distribution, "License-Expression"))


def _squeeze(text: str) -> str:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return " ".join(word for word in words if word not in ("license", "licence", "licensed", "the"))


def _from_field(distribution: Distribution) -> str | None:
    text = _field(distribution, "License")
    if not text or "\n" in text:  # a whole licence text is read as a file would be
        return None
    return normalise(text) or _SPELLINGS.get(_squeeze(text))


def _from_classifiers(distribution: Distribution) -> str | None:
    found: Collection[str] = distribution.metadata.get_all("Classifier") or []
    names = {c.split(" :: ")[-1] for c in found if c.startswith("License :: ")} - {"OSI Approved"}
    expressions = {_CLASSIFIERS.get(name) or _bsd(name, distribution) for name in names}
    if not expressions or None in expressions:
        return None
    return normalise(" AND ".join(sorted(e for e in expressions if e)))


def _bsd(classifier: str, distribution: Distribution) -> str | None:
    return _from_files(distribution) if classifier == "BSD License" else None


def _from_files(distribution: Distribution) -> str | None:
    """Tell the BSD licences apart by their wording, in ``License`` or the licence files."""
    texts = [_field(distribution, "License")]
    for file in distribution.files or []:
        inside = any(part.endswith((".dist-info", ".egg-info")) for part in file.parts)
        if inside and re.match(r"(licen[cs]e|copying)", file.name, re.IGNORECASE):
            try:
                texts.append(file.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError):
                continue
    for text in (re.sub(r"[\s>#*]+", " ", t).lower() for t in texts):
        if "redistribution and use in source and binary forms" in text:
            third = re.search(r"(neither the name|names? of .{0,80} may not be used)", text)
            return "BSD-3-Clause" if third else "BSD-2-Clause"
    return None
