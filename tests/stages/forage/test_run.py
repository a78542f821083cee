"""Real functions of the standard library, foraged in the sandbox."""

import hashlib
import json
from pathlib import Path

import pytest

from cluster.dag.metrics import read_statistics
from cluster.dag.stage import Input, StepContext
from cluster.sandbox import Sandbox
from model.chat import parse_tool_call
from stages.forage.document import LIMITS, PRELOAD, forage_document
from stages.forage.find import Document, Function, documents
from stages.forage.run import NothingForagedError, distinct, run
from stages.forage.settings import ForagePlacement, ForageSettings
from stages.kind_checks import check_trajectories, digest_splits
from stages.tables import DOCUMENTS, read_table, write_table

SETTINGS = ForageSettings(
    documents=3, heldout_documents=1, trajectories_per_function=2, max_function_chars=1200
)
FILES = {"train": ["textwrap", "difflib"], "heldout": ["statistics"]}


def row(module):
    file = Path(__import__(module).__file__)
    text = file.read_text()
    return {
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "blob": "0" * 40,
        "text": text,
        "language": "python",
        "source": "stdlib",
        "origin": f"cpython-{module}",
        "revision": "3",
        "path": f"{module}.py",
        "licence": "Python-2.0.1",
        "licence_method": "interpreter",
        "fetched_at": "",
    }


def context(folder, settings=SETTINGS, files=FILES):
    for split, modules in files.items():
        write_table(folder / "corpus" / split, DOCUMENTS, map(row, modules))
    output = folder / "out"
    output.mkdir()
    return StepContext(
        step="forage",
        settings=settings,
        placement=ForagePlacement(workers=1),
        inputs={"corpus": Input(path=folder / "corpus", kind="corpus", digest="")},
        output=output,
        scratch=folder,
    )


@pytest.fixture(scope="module")
def foraged(tmp_path_factory):
    made = context(tmp_path_factory.mktemp("forage"))
    run(made)
    return made


def test_trajectories_are_chats_with_one_tool_call_per_turn(foraged):
    check_trajectories(foraged.output)
    rows = [r for s in ("train", "heldout") for r in read_table(foraged.output / s)]
    assert rows
    for trajectory in rows:
        first, *turns = trajectory["turns"]
        assert (first["source"], first["role"]) == ("env", "user")
        for agent, env in zip(turns[::2], turns[1::2], strict=True):
            call = parse_tool_call(agent["text"])
            assert (agent["source"], agent["role"]) == ("agent", "assistant")
            assert (env["source"], env["role"]) == ("env", f"tool: {call.name}")
        assert parse_tool_call(turns[-2]["text"]).name == "submit"
        assert trajectory["reward"] == (1.0 if trajectory["outcome"] == "fixed" else -1.0)


def test_the_tests_fail_at_first_and_pass_at_the_end_of_what_is_fixed(foraged):
    for trajectory in read_table(foraged.output / "train"):
        runs = [
            trajectory["turns"][n + 1]["text"]
            for n, turn in enumerate(trajectory["turns"])
            if "python test.py" in turn["text"] and turn["source"] == "agent"
        ]
        assert "all passed" not in runs[0]
        assert ("all passed" in runs[-1]) is (trajectory["outcome"] == "fixed")
        assert json.loads(trajectory["tests"])


def test_again_is_the_same_and_splits_share_no_function(foraged, tmp_path):
    again = context(tmp_path)
    run(again)
    assert digest_splits(again.output) == digest_splits(foraged.output)
    names = [{r["name"] for r in read_table(again.output / s)} for s in ("train", "heldout")]
    assert not names[0] & names[1]
    found = read_statistics(again.statistics_file)
    assert found["trajectories_train"] == found["fixed_train"] + sum(
        r["outcome"] == "failed" for r in read_table(again.output / "train")
    )


def test_alike_trajectories_of_an_origin_are_dropped_with_the_one_they_are_like(foraged):
    rows = list(read_table(foraged.output / "train"))
    copy = {**rows[0], "key": "~last"}
    elsewhere = {**copy, "key": "~other", "origin": "elsewhere"}
    kept, dropped = distinct([*rows, copy, elsewhere], SETTINGS)
    assert [r["key"] for r in kept if r["key"].startswith("~")] == ["~other"]
    assert [(d["key"], d["reason"], d["detail"]) for d in dropped] == [
        ("~last", "near-duplicate", rows[0]["key"])
    ]


def document(source, module="bisect", name="bisect_left", call="bisect_left([1], 1)", want="0"):
    tests = ({"call": call + "\n", "expected": want + "\n"},)
    return Document("d" * 64, "cpython", "MIT", module, (Function(name, source, tests),))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (document("def bisect_left(a, x):\n    while True: pass\n"), "no-passing-test"),
        (document("def bisect_left(a, x):\n    raise SystemExit\n"), "no-passing-test"),
        (document("def bisect_left(a, x):\n    return 0\n", want="1"), "no-passing-test"),
        (document("def bisect_left(a, x):\n    import os; os._exit(0)\n"), "sandbox-crash"),
        (document("def f(): pass\n", module="no_such_module"), "sandbox-error"),
        (document("def bisect_left(a, x):\n    f = 0\n    return 0\n", want="0"), None),
    ],
)
def test_what_goes_wrong_in_the_sandbox_is_a_drop(given, reason):
    settings = ForageSettings(test_seconds=0.3)
    with Sandbox(preload=PRELOAD, limits=LIMITS) as box:
        result = forage_document(given, settings, box)
    assert [drop[1] for drop in result.dropped] == ([reason] if reason else [])
    assert bool(result.rows) is (reason is None)


def test_no_trajectory_at_all_is_a_named_error(tmp_path):
    with pytest.raises(NothingForagedError, match="from 0 documents"):
        run(context(tmp_path, files={"train": ["this"], "heldout": ["this"]}))


def test_documents_of_the_standard_library_are_found():
    found = documents([row(m) for m in FILES["train"]], 9, SETTINGS)
    assert {d.module for d in found} <= set(FILES["train"]) and found


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="documents=0"):
        ForageSettings(documents=0)
    with pytest.raises(ValueError, match="similarity=2"):
        ForageSettings(similarity=2)
    with pytest.raises(ValueError, match="workers=0"):
        ForagePlacement(workers=0)
