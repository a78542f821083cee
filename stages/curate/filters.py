"""The filters: each is a function from text and settings to a drop reason with details, or None."""

from __future__ import annotations

import ast
import warnings

from stages.curate.settings import CurateSettings

Drop = tuple[str, str]
"""(reason, detail)."""

_HEAD_CHARACTERS = 2_000  # where a generator's notice is expected


def size(text: str, settings: CurateSettings) -> Drop | None:
    """Drop files that are too small to teach anything or too large to be written by hand."""
    count = len(text.encode())
    if count < settings.min_bytes:
        return "too-small", f"{count} < {settings.min_bytes} bytes"
    if count > settings.max_bytes:
        return "too-large", f"{count} > {settings.max_bytes} bytes"
    return None


def line_length(text: str, settings: CurateSettings) -> Drop | None:
    """Drop files with very long lines: data and minified code."""
    lengths = [len(line) for line in text.splitlines()] or [0]
    longest, mean = max(lengths), sum(lengths) / len(lengths)
    if longest > settings.max_line_length:
        return "long-line", f"{longest} > {settings.max_line_length} characters"
    if mean > settings.max_mean_line_length:
        return "long-lines", f"mean {mean:.0f} > {settings.max_mean_line_length:.0f} characters"
    return None


def alphanumeric(text: str, settings: CurateSettings) -> Drop | None:
    """Drop files that are mostly punctuation and space."""
    fraction = sum(map(str.isalnum, text)) / max(len(text), 1)
    if fraction < settings.min_alphanumeric_fraction:
        return "not-alphanumeric", f"{fraction:.2f} < {settings.min_alphanumeric_fraction}"
    return None


def generated(text: str, settings: CurateSettings) -> Drop | None:
    """Drop files whose head says that a program wrote them."""
    head = text[:_HEAD_CHARACTERS].lower()
    for marker in settings.generated_markers:
        if marker in head:
            return "generated", repr(marker)
    return None


def parses(text: str, settings: CurateSettings) -> Drop | None:
    """Drop what Python's own parser refuses."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like are the author's affair
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        # ValueError: null bytes; RecursionError, MemoryError: nested deeper than the parser allows
        return "syntax-error", f"{type(error).__name__}: {error}"[:200]
    return None


FILTERS = (size, line_length, generated, alphanumeric, parses)
"""In the order they are asked: the cheap ones first. The first drop counts."""


def first_drop(text: str, settings: CurateSettings) -> Drop | None:
    """Return the first filter's drop, or None for a file that passes them all."""
    return next((drop for check in FILTERS if (drop := check(text, settings))), None)
