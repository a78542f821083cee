"""A checkpoint's items: what is asked, and how an answer is read."""

import json

import pytest

from cluster.dag.metrics import read_statistics
from cluster.dag.stage import StepContext
from model.frames import Trace
from model.trace import encode
from stages.evaluate.settings import EvaluatePlacement
from stages.probe.answers import trace_part
from stages.probe.item import read_items
from stages.probe.run import run
from stages.probe.settings import MEASURES, ProbeSettings
from tests.stages.evaluate.conftest import inputs, row, tokenizer  # noqa: F401  fixtures
from tests.stages.rows import program_row


def test_an_assert_after_the_trace_is_not_part_of_it(tokenizer):  # noqa: F811
    trace, _ = encode(Trace.from_row(program_row()), tokenizer)
    tail = tokenizer.encode("assert main() == 3\n")
    eos = tokenizer.special("eos")
    assert trace_part([*trace[:-1], *tail, eos], tokenizer) == trace
    assert trace_part(trace, tokenizer) == trace
    assert trace_part(tail, tokenizer) == [eos]


def test_unknown_measures_are_refused():
    with pytest.raises(ValueError, match=r"measures has \['magic'\]"):
        ProbeSettings(measures=("magic",))


def questions(folder, asked):
    folder.mkdir()
    program = asked | {"source": "def main():\n    return 3\n", "twin": False}
    files = {
        "programs": [program | {"equals_argument": False}],
        "code": [{"sha256": "a", "text": "x = 1\n"}],
        "patches": [
            {
                "key": "p",
                "source": "program",
                "pieces": [["def f():\n    return 1\n", False], ["    return 2\n", True]],
            }
        ],
        "trajectories": [
            {
                "key": "t",
                "turns": [
                    {"source": "env", "role": "user", "text": "fix it"},
                    {"source": "agent", "role": "assistant", "text": "done"},
                ],
            }
        ],
    }
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))


def test_every_question_gives_its_items(tmp_path, inputs, row, tokenizer):  # noqa: F811
    folder = tmp_path / "questions"
    questions(folder, row)
    output = tmp_path / "items"
    output.mkdir()
    given = inputs["checkpoint"]
    run(
        StepContext(
            step="probe",
            settings=ProbeSettings(measures=MEASURES, context_length=512),
            placement=EvaluatePlacement(lanes=4),
            inputs={
                "checkpoint": given,
                "questions": type(given)(path=folder, kind="questions", digest=""),
            },
            output=output,
            scratch=tmp_path / "scratch",
        )
    )
    found = {item.measure: item for item in read_items(output / "items.jsonl")}
    losses = {"code", "program", "patch_program", "trajectory"}
    assert set(found) == losses | {
        "direct", "by_trace", "state", "changed_state", "action", "value"
    }  # fmt: skip
    assert found["direct"].key == found["by_trace"].key == row["key"]
    assert found["direct"].tags == ("not_argument", "no_twin", "number")
    assert found["patch_program"].size == len(tokenizer.encode("    return 2\n"))
    assert found["code"].size == len("x = 1\n")
    assert all(found[name].amount > 0 for name in losses)
    assert found["action"].size == len(row["frames"]) - 1
    assert read_statistics(output / "statistics.json")["direct.n"] == 1
