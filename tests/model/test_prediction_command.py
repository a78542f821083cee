"""`python -m model.generate` with a checkpoint that has learnt one trace by heart."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from model import CWM, Packing
from model.frames import Trace
from model.predict_trace import true_trace
from model.prediction_command import main
from model.tokens import train_tokenizer
from model.trace import encode
from tests.model.tiny import CONFIG

PROGRAM = """\
def double(n):
    return n + n


def f(a, b):
    c = max(a, b)
    while c < 20:
        c = double(c)
    return c
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    file = tmp_path_factory.mktemp("code") / "program.py"
    file.write_text(PROGRAM)
    return file


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, program, tokenizer):
    """A model fitted to the trace of ``f(3, 7)`` and nothing else."""
    true = true_trace(f"{program}:f", ["3", "7"], "file")
    ids, _ = encode(Trace(true.context, true.frames), tokenizer)
    torch.manual_seed(0)
    config = replace(
        CONFIG,
        vocab_size=tokenizer.vocab_size,
        bos_token_id=tokenizer.special("bos"),
        eos_token_ids=tokenizer.stop_ids,
        max_position_embeddings=512,
        num_hidden_layers=3,
        layer_types=(),
        sliding_window=64,
        initializer_range=0.05,
    )
    model = CWM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    packing, row = Packing.of([len(ids) - 1]), torch.tensor(ids)
    for _ in range(150):
        loss = model(row[:-1], packing, row[1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.01:
            break
    folder = tmp_path_factory.mktemp("checkpoint")
    model.save_pretrained(folder)
    tokenizer.save(folder)
    return folder


@pytest.fixture
def predict(capfd, checkpoint, program):
    """Run the command in this process; return its exit code, output and errors."""

    def run(*words, model=checkpoint, target=f"{program}:f"):
        with pytest.raises(SystemExit) as ended:
            main([str(model), target, *map(str, words)])
        return ended.value.code, *capfd.readouterr()

    return run


def marks(out):
    """The marks of the steps, in order."""
    rows = (line.split() for line in out.splitlines())
    return "".join(row[1] for row in rows if len(row) > 1 and row[0].isdigit() and row[1] in "=≠")


def test_a_trace_learnt_by_heart_is_all_equal(checkpoint, program):
    command = [sys.executable, "-m", "model.generate", checkpoint, f"{program}:f", "3", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert marks(done.stdout) == "=" * 14
    said = done.stdout.splitlines()
    assert said[1].split() == [
        "0",
        "call",
        "5",
        "def",
        "f(a,",
        "b):",
        "a",
        "=",
        "3,",
        "b",
        "=",
        "7",
        "(given)",
    ]
    assert " ".join(said[4].split()) == "3 = line 8 c = double(c) · ·"
    assert " ".join(said[7].split()) == "6 = return 2 │ return n + n 14 14"
    assert "14 of 14 steps equal (100%), no difference" in said
    assert "= returned 28: predicted right" in said
    assert not any("\x1b" in line for line in said)


def test_other_arguments_are_compared_step_by_step(predict):
    code, out, _ = predict(3, 8)
    assert code == 0
    assert "≠" in marks(out) and len(marks(out)) <= 14
    first = marks(out).index("≠") + 1
    assert f"first difference at step {first}" in out
    assert "≠ returned 32; the prediction" in out


def test_forced_lines_leave_only_the_values_to_the_model(predict):
    code, out, _ = predict(9, 30, "--force-lines")  # the loop is never entered
    assert code == 0
    assert "no such line" not in out and "of them forced" in out
    rows = [line.split()[2:5] for line in out.splitlines() if line.split()[1:2] in (["="], ["≠"])]
    assert [row[:2] for row in rows][:2] == [["line", "6"], ["line", "7"]]


def test_forced_and_free_agree_where_the_model_is_right(predict):
    free, forced = predict(3, 7)[1], predict(3, 7, "--force-lines")[1]
    assert [line for line in forced.splitlines() if "forced" not in line] == [
        line for line in free.splitlines() if "tokens;" not in line
    ]


def test_samples_are_each_judged(predict):
    code, out, _ = predict(3, 7, "--samples", 3, "--temperature", 0.1, "--seed", 1)
    assert code == 0 and all(f"sample {n}: " in out for n in (1, 2, 3))
    assert out == predict(3, 7, "--samples", 3, "--temperature", 0.1, "--seed", 1)[1]


def test_a_limit_cuts_and_says_so(predict):
    out = predict(3, 7, "--max-new-tokens", 20)[1]
    assert marks(out) == "=≠"
    assert "… and 12 more in the true trace" in out
    assert "cut after 20 tokens: --max-new-tokens" in out
    assert "the prediction has no end" in out


def test_the_contexts_end_cuts_and_says_so(predict, shortened):
    out = predict(3, 7, model=shortened(200))[1]
    assert "the model's context is full" in out
    assert "the true trace takes 255 tokens" in out and "has room for 97" in out


@pytest.fixture
def shortened(checkpoint, tmp_path):
    """The checkpoint with another context length."""

    def make(length):
        shutil.copytree(checkpoint, tmp_path / "short")
        file = tmp_path / "short" / "config.json"
        record = json.loads(file.read_text()) | {"max_position_embeddings": length}
        file.write_text(json.dumps(record))
        return tmp_path / "short"

    return make


def test_a_prompt_that_is_too_long_says_by_how_much(predict, shortened):
    code, out, err = predict(3, 7, model=shortened(100))
    assert (code, out) == (1, "")
    assert err == (
        "PromptTooLongError: the source and the call are 103 tokens, the model's context is 100: "
        "4 too many\n"
    )


def test_one_function_alone_is_a_shorter_prompt(predict):
    out = predict(3, 7, "--show", "function")[1]
    assert int(out.partition("the prompt took ")[2].split()[0]) < 102
    assert "call" not in {row[2] for line in out.splitlines() if len(row := line.split()) > 2}


def test_a_true_trace_that_was_cut_is_compared_as_far_as_it_goes(predict, tmp_path):
    (tmp_path / "loop.py").write_text("def f(n):\n    while True:\n        n += 1\n")
    code, out, _ = predict(1, target=f"{tmp_path / 'loop.py'}:f")
    assert code == 0
    assert "the true trace was cut (event-budget): only its beginning is compared" in out


def test_a_program_that_ends_its_process_is_no_trace(predict, tmp_path):
    (tmp_path / "ends.py").write_text("import os\ndef f():\n    os._exit(0)\n")
    code, _, err = predict(target=f"{tmp_path / 'ends.py'}:f")
    assert code == 1 and "the child process ended with code 0" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((3,), "missing a required argument: 'b'"),
        ((3, "x"), "'x' is not a Python literal"),
        ((3, 7, "--top-p", 0), "top_p is 0.0; allowed: above 0"),
        ((3, 7, "--temperature", "nan"), "temperature is nan"),
        ((3, 7, "--samples", 2), "at --temperature 0 all samples are the same"),
        ((3, 7, "--max-new-tokens", 0), "max_new_tokens is 0; allowed: 1 or more"),
        ((3, 7, "--sampels", 2), "--sampels"),
    ],
)
def test_a_command_line_without_sense_is_answered_with_code_2(predict, words, said):
    code, out, err = predict(*words)
    assert (code, out) == (2, "")
    assert said in err and "Traceback" not in err


def test_what_is_no_checkpoint_is_named_before_anything_runs(predict, tmp_path):
    code, _, err = predict(3, 7, model=tmp_path, target="nowhere.py:f")
    assert code == 1 and err.startswith("CheckpointError: ") and "config.json" in err


def test_a_missing_and_a_foreign_tokenizer_are_named(predict, checkpoint, tmp_path):
    shutil.copytree(checkpoint, tmp_path / "bare")
    (tmp_path / "bare" / "tokenizer.json").unlink()
    code, _, err = predict(3, 7, model=tmp_path / "bare")
    assert code == 1 and err.startswith("TokenizerFileError: ") and "no tokenizer.json" in err
    more = train_tokenizer((f"word{n} word{n}" for n in range(2000)), 900, "json_digits")
    more.save(tmp_path / "bare")
    code, _, err = predict(3, 7, model=tmp_path / "bare")
    assert code == 1 and "not the same tokenizer" in err
