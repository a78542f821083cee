"""Forced-action decoding: what is dictated, what stays free, and that nothing else matters."""

from functools import cache

import pytest
import torch

from model.forced_lines import ForcedLines
from model.frames import diff
from model.generate import Generator
from model.guide import Forced
from model.trace import encode_step, encode_steps, entry_prompt, parse
from tests.model.recording import record
from tests.model.tiny import build

PROGRAM = """\
def half(n):
    return 10 // n


def main():
    x = [1]
    for n in (5, 0):
        x.append(half(n))
    return x
"""  # ends by an exception, which passes through both functions


@cache
def trace():
    return record(PROGRAM)


def steps():
    return diff(trace().frames)[1:]


def write(guide, free, end, limit=2000):
    """Follow a guide up to ``end``; where it is silent, ``free(tokens)`` writes a token.

    Returns the tokens, and which of them were dictated.
    """
    tokens, dictated = [], []
    while len(tokens) < limit and end not in tokens[-1:]:
        told = guide(tokens)
        assert told == guide(tuple(tokens))  # a pure function of the tokens
        if isinstance(told, Forced):
            tokens += told.tokens
            dictated += [True] * len(told.tokens)
        else:
            tokens.append(free(tokens))
            dictated.append(False)
    return tokens[:limit], dictated[:limit]


@pytest.fixture
def guide(tokenizer):
    return ForcedLines(steps(), tokenizer)


def test_a_writer_of_true_values_writes_the_true_trace(guide, tokenizer):
    true = [*encode_steps(steps(), tokenizer), tokenizer.special("eos")]
    tokens, dictated = write(guide, lambda tokens: true[len(tokens)], true[-1])
    assert tokens == true
    free = tokenizer.decode(t for t, d in zip(tokens, dictated, strict=True) if not d)
    # the locals with the separator that ends them, the values with the end of their frame
    assert free.startswith('{}<|action_sep|>{"x": "[1]"}<|action_sep|>{"x": "..", "n": "5"}')
    assert free.endswith('"None"<|frame_sep|>')
    assert "append" not in free and "return" not in free and "_sep|>def" not in free


def test_wrong_values_change_no_action(guide, tokenizer):
    action, frame_end = tokenizer.special("action_sep"), tokenizer.special("frame_sep")
    value = tokenizer.special("arg_sep")
    nonsense = tokenizer.encode('"7"')
    locals_ = tokenizer.encode('{"q": "7"}')

    def free(tokens):
        ends = [place for place, token in enumerate(tokens) if token == frame_end]
        frame = tokens[ends[-1] + 1 :] if ends else tokens
        wanted = nonsense if value in frame else locals_
        written = frame[frame.index(value) + 1 :] if value in frame else frame[1:]
        if len(written) < len(wanted):
            return wanted[len(written)]
        return frame_end if value in frame else action

    tokens, _ = write(guide, free, tokenizer.special("eos"))
    call = encode_step(diff(trace().frames)[0], tokenizer)
    parsed = parse([*call, *tokens], tokenizer)
    assert parsed.error is None and parsed.complete
    assert [(s.event, s.source) for s in parsed.frames[1:]] == [
        (s.event, s.source) for s in steps()
    ]
    assert {s.value for s in parsed.frames} == {None, "7"}


def test_without_events_they_are_the_models_and_decide_the_separator(tokenizer):
    guide = ForcedLines(steps(), tokenizer, events=False)
    line, back, action = (tokenizer.special(f"{n}_sep") for n in ("line", "return", "action"))
    source = tuple(tokenizer.encode("    x = [1]\n"))
    assert guide([]) is None and guide([line]) is None
    assert guide([line, action]) == Forced((*source, tokenizer.special("frame_sep")))
    assert guide([back, action]) == Forced((*source, tokenizer.special("arg_sep")))
    assert guide(encode_steps(steps(), tokenizer)) is None


def test_a_frame_that_breaks_the_grammar_is_left_alone(guide, tokenizer):
    line, action = tokenizer.special("line_sep"), tokenizer.special("action_sep")
    assert isinstance(guide([line, action]), Forced)
    assert guide([line, action, action]) is None
    assert guide([line, line]) is None


def test_after_the_last_step_comes_the_end(guide, tokenizer):
    whole = encode_steps(steps(), tokenizer)
    assert guide(whole) == Forced((tokenizer.special("eos"),))
    assert guide([*whole, tokenizer.special("line_sep")]) is None
    assert ForcedLines([], tokenizer)([]) == Forced((tokenizer.special("eos"),))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_random_model_is_led_through(tokenizer, temperature):
    model = build(vocab_size=tokenizer.vocab_size)
    prompt = entry_prompt(trace().context, trace().frames[0], tokenizer)
    generator = Generator(model, max_length=len(prompt) + 300, stop_ids=tokenizer.stop_ids)
    (samples,) = generator.generate(
        [prompt],
        max_new_tokens=300,
        temperature=temperature,
        samples=2,
        guides=[ForcedLines(steps(), tokenizer)],
    )
    for sample in samples:
        assert sample.tokens[0] == tokenizer.special("line_sep") and sample.forced[0]
        assert torch.tensor(sample.logprobs).isfinite().all()
        guide, written = ForcedLines(steps(), tokenizer), sample.tokens
        again = write(guide, lambda tokens: written[len(tokens)], -1, len(written))  # noqa: B023
        assert again == (sample.tokens, sample.forced)
