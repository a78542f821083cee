"""What each way to get inputs yields: on functions of the standard library and of packages.

    python -m benchmarks.trace_yield [PACKAGE ...] [--functions N] [--library N] [--methods a,b]

For every source of inputs by itself, then for all of them in the stage's order: the share of
functions with a valid trace (a call was seen, two line events or more, no guess that ended in a
TypeError or AttributeError), with one whose arguments are literals, how many traces, how long, how
they end, and traces per CPU second of the method with its forks (imports apart). The anchors beside
them are figures of throw-away prototypes on 722 functions; "of n" says how many functions a share
is of. Functions whose body is a single line are left out: they can have no two line events.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from stages.trace.batches import function_shards
from stages.trace.candidates import Candidate, candidates_of, choose
from stages.trace.inputs import METHODS
from stages.trace.inputs.drivers import with_driver
from stages.trace.inputs.harvest import harvest
from stages.trace.settings import TraceSettings
from stages.trace.shards import FIRST_MEMORY
from stages.trace.tracer.recording import USABLE, Recording

PACKAGES = ["more_itertools", "toolz", "boltons", "networkx", "sympy", "sortedcontainers"]
PACKAGES += ["packaging", "markupsafe", "werkzeug", "jinja2", "pygments", "dateutil", "mpmath"]
EXCLUDED = {"test", "tests", "testing", "site-packages", "idlelib", "lib2to3", "turtledemo"}
SUBSET = {"sympy": ("ntheory", "combinatorics", "utilities", "polys", "sets", "functions")}
SETTINGS = TraceSettings(
    max_functions=10**6,
    min_functions_per_origin=1,
    excluded_origins=(),
    calls_per_function=5,
    function_cpu_seconds=4,
    function_wall_seconds=10.0,
)
RUNS: dict[str, tuple[str, ...]] = {
    "doctest": ("doctest",),
    "unittest": ("unittest",),
    "main": ("main",),
    "harvest": ("harvest",),
    "mutation": ("doctest", "mutation"),
    "fuzz": ("fuzz",),
    "union": tuple(each for each in METHODS if each != "llm"),
}
"""What runs for a line of the table; a mutation starts from what the doctests call."""

ANCHORS = {
    ("doctest", "library"): "10 %  497/s",
    ("doctest", "packages"): "81 %  324/s",
    ("unittest", "library"): "88 % of tested  52/s",
    ("unittest", "packages"): "36 %  79/s",
    ("mutation", "packages"): "43 %  251/s",
    ("fuzz", "library"): "77 %  333/s",
    ("fuzz", "packages"): "66 %  284/s",
    ("union", "packages"): "85 %",
}
Json = dict[str, Any]


@dataclass(slots=True)
class Yield:
    """What a source came to on one set of functions."""

    functions: int = 0
    valid: int = 0
    literal: int = 0
    tested: int = 0
    """Functions for which the source had anything to try."""
    lines: list[int] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    cpu: float = 0.0
    dropped: Counter[str] = field(default_factory=Counter)
    without: list[str] = field(default_factory=list)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("packages", nargs="*", default=PACKAGES, help="that are installed")
    parser.add_argument("--functions", type=int, default=320, help="of each package, at most")
    parser.add_argument("--library", type=int, default=900, help="of the standard library")
    parser.add_argument("--methods", default=",".join(RUNS), help="lines of the table")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    documents = list(_library())
    for name in options.packages:
        documents += _package(name)
    inputs = harvest(documents)
    chosen = {
        name: _chosen(
            [each for each in documents if (each["origin"] == "cpython") == library], most
        )
        for name, library, most in (
            ("library", True, options.library),
            ("packages", False, options.functions),
        )
    }
    rows = {}
    for method in options.methods.split(","):
        for name, group in chosen.items():
            rows[method, name] = _measure(method, group, inputs)
            print(method, name, rows[method, name].valid, len(group), file=sys.stderr, flush=True)
    _print(rows)
    if options.json:
        options.json.write_text(
            json.dumps({"/".join(key): _plain(row) for key, row in rows.items()})
        )


def _library() -> Iterator[Json]:
    root = Path(sysconfig.get_path("stdlib"))
    for file in sorted(root.rglob("*.py")):
        if not EXCLUDED & set(file.relative_to(root).parts):
            yield from _document(file, root, "cpython")


def _package(name: str) -> Iterator[Json]:
    found = find_spec(name)
    if found is None or found.origin is None:
        print(f"{name} is not installed: left out", file=sys.stderr)
        return
    folder = Path(found.origin).parent
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).parts
        if not EXCLUDED & set(parts) and (name not in SUBSET or parts[0] in SUBSET[name]):
            yield from _document(file, folder.parent, name)


def _document(file: Path, root: Path, origin: str) -> Iterator[Json]:
    try:
        data = file.read_bytes()
        text = data.decode()
    except UnicodeDecodeError:
        return
    yield {
        "sha256": hashlib.sha256(data).hexdigest(),
        "text": text,
        "origin": origin,
        "path": str(file.relative_to(root)),
        "licence": "",
    }


def _chosen(documents: Sequence[Json], most: int) -> list[Candidate]:
    settings = replace(SETTINGS, max_functions_per_origin=most)
    found = [
        replace(each, doctest=False)  # those with doctests are not taken before others here
        for document in documents
        for each in candidates_of(document, "train", settings)
        if isinstance(each, Candidate)
    ]
    return choose(found, settings)


def _measure(
    method: str, chosen: Sequence[Candidate], called: Mapping[str, Sequence[str]]
) -> Yield:
    total = Yield()
    settings = replace(SETTINGS, input_methods=RUNS[method])
    inputs = {name: [("harvest", source) for source in found] for name, found in called.items()}
    path = tuple(each for each in sys.path if "site-packages" in each)
    for shard in function_shards(chosen, inputs, settings):
        for part, result in replace(shard, path=path).execute(FIRST_MEMORY)[1]:
            if result.outcome == "ok":
                for candidate, outcome in zip(part.candidates, result.value, strict=True):
                    _add(total, method, candidate, outcome)
            else:
                total.functions += len(part.candidates)
                total.dropped[f"batch-{result.outcome}"] += len(part.candidates)
    return total


def _add(total: Yield, method: str, candidate: Candidate, outcome: Json) -> None:
    counted = RUNS[method] if method == "union" else (method,)
    total.functions += 1
    total.cpu += sum(seconds for name, seconds in outcome["cpu"].items() if name != "import")
    total.dropped.update(reason for reason, _ in outcome["dropped"])
    valid, literal = False, False
    for each in outcome["recordings"]:
        shown = with_driver(candidate.shown, each["driver"])
        recording = Recording.from_json(each, shown.text)
        ill = recording.outcome == "exception" and recording.result.startswith(
            ("TypeError", "AttributeError")
        )
        worth = recording.lines >= 2 and recording.outcome in USABLE
        if each["method"] not in counted or not worth or (ill and each["method"] == "fuzz"):
            continue
        valid = True
        literal |= recording.arguments is not None
        total.lines.append(recording.lines)
        total.outcomes["budget" if "budget" in recording.outcome else recording.outcome] += 1
    total.tested += valid or any(outcome["tried"].get(each) for each in counted)
    total.valid += valid
    total.literal += literal
    if not valid:
        why = ";".join(f"{reason}:{detail[:60]}" for reason, detail in outcome["dropped"])
        total.without.append(f"{candidate.name} {candidate.kind} {why}")


def _plain(row: Yield) -> Json:
    return {name: getattr(row, name) for name in Yield.__slots__}


def _print(rows: dict[tuple[str, str], Yield]) -> None:
    table = Table(title="Yield of inputs", show_edge=False)
    heads = ["source", "set", "valid", "literal", "traces", "median/p90", "return/exception/budget"]
    for head in (*heads, "traces/CPU-s", "of n", "where tried", "anchor"):
        table.add_column(head)
    for (method, name), row in rows.items():
        traces, n = len(row.lines), max(1, row.functions)
        deciles = statistics.quantiles(row.lines, n=10) if traces > 1 else [0.0] * 9
        shares = [row.outcomes[each] / max(1, traces) for each in ("return", "exception", "budget")]
        table.add_row(
            method,
            name,
            f"{row.valid / n:.0%}",
            f"{row.literal / n:.0%}",
            str(traces),
            f"{deciles[4]:.0f} / {deciles[8]:.0f}",
            " / ".join(f"{share:.0%}" for share in shares),
            f"{traces / max(row.cpu, 1e-9):.0f}",
            str(row.functions),
            f"{row.valid / max(1, row.tested):.0%} of {row.tested}",
            ANCHORS.get((method, name), ""),
        )
    Console(width=160).print(table)
    for (method, name), row in rows.items():
        print(f"{method} {name}: {dict(row.dropped.most_common())}")


if __name__ == "__main__":
    main()
