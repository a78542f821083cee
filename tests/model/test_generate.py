import pytest
import torch

from model import Packing
from model.generate import Generator, PromptError
from model.sampling import inverse_cdf
from tests.model.tiny import build, ids_of

LENGTHS = (5, 16, 50, 1, 23, 37, 8)  # around and beyond the window of 16


def prompts():
    return [ids_of(n, seed=n).tolist() for n in LENGTHS]


def generator(model, **changes):
    return Generator(model, **{"max_length": 120, "stop_ids": (), "batch": 3, **changes})


def slow_greedy(model, prompt, count):
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            logits = model(torch.tensor(ids), Packing.of([len(ids)]))
            ids.append(int(logits[-1].argmax()))
    return ids[len(prompt) :]


def recompute(model, prompt, tokens, temperature):
    ids = torch.tensor(prompt + tokens)
    with torch.no_grad():
        nll = model(
            ids[:-1], Packing.of([len(ids) - 1]), ids[1:], reduction="none", temperature=temperature
        )
    return -nll[len(prompt) - 1 :]


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_greedy_equals_uncached_argmax(batch):
    model = build()
    for prompt, (sample,) in zip(
        prompts(), generator(model, batch=batch).generate(prompts(), max_new_tokens=40), strict=True
    ):
        assert sample.tokens == slow_greedy(model, prompt, 40)
        assert not sample.finished and len(sample.logprobs) == 40


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_all_prompts_are_answered_when_a_refill_finishes_at_once(batch):
    model = build()
    found = generator(model, batch=batch).generate(prompts(), max_new_tokens=1, samples=2)
    for prompt, samples in zip(prompts(), found, strict=True):
        assert [s.tokens for s in samples] == [slow_greedy(model, prompt, 1)] * 2


def test_logprobs_equal_a_recomputation():
    model = build()
    results = generator(model).generate(prompts(), max_new_tokens=30, temperature=0.8, samples=2)
    for prompt, samples in zip(prompts(), results, strict=True):
        for sample in samples:
            true = recompute(model, prompt, sample.tokens, 0.8)
            assert (torch.tensor(sample.logprobs) - true).abs().max() < 5e-5


def test_stops_at_a_stop_token_and_at_the_length_limit():
    model = build()
    free = generator(model).generate(prompts(), max_new_tokens=40)
    stop = free[2][0].tokens[7]
    stopped = generator(model, stop_ids=(stop,)).generate(prompts(), max_new_tokens=40)
    for (before,), (after,) in zip(free, stopped, strict=True):
        cut = before.tokens.index(stop) + 1 if stop in before.tokens else 40
        assert after.tokens == before.tokens[:cut]
        assert after.finished == (stop in before.tokens)
    short = generator(model, max_length=52).generate(prompts(), max_new_tokens=40)
    assert [len(s.tokens) for (s,) in short] == [min(40, 52 - n) for n in LENGTHS]


def test_samples_depend_on_seed_and_place_not_on_lanes():
    model = build()
    draw = {"max_new_tokens": 12, "temperature": 1.0, "samples": 3}

    def tokens(**changes):
        results = generator(model, **changes).generate(prompts(), **draw)
        return [[s.tokens for s in samples] for samples in results]

    assert tokens() == tokens() == tokens(batch=21)
    assert tokens() != tokens(seed=1)
    assert all(len({tuple(t) for t in samples}) == 3 for samples in tokens())
    again = generator(model)
    first, second = (again.generate(prompts(), **draw) for _ in range(2))
    assert first[0][0].tokens != second[0][0].tokens


def test_weights_may_be_replaced_in_place():
    model, other = build(seed=0), build(seed=5)
    decoder = generator(model)
    decoder.generate(prompts(), max_new_tokens=4)
    model.load_state_dict(other.state_dict())
    swapped = decoder.generate(prompts(), max_new_tokens=10)
    assert swapped == generator(other).generate(prompts(), max_new_tokens=10)


def test_training_after_sampling():
    model = build()
    generator(model).generate(prompts(), max_new_tokens=3)
    model(ids_of(20), Packing.of([12, 8]), ids_of(20)).backward()
    assert model.lm_head.weight.grad is not None


def test_sampling_follows_the_distribution():
    probabilities = torch.tensor([0.05, 0.5, 0.0, 0.3, 0.15])
    uniforms = torch.linspace(0, 1 - 1e-6, 20_001)
    rows = probabilities.log().expand(len(uniforms), -1)
    drawn = inverse_cdf(rows, uniforms, 1.0)
    shares = torch.bincount(drawn, minlength=5) / len(uniforms)
    assert torch.allclose(shares, probabilities, atol=1e-3)
    nucleus = inverse_cdf(rows, uniforms, 0.7)
    shares = torch.bincount(nucleus, minlength=5) / len(uniforms)
    assert torch.allclose(shares, torch.tensor([0, 0.625, 0, 0.375, 0]), atol=1e-3)


@pytest.mark.parametrize("length", [0, 120])
def test_impossible_prompts_are_named(length):
    with pytest.raises(PromptError, match=f"has {length} tokens"):
        generator(build()).generate([[1] * length], max_new_tokens=1)


def test_no_prompts():
    assert generator(build()).generate([], max_new_tokens=1) == []
