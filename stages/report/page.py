"""The report's page: its sections, from the summary and the figures."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from stages.report.html import Markup, figure, folded, page, section, span, table, text
from stages.report.terminal import (
    MARKS,
    baseline_text,
    reinforcement_cells,
    score_text,
    seconds_text,
    shorten,
)

_WORDS = {
    "better": "better",
    "worse": "worse",
    "not significant": "not significant",
    "unknown": "no standard error",
}
_CLASSES = {"better": "better", "worse": "worse", "not significant": "muted", "unknown": "muted"}


def build_page(found: Mapping[str, Any], figures: Mapping[str, str | None]) -> str:
    """Return the page; ``figures`` are SVG texts: ``loss``, ``reward``, ``timeline``, ``metrics``,
    ``funnel``."""
    return page(
        found["title"],
        section("Metrics per checkpoint", _metrics(found), _legend(found)),
        section("Metrics per stage", figure(figures["metrics"], "metrics per checkpoint")),
        section("Loss", figure(figures["loss"], "loss over training steps")),
        section("Reward", figure(figures["reward"], "reward over reinforcement learning steps")),
        section("Time of a step", figure(figures["timeline"], "seconds per step, by phase")),
        section("Reinforcement learning on held-out prompts", _reinforcement(found)),
        section("A prediction beside the truth", *(_example(e) for e in found["examples"])),
        section(
            "Data: kept and dropped", figure(figures["funnel"], "data funnel"), _funnels(found)
        ),
        section("Documents and tokens per source", _tokens(found)),
        section("Licences", _licences(found)),
        section("Steps: cost and lineage", _steps(found), _lineage_hint()),
    )


def _metrics(found: Mapping[str, Any]) -> Markup:
    rows = []
    for row in found["metrics"]:
        cells = [_score(row["scores"].get(c)) for c in found["checkpoints"]]
        counts = [s["n"] for s in row["scores"].values() if s["n"] is not None]
        better = f"{row['better']} is better"
        rows.append(
            [row["name"], better, max(counts) if counts else None, baseline_text(row), *cells]
        )
    return table(["metric", "", "n", "baseline", *found["checkpoints"]], rows)


def _score(score: Mapping[str, Any] | None) -> Markup:
    if score is None:
        return text(None)
    shown = text(score_text(score))
    if score["change"] is None:
        return shown
    mark = f"{MARKS[score['change']][0]} {_WORDS[score['change']]}".strip()
    return Markup(f"{shown}<br>{span(mark, _CLASSES[score['change']])}")


def _legend(found: Mapping[str, Any]) -> str:
    limit = f"{found['significance']:g}"
    return (
        '<p class="muted">Value ± standard error. Below it, the comparison with the checkpoint '
        f"before: a difference within {limit} of its standard errors is not significant. "
        f"A star marks a value that is better than the strongest baseline by more than {limit} of "
        "its standard errors.</p>"
    )


def _reinforcement(found: Mapping[str, Any]) -> Markup:
    if not found["reinforcement"]:
        return span("not measured", "muted")
    rows = [reinforcement_cells(row) for row in found["reinforcement"]]
    return table(["", "before", "after", "change", "paired test"], rows)


def _example(example: Mapping[str, Any]) -> Markup:
    kind = "better" if example.get("correct") else "worse"
    verdict = span("right" if example.get("correct") else "wrong", kind)
    title = escape(f"{example.get('step')} · {example.get('metric')}")
    if example.get("origin"):
        title += escape(f" · code of {example['origin']} ({example.get('licence', '–')})")
    sides = "".join(
        f"<div>{name}<pre>{text(shorten(example.get(name)))}</pre></div>"
        for name in ("prediction", "truth")
    )
    prompt = f"<pre>{text(shorten(example.get('prompt')))}</pre>"
    return Markup(f'<p>{title} · {verdict}</p>{prompt}<div class="beside">{sides}</div>')


def _funnels(found: Mapping[str, Any]) -> Markup:
    rows = []
    for funnel in found["funnels"]:
        kept = ", ".join(f"{name} {count:,}" for name, count in funnel["kept"].items())
        dropped = ", ".join(f"{reason} {count:,}" for reason, count in funnel["dropped"].items())
        total = sum(funnel["dropped"].values())
        rows.append([funnel["step"], kept, total, dropped or "nothing"])
    return table(["step", "kept", "dropped", "for what reason"], rows)


def _tokens(found: Mapping[str, Any]) -> Markup:
    """Return a line per source and training stage that used it, and one per part of a source."""
    rows: list[list[Any]] = []
    for source in found["tokens"]:
        made = [source["name"], source["documents"], source["tokens"]]
        stages = list(dict.fromkeys([*source["tokens_seen"], *source["documents_seen"]])) or [None]
        for stage in stages:
            used = [source[k].get(stage) for k in ("documents_seen", "tokens_seen")]
            rows.append([*made, source["fitted"].get(stage, source["fit"]), stage, *used])
        for group, counts in source["groups"].items():
            part = [counts.get(k) for k in ("documents", "tokens", "fit")]
            rows.append([span(f"{source['name']}: {group}", "muted"), *part, None, None, None])
    headings = ["source", "documents made", "tokens made", "fitted the context", "trained in"]
    return table([*headings, "documents trained on", "tokens trained on"], rows)


def _licences(found: Mapping[str, Any]) -> Markup:
    totals: dict[str, list[int]] = {}
    for origin in found["origins"]:
        total = totals.setdefault(origin["licence"], [0, 0, 0])
        for place, amount in enumerate((1, origin["files"], origin["bytes"])):
            total[place] += amount
    ordered = sorted(totals.items(), key=lambda item: -item[1][2])
    by_licence = table(["licence", "origins", "files", "bytes"], [[k, *v] for k, v in ordered])
    names = ("origin", "revision", "licence", "files", "bytes")
    by_origin = table(names, [[o[name] for name in names] for o in found["origins"]])
    label = f"all {len(found['origins'])} origins"
    return Markup(by_licence + folded(label, by_origin))


def _steps(found: Mapping[str, Any]) -> Markup:
    rows = [
        [
            step["step"],
            step["kind"],
            _seconds(step["wall_seconds"]),
            _seconds(step["cpu_seconds"]),
            Markup(f"<code>{escape((step['fingerprint'] or '–')[:16])}</code>"),
            Markup(f"<code>{escape(step['run_id'] or '–')}</code>"),
            step["finished_at"],
        ]
        for step in found["steps"]
    ]
    headings = ["step", "makes", "wall s", "CPU s", "fingerprint", "MLflow run", "finished"]
    return table(headings, rows)


def _seconds(value: float | None) -> Markup:
    return Markup(seconds_text(value))


def _lineage_hint() -> str:
    return (
        '<p class="muted">From any of these to the source files: '
        "<code>python -m cluster.tracking.lineage STEP|FINGERPRINT|RUN|METRIC</code></p>"
    )
