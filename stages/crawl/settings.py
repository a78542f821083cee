"""Settings of the crawl: which sources, which licences, how much."""

from __future__ import annotations

from dataclasses import dataclass

SOURCES = ("stdlib", "installed")
"""The sources that exist."""

PERMISSIVE = (
    "0BSD",
    "Apache-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CNRI-Python",
    "HPND",
    "ISC",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "PSF-2.0",
    "Python-2.0",
    "Python-2.0.1",
    "Unlicense",
    "Zlib",
)
"""SPDX ids of licences that ask for no more than attribution."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CrawlSettings:
    """What to crawl and how much of it.

    Budgets are bytes of source text. The standard library comes first; then, within a distribution
    and over all of them, files are taken in the order of a hash of their name, those with doctests
    before others when ``prefer_doctests`` is set: later stages execute code, and an example that
    says what it should give is what they can execute.
    """

    # a subset of SOURCES
    sources: tuple[str, ...] = SOURCES
    # SPDX ids; an expression is permissive when every part of an AND, or one part of an OR, is in
    # the list
    licences: tuple[str, ...] = PERMISSIVE
    # path components whose files are not taken: test suites and tables that teach little
    excluded_parts: tuple[str, ...] = ("test", "tests", "idle_test", "testing", "pydoc_data")
    # path components under which a distribution carries others' code, for which its own licence
    # does not speak
    vendored_parts: tuple[str, ...] = (
        "_vendor",
        "_vendored",
        "vendor",
        "vendored",
        "extern",
        "third_party",
        "thirdparty",
        "thirdparty_files",
    )
    # distributions never taken (compared after PEP 503 normalisation): the project itself
    excluded_distributions: tuple[str, ...] = ("open-cwm",)
    # largest file, bytes
    max_file_bytes: int = 300_000
    # most bytes from the standard library
    stdlib_bytes: int = 4_000_000
    # most bytes from one distribution: variety counts for more than any one project
    distribution_bytes: int = 1_000_000
    # most bytes in all; about a tenth of it does not survive curation
    total_bytes: int = 26_000_000
    # take files with doctests before others
    prefer_doctests: bool = True

    def __post_init__(self) -> None:
        """Refuse unknown sources and impossible budgets."""
        unknown = sorted(set(self.sources) - set(SOURCES))
        if unknown or not self.sources:
            raise ValueError(f"sources={self.sources}: a non-empty subset of {SOURCES} is needed")
        for name in ("max_file_bytes", "stdlib_bytes", "distribution_bytes", "total_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: at least 1 byte is needed")
