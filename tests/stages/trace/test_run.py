"""The stage from a small corpus to its tables, in a real sandbox."""

import re
import sys
from collections import Counter
from dataclasses import replace

import pytest
import ray

from cluster.dag.metrics import read_statistics
from model.frames import Frame, diff, resolve
from stages.kind_checks import digest_splits
from stages.tables import read_table
from stages.trace.batches import FunctionShard
from stages.trace.candidates import candidates_of
from stages.trace.inputs.llm_settings import LLMEndpoint, LLMSettings
from stages.trace.programs import shape
from stages.trace.repository.settings import RepositorySettings
from stages.trace.settings import TracePlacement, TraceSettings
from stages.trace.shards import make_shard, read_rows
from tests.stages.trace.corpus import PLACEMENT, SETTINGS, document, trace
from tests.stages.trace.inputs.model_server import Reply, model_server


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return trace(tmp_path_factory.mktemp("trace"), "out")


@pytest.fixture(scope="module")
def rows(made):
    return {split: list(read_table(made / split)) for split in ("train", "heldout")}


def test_functions_and_programs_are_there(made, rows):
    counts = read_statistics(made / "statistics.json")
    assert counts["shards.engine.native"] == counts["shards"]
    every = [*rows["train"], *rows["heldout"]]
    assert counts["traces"] == len(every)
    assert counts["functions"] == len({r["name"] for r in every if r["source"] == "function"}) >= 4
    assert Counter(r["source"] for r in every)["program"] > 200
    used = {r["input_method"] for r in every}
    assert {"doctest", "unittest", "mutation", "fuzz", "generated"} <= used
    for method in used:
        assert counts[f"method.{method}.valid"] >= counts[f"traces.input.{method}"]
        assert counts[f"method.{method}.tried"] > 0
    assert counts["traces.made"] >= counts["traces"]


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
    contexts = [{row["context"] for row in found} for found in rows.values()]
    assert not contexts[0] & contexts[1]
    calls = [
        (r["context"], r["arguments"]) for found in rows.values() for r in found if r["literal"]
    ]
    assert len(calls) == len(set(calls))


def test_exceptions_stay_within_their_quota(rows):
    for found in rows.values():
        ends = Counter(row["outcome"] for row in found if row["source"] == "function")
        assert ends["exception"] <= SETTINGS.exception_fraction * max(1, ends.total())


def test_at_most_so_many_traces_of_the_same_lines_and_outcome(rows):
    found = Counter(
        (row["name"], row["coverage"], row["outcome"])
        for each in rows.values()
        for row in each
        if row["source"] == "function"
    )
    assert max(found.values()) == SETTINGS.per_coverage


def test_the_tables_are_in_key_order_throughout(rows):
    for found in rows.values():
        keys = [row["key"] for row in found]
        assert keys == sorted(keys)


def test_every_left_out_trace_is_said_why(made):
    counts = read_statistics(made / "statistics.json")
    reasons = Counter(row["reason"] for row in read_table(made / "dropped"))
    assert reasons == {
        name.removeprefix("dropped."): count
        for name, count in counts.items()
        if name.startswith("dropped.")
    }
    assert {"coverage", "one-line"} <= set(reasons)


def test_under_ray_and_divided_otherwise_the_content_is_the_same(made, tmp_path):
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        placement = TracePlacement(workers=2, cpus=0.5, programs_per_shard=1000)
        output = trace(tmp_path, "ray", placement)
    finally:
        ray.shutdown()
    assert digest_splits(output) == digest_splits(made)


def test_long_traces_become_episodes(tmp_path):
    settings = replace(
        SETTINGS, program_levels=(), program_families=(), max_functions=8, episode_events=12
    )
    output = trace(tmp_path, "out", settings=settings)
    rows = [row for split in ("train", "heldout") for row in read_table(output / split)]
    cut = [row for row in rows if row["episode"]]
    assert cut and all(len(row["frames"]) <= 12 for row in rows)
    for row in cut:
        first = row["frames"][0]
        assert first["event"] == "call" and first["depth"] == 0
        marked = row["context"].splitlines()[first["line"] - 1]
        assert marked.endswith("  # << START_OF_TRACE") and f"def {row['entry']}" in marked
    assert all(row["arguments"] == "" for row in cut if row["episode"] > 1)


def test_the_card_names_what_it_must(made, rows):
    card = (made / "card.md").read_text()
    for title in (
        "Sources", "Licences", "Origins", "How inputs were found", "Outcomes",
        "From functions to traces", "Lengths", "Settings and limits", "What to know", "Examples",
    ):  # fmt: skip
        assert f"## {title}\n" in card
    version = ".".join(map(str, sys.version_info[:3]))
    assert f"Python {version}" in card and "bwrap" in card and "native" in card
    assert "| Python-2.0 |" in card and "| one-line |" in card
    assert card.count("\n### ") == 12 and "def " in card
    total = sum(map(len, rows.values()))
    assert f"\n{total:,} traces of " in card


def test_what_a_model_answers_is_traced(tmp_path):
    """It is asked about every chosen function; here it knows two calls of the first."""

    def answer(asked):
        text = asked.body["messages"][-1]["content"]
        found = re.search(r"^def quote", text, re.MULTILINE)
        return Reply("### 1\nquote('a b')\nquote('ab')" if found else "")

    settings = replace(
        SETTINGS,
        program_levels=(),
        program_families=(),
        input_methods=("llm",),
        max_functions=1_000,
        llm=LLMSettings(model="served", functions_per_request=1),
    )
    with model_server(answer) as server:
        endpoint = LLMEndpoint(base_url=server.url, backoff_seconds=0.01)
        output = trace(tmp_path, "out", replace(PLACEMENT, llm=endpoint), settings)
    rows = [row for split in ("train", "heldout") for row in read_table(output / split)]
    assert {(row["input_method"], row["arguments"]) for row in rows} == {
        ("llm", "'a b'"),
        ("llm", "'ab'"),
    }
    counts = read_statistics(output / "statistics.json")
    assert counts["llm.kept"] == 2 and counts["llm.asked"] == counts["functions.chosen"]
    assert "served language model" in (output / "card.md").read_text()


def test_no_trace_at_all_is_no_trouble(tmp_path):
    settings = TraceSettings(program_levels=(), max_functions=0)
    output = trace(tmp_path, "out", settings=settings)
    assert (
        not list(read_table(output / "train"))
        and "\n0 traces of" in (output / "card.md").read_text()
    )


WILD = '''\
import os, sys, time


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


def meddler(n):
    """
    >>> meddler(1)
    """
    sys.setprofile(None)
    n += 1
    return n


def fine(n):
    """
    >>> fine(1)
    """
    m = n + 1
    return m
'''


def shard_of(file, settings, path=(), only=None):
    found = candidates_of(document(file, file.name), "train", settings)
    chosen = tuple(each for each in found if only is None or each.function in only)
    return FunctionShard(chosen, {}, settings, path)


def test_what_does_not_end_dies_or_changes_is_dropped_with_its_reason(tmp_path):
    (tmp_path / "wild.py").write_text(WILD)
    settings = TraceSettings(
        function_cpu_seconds=1, function_wall_seconds=5, input_methods=("doctest",)
    )
    made = shard_of(tmp_path / "wild.py", settings, (str(tmp_path),)).trace()
    assert {row["name"] for row in made.rows} == {"wild:fine", "wild:patient"}
    assert {
        ("wild:never", "timeout"),
        ("wild:gone", "crash"),
    } <= {(row["key"], row["reason"]) for row in made.dropped}
    said = {(row["detail"].partition("(")[0], row["reason"]) for row in made.dropped}
    assert {
        ("wild:clock", "nondeterministic"),
        ("wild:placed", "nondeterministic"),
        ("wild:meddler", "tampered"),
    } <= said


ODD = '''\
class Half:
    def __repr__(self):
        return "\\ud800"


def half(n):
    """
    >>> half(1)
    """
    n = Half()
    return n


def forger(n):
    """
    >>> forger(1)
    """
    from stages.trace.tracer.recording import Recording
    forged = {"name": "forger", "arguments": "1", "outcome": "return", "result": ""}
    Recording.to_json = lambda self: {**forged, "trace": [1]}
    return n


def fine(n):
    """
    >>> fine(1)
    """
    m = n + 1
    return m
'''


def test_what_cannot_be_written_costs_itself_alone(tmp_path):
    (tmp_path / "odd.py").write_text(ODD)
    settings = TraceSettings(input_methods=("doctest",))
    shard = shard_of(tmp_path / "odd.py", settings, (str(tmp_path),))
    assert make_shard(shard, tmp_path).dropped == {"lost": 1, "not-text": 1}
    (rows,) = read_rows(shard.name, tmp_path, ["name"])
    assert rows.column("name").to_pylist() == ["odd:fine"]


def test_functions_show_no_secrets(tmp_path):
    token = "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789"
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----"
    text = (
        f'def one(n):\n    """\n    >>> one("{token}")\n    """\n    m = n\n    return m\n\n\n'
        f"def two(n):\n    '>>> two(1)'\n    m = '''{key}'''\n    return m\n\n\n"
        'def three(n):\n    """\n    >>> 3\n    3\n    """\n    m = n\n    return m\n'
    )
    (tmp_path / "shows.py").write_text(text)
    settings = TraceSettings(input_methods=("doctest",))
    made = shard_of(tmp_path / "shows.py", settings, (str(tmp_path),)).trace()
    assert [(row["name"], row["arguments"]) for row in made.rows] == [("shows:one", "'SECRET1'")]
    assert {row["reason"] for row in made.dropped} == {"secret", "no-call"}
    assert token not in str(made) and "MIIB" not in str(made)


def test_flagged_traces_are_kept_on_request(tmp_path):
    (tmp_path / "wild.py").write_text(WILD)
    settings = TraceSettings(input_methods=("doctest",), keep_flagged=True)
    only = ("clock", "meddler", "fine")
    made = shard_of(tmp_path / "wild.py", settings, (str(tmp_path),), only).trace()
    flags = {row["name"]: (row["deterministic"], row["tampered"]) for row in made.rows}
    assert flags == {
        "wild:fine": (True, False),
        "wild:clock": (False, False),
        "wild:meddler": (True, True),
    }


def test_a_module_that_is_not_the_document_is_dropped(tmp_path):
    (tmp_path / "heapq.py").write_text(WILD)
    made = shard_of(tmp_path / "heapq.py", TraceSettings()).trace()
    assert not made.rows and {row["reason"] for row in made.dropped} == {"import-failed"}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"program_levels": ((7, 1),)}, "level from 0 to 4"),
        ({"exception_fraction": 1.0}, "exception_fraction"),
        ({"events": 0}, "events=0"),
        ({"value_chars": 3}, "value_chars=3"),
        ({"program_families": (("loops", 1.5, 10),)}, "difficulty from 0 to 1"),
        ({"input_methods": ("guess",)}, "guess"),
        ({"step_in": 2.0}, "step_in=2.0"),
        ({"repositories": (RepositorySettings(name="a", path="b"),) * 2}, "names twice"),
    ],
)
def test_settings_refuse_nonsense(bad, said):
    with pytest.raises(ValueError, match=said):
        TraceSettings(**bad)
