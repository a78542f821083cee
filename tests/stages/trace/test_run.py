"""The stage from a small corpus to its tables, in a real sandbox."""

import hashlib
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import ray

from cluster.dag.metrics import read_statistics
from cluster.dag.stage import Input, StepContext
from cluster.sandbox import Sandbox
from model.frames import Frame, diff, resolve
from stages.kind_checks import check_traces, digest_splits
from stages.tables import DOCUMENTS, DROPPED, read_table, write_table
from stages.trace import batches
from stages.trace.candidates import candidates_of
from stages.trace.programs import shape
from stages.trace.run import _rows, run
from stages.trace.settings import TracePlacement, TraceSettings

MODULES = ("textwrap", "heapq", "bisect", "statistics", "fractions", "shlex", "locale", "random")
SETTINGS = TraceSettings(
    program_levels=((0, 300), (3, 50)), heldout_fraction=0.2, min_functions_per_origin=1
)
PLACEMENT = TracePlacement(functions_per_task=4, programs_per_task=100)


def document(file, path, origin="cpython"):
    text = file.read_text()
    return {
        **dict.fromkeys(DOCUMENTS.names, ""),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "text": text,
        "origin": origin,
        "path": path,
        "licence": "Python-2.0",
    }


def trace(tmp_path, name, placement=PLACEMENT, settings=SETTINGS):
    corpus, output = tmp_path / "corpus", tmp_path / name
    if not corpus.exists():
        files = {
            module: Path(sys.modules["os"].__file__).parent / f"{module}.py" for module in MODULES
        }
        rows = [document(file, file.name) for file in files.values()]
        write_table(corpus / "train", DOCUMENTS, rows[:6])
        write_table(corpus / "heldout", DOCUMENTS, rows[6:])
        write_table(corpus / "dropped", DROPPED, [])
    output.mkdir()
    run(
        StepContext(
            step="trace",
            settings=settings,
            placement=placement,
            inputs={"corpus": Input(path=corpus, kind="corpus", digest="")},
            output=output,
            scratch=tmp_path,
        )
    )
    check_traces(output)
    return output


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return trace(tmp_path_factory.mktemp("trace"), "out")


@pytest.fixture(scope="module")
def rows(made):
    return {split: list(read_table(made / split)) for split in ("train", "heldout")}


def test_functions_and_programs_are_there(made, rows):
    counts = read_statistics(made / "statistics.json")
    assert counts["batches.engine.native"] > 0 and "batches.engine.python" not in counts
    every = [*rows["train"], *rows["heldout"]]
    assert counts["traces"] == len(every)
    assert counts["functions"] == len({r["name"] for r in every if r["source"] == "function"}) >= 4
    assert Counter(r["source"] for r in every)["program"] > 200
    assert {"doctest", "mutation", "generated"} == {r["input_method"] for r in every}


def test_every_trace_keeps_the_rules(rows):
    for row in [*rows["train"], *rows["heldout"]]:
        lines = row["context"].replace("  # << START_OF_TRACE", "", 1).splitlines(keepends=True)
        frames = [Frame.from_row(frame) for frame in row["frames"]]
        assert frames[0].event == "call" and frames[0].depth == 0
        assert all(frame.source == lines[frame.line - 1] for frame in frames)
        assert sum(frame.event == "line" for frame in frames) >= SETTINGS.min_lines
        again = [(f.locals, f.value) for f in resolve(diff(frames))]
        assert again == [(f.locals, f.value) for f in frames]
        marked = row["context"].splitlines()[frames[0].line - 1]
        assert marked.endswith("  # << START_OF_TRACE") and f"def {row['entry']}" in marked
        if row["outcome"] in ("return", "exception"):
            assert frames[-1].event == "return" and frames[-1].depth == 0
            assert row["sandbox"] == "bwrap"


def test_heldout_is_apart_from_training(rows):
    shapes = {
        split: {
            shape(row["context"].replace("  # << START_OF_TRACE", ""))
            for row in found
            if row["source"] == "program"
        }
        for split, found in rows.items()
    }
    assert shapes["heldout"] and not shapes["train"] & shapes["heldout"]
    for column in ("group", "key"):
        train, heldout = ({row[column] for row in rows[split]} for split in ("train", "heldout"))
        assert not train & heldout
    calls = [(r["name"], r["arguments"]) for found in rows.values() for r in found if r["literal"]]
    assert len(calls) == len(set(calls))


def test_exceptions_stay_within_their_quota(rows):
    for found in rows.values():
        ends = Counter(row["outcome"] for row in found if row["source"] == "function")
        assert ends["exception"] <= SETTINGS.exception_fraction * max(1, ends.total())


def test_the_content_does_not_depend_on_how_the_work_is_divided(made, tmp_path):
    other = TracePlacement(functions_per_task=100, programs_per_task=1000)
    assert digest_splits(trace(tmp_path, "again", other)) == digest_splits(made)


def test_under_ray_the_content_is_the_same(made, tmp_path):
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        output = trace(tmp_path, "ray", TracePlacement(workers=2, cpus=0.5))
    finally:
        ray.shutdown()
    assert digest_splits(output) == digest_splits(made)


WILD = '''\
import os, time


def never(n):
    """
    >>> never(1)
    """
    while sum(range(10**12)):
        n += 1


def gone(n):
    """
    >>> gone(1)
    """
    n += 1
    os._exit(3)


def clock(n):
    """
    >>> clock(1)
    """
    t = time.perf_counter_ns()
    n = t
    return n


def patient(n):
    """
    >>> patient(1)
    """
    time.sleep(3600)
    return n


def placed(n):
    """
    >>> placed(1)
    """
    order = list({object() for _ in range(3)})
    n = id(order)
    return n


def fine(n):
    """
    >>> fine(1)
    """
    m = n + 1
    return m
'''


def test_what_does_not_end_dies_or_changes_is_dropped_with_its_reason(tmp_path, monkeypatch):
    (tmp_path / "wild.py").write_text(WILD)
    settings = TraceSettings(function_cpu_seconds=1, function_wall_seconds=5, mutations_per_call=2)
    found = list(candidates_of(document(tmp_path / "wild.py", "wild.py"), "train", settings))
    task = batches.function_task(found, settings)
    monkeypatch.setattr(batches, "Sandbox", partial(Sandbox, path=(tmp_path,)))
    dropped = []
    rows = [
        row
        for part, result in batches.trace_task(task).parts
        for _, row in _rows(part, result, settings, "bwrap", dropped)
    ]
    assert {row["name"] for row in rows} == {"wild:fine", "wild:patient"}
    reasons = {(row["key"], row["reason"]) for row in dropped}
    assert {
        ("wild:never", "timeout"),
        ("wild:gone", "crash"),
        ("wild:clock", "nondeterministic"),
        ("wild:placed", "nondeterministic"),
    } <= reasons


def test_a_module_that_is_not_the_document_is_dropped(tmp_path):
    (tmp_path / "heapq.py").write_text(WILD)
    settings = TraceSettings()
    found = list(candidates_of(document(tmp_path / "heapq.py", "heapq.py"), "train", settings))
    task = batches.function_task(found, settings)
    dropped = []
    for part, result in batches.trace_task(task).parts:
        assert not list(_rows(part, result, settings, "bwrap", dropped))
    assert {row["reason"] for row in dropped} == {"import-failed"}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"program_levels": ((7, 1),)}, "level from 0 to 4"),
        ({"exception_fraction": 1.0}, "exception_fraction"),
        ({"events": 0}, "events=0"),
        ({"value_chars": 3}, "value_chars=3"),
    ],
)
def test_settings_refuse_nonsense(bad, said):
    with pytest.raises(ValueError, match=said):
        TraceSettings(**bad)
