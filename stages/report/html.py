"""Pieces of an HTML page: escaped text, tables, figures and the page around them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.4rem; }
table { border-collapse: collapse; margin: .6rem 0; font-size: .9rem; }
th, td { border-bottom: 1px solid #8884; padding: .25rem .7rem; text-align: left;
         vertical-align: top; }
th { font-weight: 600; } td.number, th.number { text-align: right; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.better { color: #2a9d5c; } .worse { color: #d1453b; } .muted { color: #888; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #8884; border-radius: 4px;
      padding: .5rem .7rem; margin: .3rem 0; font-size: .85rem; }
.beside { display: grid; grid-template-columns: 1fr 1fr; gap: 0 1rem; }
img { max-width: 100%; } code { font-size: .85rem; overflow-wrap: anywhere; }
details > summary { cursor: pointer; }
"""


class Markup(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


def text(value: Any) -> Markup:
    """Return a value as escaped text; None is a dash, large whole numbers get separators."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return Markup("–")
    if isinstance(value, bool):
        return Markup("yes" if value else "no")
    if isinstance(value, int):
        return Markup(f"{value:,}")
    return Markup(escape(f"{value:,.4g}" if isinstance(value, float) else str(value)))


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> Markup:
    """Return a table; a column whose first known cell is a number is set to the right."""
    right = [_is_number(row[i] for row in rows) for i in range(len(headings))]
    kinds = [' class="number"' if r else "" for r in right]
    head = "".join(f"<th{k}>{escape(h)}</th>" for h, k in zip(headings, kinds, strict=True))
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{k}>{text(c)}</td>" for c, k in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    return Markup(f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>")


def _is_number(cells: Any) -> bool:
    known = [c for c in cells if c is not None]
    return bool(known) and isinstance(known[0], (int, float))


def span(content: str, kind: str) -> Markup:
    """Return text with a class of `STYLE`."""
    return Markup(f'<span class="{kind}">{text(content)}</span>')


def figure(svg: str | None, description: str) -> Markup:
    """Return an SVG as an image inside the page; a note when there was nothing to draw."""
    if svg is None:
        return Markup(f'<p class="muted">{escape(description)}: no data</p>')
    data = base64.b64encode(svg.encode()).decode()
    return Markup(
        f'<p><img alt="{escape(description)}" src="data:image/svg+xml;base64,{data}"></p>'
    )


def folded(label: str, content: str) -> Markup:
    """Return content behind a line that unfolds it."""
    return Markup(f"<details><summary>{escape(label)}</summary>{content}</details>")


def section(heading: str, *parts: str) -> Markup:
    """Return a heading with what is below it."""
    return Markup(f"<h2>{escape(heading)}</h2>\n" + "\n".join(parts))


def page(title: str, *sections: str) -> str:
    """Return the whole page; it refers to nothing outside itself."""
    body = "\n".join(sections)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style></head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )
