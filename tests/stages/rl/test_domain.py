import pytest

from cluster.sandbox import Result, Sandbox
from model.tokens import train_tokenizer
from stages.rl.domain import WorkerSpec, find_prompts, tasks
from stages.rl.environment import pass_only
from stages.rl.settings import RLSettings, TaskShare
from stages.tasks.task import Task, write_tasks

BROKEN = "def f(a, b):\n    c = a - b\n    return c\n"


def fix(number, context=BROKEN):
    return Task(
        id=f"fix:{number}",
        kind="fix",
        context=context,
        entry="f",
        arguments="",
        answer="c = a + b",
        line=2,
        group=str(number),
        source="program",
        document="",
        origin="generator",
        licence="CC0-1.0",
        visible_tests=(("f(1, 2)", "3"),),
        hidden_tests=(("f(5, 5)", "10"),),
    )


def output(number):
    return Task(
        id=f"output:{number}",
        kind="output",
        context="def f(a):\n    return [a]\n",
        entry="f",
        arguments="3",
        answer="[3]",
        group=str(number),
        source="program",
        document="",
        origin="generator",
        licence="CC0-1.0",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    long = fix(99, BROKEN + "    # " + "why " * 200 + "\n")
    write_tasks(folder / "train.jsonl", [fix(1), fix(2), output(1), long])
    write_tasks(folder / "heldout.jsonl", [fix(n) for n in range(10, 16)] + [output(9)])
    train_tokenizer(iter([BROKEN, "assert f(1, 2) == 3"] * 4), 300, "json_digits").save(folder)
    return folder


def spec(folder, **options):
    return WorkerSpec(
        checkpoint=str(folder), tasks=str(folder), weights="", settings=RLSettings(**options)
    )


@pytest.fixture(scope="module")
def domain(folder):
    made = tasks(spec(folder))
    yield made
    made.close()


def answer(folder, domain, name, text, stop=True):
    from model.tokens import Tokenizer

    tokenizer = Tokenizer.load(folder)
    state, first = domain.env.start(domain.arguments[name])
    assert first.observation[0] == tokenizer.special("bos")
    action = tokenizer.encode(text) + [tokenizer.special("eot")] * stop
    return domain.env.step(state, action)


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("c = a + b", 1.0),
        ("    c = b + a", 1.0),
        ("c = a * b", -1.0),
        ("c = 3", -1.0),  # only the visible test
        ("c = (", -1.0),
        ("while True: pass", -1.0),
        ("import os; os._exit(0)", -1.0),
        ("raise SystemExit(0)", -1.0),
    ],
)
def test_fixes_are_rewarded_by_what_they_compute(folder, domain, text, reward):
    transition = answer(folder, domain, "fix:1", text)
    assert transition.terminal and pass_only(transition)[-1] == reward


def test_an_answer_that_was_cut_off_fails(folder, domain):
    assert pass_only(answer(folder, domain, "fix:1", "c = a + b", stop=False))[-1] == -1.0


def test_outputs_are_compared_by_value(folder, domain):
    assert pass_only(answer(folder, domain, "output:1", "[ 3]"))[-1] == 1.0
    assert pass_only(answer(folder, domain, "output:1", "[4]"))[-1] == -1.0


def test_tokens_beyond_the_tokenizer_are_a_wrong_answer(domain):
    state, _ = domain.env.start(domain.arguments["output:1"])
    transition = domain.env.step(state, [10**6, domain.stop_ids[0]])
    assert transition.outcomes["pass"] is False


def test_a_lost_sandbox_is_not_the_policys_fault(folder, monkeypatch):
    def lost(self, *arguments, **options):
        return Result(outcome="crash", error="the server was lost: test", wall_seconds=0.0)

    monkeypatch.setattr(Sandbox, "call", lost)
    domain = tasks(spec(folder))
    assert answer(folder, domain, "fix:2", "c = a + b").outcomes["pass"] is None
    domain.close()


def test_prompts_that_fit_are_found(folder):
    from model.tokens import Tokenizer

    mix = (TaskShare(kind="fix", share=3.0), TaskShare(kind="output", share=1.0))
    settings = RLSettings(mix=mix, validation_prompts=4)
    found = find_prompts(folder, Tokenizer.load(folder), settings)
    assert found.train == {"fix": ["fix:1", "fix:2"], "output": ["output:1"]}
    assert sorted(kind for _, kind in found.heldout) == ["fix", "fix", "fix", "output"]
    assert found.too_long == 1


def test_held_out_prompts_are_of_different_groups(folder, tmp_path):
    from dataclasses import replace

    from model.tokens import Tokenizer

    alike = [replace(fix(n), group="same") for n in range(5)]
    write_tasks(tmp_path / "train.jsonl", [fix(1)])
    write_tasks(tmp_path / "heldout.jsonl", [*alike, fix(7)])
    settings = RLSettings(mix=(TaskShare(kind="fix", share=1.0),), validation_prompts=4)
    found = find_prompts(tmp_path, Tokenizer.load(folder), settings)
    assert len(found.heldout) == 2 and ("fix:7", "fix") in found.heldout
