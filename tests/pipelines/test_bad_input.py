"""What a person can get wrong, on the real command line: a named error that says what to do.

Elsewhere: files that are unreadable, not UTF-8 or without a licence (tests/stages/crawl), functions
that never return (tests/stages/trace), every kind of damage to an artifact (tests/cluster/dag).
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.dag.artifact import SMALL_BYTES
from pipelines.presets import PRESETS
from tests.pipelines.program import ROOT, Program

LOCAL = ("--executor", "local", "--tracking", "none", "crawl.sources=stdlib")


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path / "store", LOCAL)


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """A store with a crawl whose table is larger than what every run compares."""
    crawl = (*LOCAL, "--until", "crawl", "crawl.stdlib_bytes=8000000", "crawl.total_bytes=8000000")
    program = Program(tmp_path_factory.mktemp("crawled") / "store", crawl)
    program.run()
    return program


def retyped(program: Program, command: str, expect: int = 0) -> str:
    """Type a command that the program printed, from the project's directory."""
    words = shlex.split(command)
    assert words[0] == "python"
    done = subprocess.run(
        [sys.executable, *words[1:]],
        cwd=ROOT,
        env=program.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "smok"], "no preset is called 'smok' (--preset). Perhaps you meant smoke"),
        (["--preset", "huge"], f"There are: {', '.join(PRESETS)}"),
        (["--onyl", "midtrain"], "Perhaps you meant"),
        (["--only", "midtran"], "Perhaps you meant midtrain"),
        (["pretrain.stesp=5"], "Perhaps you meant"),
        (["pretrian.steps=5"], "Perhaps you meant pretrain.steps"),
        (["pretrain.placement.wrkers=5"], "Perhaps you meant"),
        (["pretrain.steps=many"], "pretrain.steps"),
        (["curate.heldout_fraction=2"], "heldout_fraction=2.0: between 0 and 1 is needed"),
        (["pretrain.steps=100000"], "the schedule ends at 40,960: lower their steps or raise"),
    ],
)
def test_what_makes_no_sense_exits_2_and_says_what_was_meant(program, arguments, words):
    done = program.run(*arguments, expect=2)
    shown = " ".join((done.stdout + done.stderr).replace("│", " ").split())
    assert words in shown
    assert not program.store.exists()


def test_an_unknown_preset_in_the_environment_says_so(program):
    command = [word for word in program.command() if word not in ("--preset", "smoke")]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=program.environment() | {"CWM_PRESET": "tinny"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no preset is called 'tinny' (CWM_PRESET). Perhaps you meant tiny" in done.stderr


@pytest.mark.parametrize("place", ["/proc/store", "file", "file/store"])
def test_a_store_that_cannot_be_written(tmp_path, place):
    (tmp_path / "file").write_text("not a directory")  # modes would not stop root
    program = Program(tmp_path / place, LOCAL)
    done = program.run(expect=1)
    assert f"StoreNotWritableError: cannot write into the store {program.store}" in done.stderr
    assert "--store or CWM_STORE" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("damage", ["truncated", "flipped", "flipped small", "gone", "record"])
def test_a_corrupted_artifact_is_named_with_the_command_that_helps(crawled, damage):
    (folder,) = crawled.store.glob("crawl/*/current")
    files = sorted(folder.glob("*/*.parquet"), key=lambda file: file.stat().st_size)
    file = {"record": folder / "artifact.json", "flipped small": files[0]}.get(damage, files[-1])
    assert file.stat().st_size > SMALL_BYTES or file != files[-1]
    file = file.resolve()
    hurt(file, damage)
    if damage == "flipped":  # a large file is read again only when asked
        assert crawled.plan()["crawl"]["action"] == "cached"
    options = ("--verify",) if damage == "flipped" else ()
    for more in (("--plan",), ()):
        stderr = crawled.run(*options, *more, expect=1).stderr
        assert f"CorruptArtifactError: {file} " in stderr
        assert "Traceback" not in stderr
    retyped(crawled, re.search(r"Make it again: (.*)", stderr)[1])
    assert crawled.plan("--verify")["crawl"]["action"] == "cached"


def hurt(file: Path, damage: str) -> None:
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    elif damage.startswith("flipped"):
        middle = len(content) // 2
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    else:
        file.write_bytes(content[:-7])


def test_an_empty_corpus_names_the_funnel_and_how_to_go_on(program):
    """What does not need the corpus goes on; the steps after it say what they wait for."""
    filters = ("crawl.stdlib_bytes=200000", "curate.min_bytes=299999")
    done = program.run(*filters, expect=1)
    output = done.stdout + done.stderr
    assert re.search(
        r"curate \| failed: EmptyCorpusError: no document is left in the train split", output
    )
    assert re.search(r"dropped: .*too-small \d+", output)
    assert re.search(r"trace +blocked +needs curate", output)
    again = re.search(r"go on with: (.*)", output)[1]
    attempts = program.published()
    assert "EmptyCorpusError" in retyped(program, again, expect=1)
    fixed = again.replace(
        "curate.min_bytes=299999", "curate.min_bytes=100 curate.heldout_fraction=0.4"
    )
    retyped(program, f"{fixed} --until curate")
    assert attempts.items() <= program.published().items()
    assert json.loads(program.run("--plan", "--json", *filters).stdout)["steps"][0]["action"] == (
        "cached"
    )
