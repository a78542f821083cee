"""What the summary takes from the records beside the metrics."""

import io
import json
from pathlib import Path

from rich.console import Console

from stages.report.data import token_sources
from stages.report.records import StepRecord
from stages.report.summary import before_after, pick_examples
from stages.report.terminal import reinforcement_table, shorten


def record(step, kind, *, path=Path("absent"), statistics=None, inputs=None):
    return StepRecord(step, kind, path, {"inputs": inputs or {}}, statistics or {})


def test_before_and_after_reinforcement_learning():
    statistics = {
        "heldout_before.n": 50,
        "heldout_before.greedy": 0.2,
        "heldout_before.greedy_se": 0.05,
        "heldout_before.output.n": 30,
        "heldout_before.output.greedy": 0.1,
        "heldout_after.n": 50,
        "heldout_after.greedy": 0.5,
        "heldout_after.greedy_se": 0.07,
        "heldout_after.output.n": 30,
        "heldout_after.output.greedy": 0.3,
        "heldout_change.greedy_p": 0.001,
        "heldout_change.greedy_significance": "significant",
    }
    rows = before_after([record("rl", "checkpoint", statistics=statistics)])
    assert [(r["name"], r["n"], r["before"], r["after"]) for r in rows] == [
        ("greedy", 50, 0.2, 0.5),
        ("output.greedy", 30, 0.1, 0.3),
    ]
    console = Console(file=io.StringIO(), width=120)
    console.print(reinforcement_table({"reinforcement": rows}))
    text = console.file.getvalue()
    assert "+0.300" in text and "significant (p = 0.001)" in text and "not tested" in text


def test_examples_show_right_and_wrong_of_each_metric(tmp_path):
    rows = [
        {"metric": metric, "correct": correct, "prediction": str(i)}
        for i, (metric, correct) in enumerate(
            [("a", False), ("a", False), ("b", True), ("a", True), ("b", True)]
        )
    ]
    (tmp_path / "examples.jsonl").write_text("\n".join(json.dumps(r) for r in rows))
    found = pick_examples([record("evaluate.rl", "evaluation", path=tmp_path)], 6)
    assert [(e["metric"], e["correct"], e["prediction"]) for e in found] == [
        ("a", True, "3"),
        ("b", True, "2"),
        ("a", False, "0"),
    ]


def test_sources_know_their_parts_and_their_uses(tmp_path):
    made = {"documents": 10, "fit": 8, "tokens": 99, "function.documents": 4, "function.tokens": 40}
    inputs = {"traces": {"step": "tokenize.traces"}}
    records = [
        record("tokenize.traces", "tokens", path=tmp_path, statistics=made),
        record(
            "midtrain",
            "checkpoint",
            inputs=inputs,
            statistics={"tokens_seen.traces": 500, "documents_seen.traces": 9},
        ),
        record("sft", "checkpoint", inputs=inputs, statistics={"documents_fit.traces": 7}),
    ]
    (source,) = token_sources(records)
    assert (source.documents, source.tokens, source.fit) == (10, 99, 8)
    assert source.groups == {"function": {"documents": 4, "tokens": 40}}
    assert source.tokens_seen == {"midtrain": 500} and source.fitted == {"sft": 7}


def test_long_text_keeps_both_ends():
    text = shorten("a" * 1000 + "b" * 1000)
    assert text.startswith("aaa") and text.endswith("bbb") and len(text) < 650
    assert shorten(["x", 1]) == '["x", 1]'
