"""A tokenizer and a step of the tokenize stage."""

import inspect

import pytest

from cluster.dag.stage import Input, StepContext
from model import frames
from model.tokens import train_tokenizer
from model.trace import grammar, parser, render
from stages.tokenize.run import run
from stages.tokenize.settings import TokenizeSettings
from tests.model.recording import record
from tests.stages.rows import PROGRAM


@pytest.fixture(scope="session")
def tokenizer():
    traces = [record(PROGRAM.format(a=a, b=a + 3, step=1)) for a in range(9)]
    shown = [piece for t in traces for piece in render(t) if isinstance(piece, str)]
    code = [inspect.getsource(module) for module in (frames, grammar, parser)]
    return train_tokenizer(iter(code + shown), 500, "json_digits")


@pytest.fixture
def step(tokenizer, tmp_path):
    """Return a function (source folder, kind, **settings) that runs the stage."""
    tokenizer.save(tmp_path / "tokenizer")

    def make(folder, kind, name="tokens", **settings):
        output = tmp_path / name
        output.mkdir()
        context = StepContext(
            step="tokenize",
            settings=TokenizeSettings(**settings),
            placement=None,
            inputs={
                "source": Input(path=folder, kind=kind, digest=""),
                "tokenizer": Input(path=tmp_path / "tokenizer", kind="tokenizer", digest=""),
            },
            output=output,
            scratch=tmp_path / "scratch",
        )
        run(context)
        return context

    return make
