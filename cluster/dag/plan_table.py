"""The plan as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from cluster.dag.placement import describe_all
from cluster.dag.plan import Plan, formulas

_COLOURS = {"cached": "green", "run": "yellow", "resume": "yellow", "waits": "cyan", "kept": "dim"}


def human_bytes(count: float | None) -> str:
    """Return a size in words: ``"3.1 MB"``; "" for None."""
    if count is None:
        return ""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} PB"


def human_number(label: str, value: Any) -> str:
    """Return a value of an estimate as people write it; labels that end in "bytes" are sizes."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if label.endswith("bytes"):
        return human_bytes(value)
    if abs(value) < 10_000:
        return f"{value:.4g}"
    for exponent, suffix in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if 10**exponent <= abs(value) < 10 ** (exponent + 3):
            return f"{value / 10**exponent:.3g} {suffix}"
    return f"{value:.2e}"


def print_plan(plan: Plan, console: Console) -> None:
    """Print the plan's table, the estimates, and what cannot be placed here."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("step", "would", "why"):
        table.add_column(heading, overflow="fold")
    table.add_column("disk", justify="right", no_wrap=True)
    for name, row in plan.steps.items():
        action = row.decision.action
        styled = f"[{_COLOURS[action]}]{action}[/]"
        disk = human_bytes(row.disk)
        table.add_row(
            name, styled, _escape(row.decision.why), f"≈ {disk}" if row.runs and disk else disk
        )
    console.print(table)
    total = sum(row.disk or 0 for row in plan.steps.values())
    console.print(
        f"{_counts(plan)}; disk {human_bytes(total)},"
        f" free {human_bytes(plan.free_bytes)} in {plan.store}",
        highlight=False,
    )
    _print_estimates(plan, console)
    for name, row in plan.steps.items():
        if row.runs and row.unplaceable:
            console.print(
                f"[red]{name} cannot run here:[/] {_escape(row.unplaceable)}", highlight=False
            )


def _counts(plan: Plan) -> str:
    counts: dict[str, int] = {}
    for row in plan.steps.values():
        counts[row.decision.action] = counts.get(row.decision.action, 0) + 1
    return ", ".join(f"{n} {action}" for action, n in counts.items())


def _print_estimates(plan: Plan, console: Console) -> None:
    rows = {name: row for name, row in plan.steps.items() if row.estimate}
    if not rows:
        return
    labels = list(dict.fromkeys(label for row in rows.values() for label in row.estimate))
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column("estimate", no_wrap=True)
    for name in rows:
        table.add_column(name, justify="right")
    for label in labels:
        shown = label.removesuffix(" bytes")
        table.add_row(shown, *(_cell(row.estimate, label) for row in rows.values()))
    table.add_row("asks for", *(describe_all(row.bundles) for row in rows.values()))
    console.print()
    console.print(table)
    _print_formulas(formulas(plan), console)


def _print_formulas(found: Mapping[str, str], console: Console) -> None:
    if not found:
        return
    table = Table(box=None, pad_edge=False, show_header=False, style="dim")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, formula in found.items():
        table.add_row(label.removesuffix(" bytes"), _escape(formula))
    console.print()
    console.print("how it is computed", style="dim")
    console.print(table)


def _cell(estimate: Mapping[str, Any], label: str) -> str:
    return human_number(label, estimate[label]) if label in estimate else ""


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
