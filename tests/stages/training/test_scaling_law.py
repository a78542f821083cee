"""The paper's scaling law: its own anchors, and the refusal to leave the range of its fit."""

import sys

import pytest

from model.config import CWMConfig
from stages.training import scaling_law
from stages.training.scaling_law import OutsideFitError, flops_per_token, law, suggest


def test_the_papers_model_and_tokens():
    each = flops_per_token(CWMConfig(), 8_192)
    assert each == pytest.approx(2.05e11, rel=0.005)
    assert 8e12 / each == pytest.approx(39.0, abs=0.1)
    at = law(8e12 * each)  # far outside: the paper trained at 8e-4 with 8.4 M tokens
    assert at.learning_rate == pytest.approx(1.0e-3, rel=0.01)
    assert at.batch_tokens == pytest.approx(11.8e6, rel=0.01)


def test_anchors():
    low = suggest(2e18)
    assert low.learning_rate == pytest.approx(1.1e-2, rel=0.02)
    assert low.batch_tokens == pytest.approx(0.51e6, rel=0.01)
    # what it would say of a laptop's minutes
    assert law(1e15).learning_rate == pytest.approx(0.043, rel=0.02)
    assert law(1e16).learning_rate == pytest.approx(0.028, rel=0.03)
    assert law(1e15).batch_tokens == pytest.approx(88e3, rel=0.01)
    assert law(1e16).batch_tokens == pytest.approx(150e3, rel=0.01)


@pytest.mark.parametrize("flops", [0.0, 1e15, 1.99e18, 2.01e20, 1.64e24])
def test_nothing_is_said_where_nothing_was_fitted(flops):
    with pytest.raises(OutsideFitError, match="2e\\+18 to 2e\\+20"):
        suggest(flops)


@pytest.fixture
def command(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["scaling_law", *arguments])
        code = scaling_law.main()
        return code, capsys.readouterr()

    return run


def test_the_command(command):
    code, said = command("--flops", "1e19")
    assert code == 0
    assert "learning rate 8.3" in said.out
    assert "batch 738," in said.out
    code, said = command("--flops", "1e16")
    assert code == 2
    assert "2e+18" in said.err
    assert command()[0] == 2


def test_the_command_takes_a_shape_and_says_when_it_is_another_one(command):
    shape = ("--model.hidden-size", "2048", "--model.layers", "16", "--model.heads", "16")
    shape += ("--model.intermediate-size", "7168", "--model.kv-heads", "8")
    shape += ("--model.head-dim", "128")
    code, said = command("--tokens", "472e6", *shape)
    assert code == 0
    assert "C = 3.3" in said.out
    assert "but 40 where the law was fitted" in said.out
