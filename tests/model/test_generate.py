from dataclasses import replace
from itertools import chain, pairwise

import pytest
import torch

from model import Packing
from model.cache import Step
from model.generate import Generator, PromptError, _rows
from model.guide import Allowed, Forced, GuideError
from model.sampling import SamplingError, draw, inverse_cdf
from tests.model.tiny import CONFIG, build, ids_of

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


def test_lanes_that_go_on_after_others_have_ended_keep_their_place():
    model = build()
    limited = generator(model, batch=16, max_length=52).generate(prompts(), max_new_tokens=40)
    for prompt, (sample,) in zip(prompts(), limited, strict=True):
        assert sample.tokens == slow_greedy(model, prompt, min(40, 52 - len(prompt)))
    assert len({len(sample.tokens) for (sample,) in limited}) == 5  # three go on to the end


def test_idle_lanes_are_dropped_when_nobody_waits(monkeypatch):
    widths = []

    class Recording(Step):
        def __init__(self, cache, positions):
            widths.append(len(positions))
            super().__init__(cache, positions)

    monkeypatch.setattr("model.generate.Step", Recording)
    generator(build(), batch=16, max_length=52).generate(prompts(), max_new_tokens=40)
    assert widths[0] == 7 and widths[-1] == 3 and len(widths) == 39


@pytest.mark.parametrize("limit", [1, 20, 60, 8192])
def test_prompts_are_read_in_rows_of_limited_length(monkeypatch, limit):
    monkeypatch.setattr("model.generate._ROW_TOKENS", limit)
    rows = [[len(p) for p in prompts()[part]] for part in _rows(prompts())]
    assert list(chain.from_iterable(rows)) == list(LENGTHS)
    assert all(len(row) == 1 or sum(row) <= limit for row in rows)
    joined = [sum(a) + b[0] for a, b in pairwise(rows)]
    assert all(tokens > limit for tokens in joined)  # none is cut earlier than it must be
    model = build()
    found = generator(model, batch=16).generate(prompts(), max_new_tokens=3)
    for prompt, (sample,) in zip(prompts(), found, strict=True):
        assert sample.tokens == slow_greedy(model, prompt, 3)


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


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_impossible_tokens_are_never_drawn(top_p):
    rows = torch.tensor([0.0, 0.5, 0.5, 0.0]).log().expand(2, -1)
    assert inverse_cdf(rows, torch.tensor([0.0, 1.0]), top_p).tolist() == [1, 2]


def test_the_nucleus_is_the_smallest_set_that_reaches_top_p():
    rows = torch.tensor([0.25, 0.5, 0.125, 0.125]).log().expand(1000, -1)
    uniforms = torch.linspace(0, 1 - 1e-6, 1000)
    for top_p, size in ((1e-9, 1), (0.5, 1), (0.501, 2), (0.75, 2), (0.76, 3), (0.876, 4)):
        drawn = inverse_cdf(rows, uniforms, top_p)
        assert set(drawn.tolist()) == set([1, 0, 2, 3][:size])


@pytest.mark.parametrize("length", [0, 120])
def test_impossible_prompts_are_named(length):
    with pytest.raises(PromptError, match=f"has {length} tokens"):
        generator(build()).generate([[1] * length], max_new_tokens=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("temperature", value) for value in (-1.0, 1e-45, float("inf"), float("nan"))),
        *(("top_p", value) for value in (0.0, -0.5, 1.5, float("nan"))),
        *(("max_new_tokens", value) for value in (0, -1)),
        *(("samples", value) for value in (0, -1)),
    ],
)
def test_settings_without_sense_are_named(name, value):
    with pytest.raises(SamplingError, match=f"{name} is {value}; allowed"):
        generator(build()).generate([[1]], **{"max_new_tokens": 1, name: value})


def test_no_lanes():
    with pytest.raises(SamplingError, match="batch is 0"):
        generator(build(), batch=0)


@pytest.mark.parametrize("packed", [False, True])
def test_autocast_changes_nothing(monkeypatch, packed):
    monkeypatch.setattr("model.decoding.PACKED_BYTES", 1 << 30 if packed else 0)
    model = build()
    plain = generator(model).generate(prompts(), max_new_tokens=9)
    with torch.autocast("cpu", torch.bfloat16):
        assert generator(model).generate(prompts(), max_new_tokens=9) == plain


@pytest.mark.parametrize("temperature", [1e-6, 1e30])
def test_extreme_temperatures(temperature):
    model = build()
    decoding = {"max_new_tokens": 9, "temperature": temperature}
    found = generator(model).generate(prompts(), **decoding)
    greedy = generator(model).generate(prompts(), max_new_tokens=9)
    cold = temperature < 1
    assert ([s.tokens for (s,) in found] == [s.tokens for (s,) in greedy]) == cold
    likely = 0.0 if cold else -torch.tensor(CONFIG.vocab_size).log().item()
    assert all(s.logprobs == pytest.approx([likely] * 9, abs=1e-5) for (s,) in found)


def test_no_prompts():
    assert generator(build()).generate([], max_new_tokens=1) == []


def test_a_token_outside_the_vocabulary_is_named():
    for token in (-1, CONFIG.vocab_size):
        with pytest.raises(PromptError, match=f"token id {token} at position 2"):
            generator(build()).generate([[1, 2, token]], max_new_tokens=1)


@pytest.mark.parametrize("length", [6, 60])  # the window is 16
def test_greedy_equals_transformers(length):
    from transformers import CwmConfig, CwmForCausalLM

    model = build()
    theirs = CwmForCausalLM(CwmConfig(**model.config.to_hf())).eval()
    theirs.load_state_dict(model.state_dict())
    ids = torch.stack([ids_of(length, seed=s) for s in range(3)])
    mask = torch.ones_like(ids)
    true = theirs.generate(
        ids, attention_mask=mask, max_new_tokens=40, do_sample=False, eos_token_id=None
    )
    found = generator(model).generate(ids.tolist(), max_new_tokens=40)
    assert [s.tokens for (s,) in found] == true[:, length:].tolist()


def test_one_row_that_is_changed_past_autograd_is_seen():
    model, prompt = build(), ids_of(9).tolist()
    generator = Generator(model, max_length=30, stop_ids=(), seed=0)
    generator.generate([prompt], max_new_tokens=1)
    model.lm_head.weight.data[7] = 50 * model.hidden(torch.tensor(prompt), Packing.of([9]))[-1]
    [[sample]] = generator.generate([prompt], max_new_tokens=1)
    assert sample.tokens == [7]


@pytest.mark.parametrize("places", [(7, slice(None)), (slice(None), 3)])
def test_entries_that_change_places_past_autograd_are_seen(places):
    model = build()
    decoder = generator(model)
    before = decoder.generate(prompts(), max_new_tokens=10)
    weight = model.lm_head.weight.data
    weight[places] = weight[places].flip(0)
    after = decoder.generate(prompts(), max_new_tokens=10)
    assert after == generator(model).generate(prompts(), max_new_tokens=10)
    assert [s.logprobs for (s,) in after] != [s.logprobs for (s,) in before]


def test_a_fused_optimiser_step_is_seen():
    model = build()
    decoder = generator(model)
    before = decoder.generate(prompts(), max_new_tokens=10)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    model(ids_of(20), Packing.of([20]), ids_of(20)).backward()
    optimizer.step()
    after = decoder.generate(prompts(), max_new_tokens=10)
    assert before != after == generator(model).generate(prompts(), max_new_tokens=10)


def test_weights_change_in_the_middle_of_a_sample():
    model, other = build(seed=0), build(seed=5)
    alone = generator(model).generate(prompts()[:3], max_new_tokens=20)
    calls = 0

    def refresh():
        nonlocal calls
        calls += 1
        if calls == 10:
            model.load_state_dict(other.state_dict())
        return 7 if calls < 10 else 8

    swapped = generator(model, refresh=refresh).generate(prompts()[:3], max_new_tokens=20)
    for (before,), (sample,) in zip(alone, swapped, strict=True):
        old = sample.versions.count(7)
        assert sample.versions == [7] * old + [8] * (20 - old) and 0 < old < 20
        assert sample.tokens[:old] == before.tokens[:old]
        assert sample.tokens != before.tokens
    # the whole continuation after a change before the first token is the new weights'
    assert generator(model, refresh=lambda: 8).generate(prompts(), max_new_tokens=9) == [
        [replace(s, versions=[8] * 9) for s in samples]
        for samples in generator(other).generate(prompts(), max_new_tokens=9)
    ]


def test_refreshed_weights_give_the_very_next_logprobs():
    """Only the head changes, so that what the cache holds is right for both."""
    model, new = build(), build()
    with torch.no_grad():
        new.lm_head.weight.mul_(-1)
    old = build()
    calls = 0

    def refresh():
        nonlocal calls
        calls += 1
        if calls == 6:
            model.lm_head.load_state_dict(new.lm_head.state_dict())
        return int(calls >= 6)

    decoder = generator(model, batch=7, refresh=refresh)
    found = decoder.generate(prompts(), max_new_tokens=9, temperature=1.0)
    for prompt, (sample,) in zip(prompts(), found, strict=True):
        assert sample.versions == [0] * 4 + [1] * 5
        before, after = (recompute(m, prompt, sample.tokens, 1.0) for m in (old, new))
        true = torch.cat([before[:4], after[4:]])
        assert (torch.tensor(sample.logprobs) - true).abs().max() < 5e-5


def test_a_guide_forces_tokens_at_the_models_own_logprobs():
    model = build()

    def guide(written):
        return Forced((3, 4)) if len(written) in (0, 5) else None

    guides = [guide if i % 2 else None for i in range(len(LENGTHS))]
    drawing = {"max_new_tokens": 9, "temperature": 0.7}
    free = generator(model).generate(prompts(), **drawing)
    found = generator(model).generate(prompts(), guides=guides, **drawing)
    for i, (prompt, (before,), (sample,)) in enumerate(zip(prompts(), free, found, strict=True)):
        if not i % 2:
            assert sample.tokens == before.tokens and not any(sample.forced)
            continue
        assert sample.tokens[:2] == sample.tokens[5:7] == [3, 4]
        assert [place for place, f in enumerate(sample.forced) if f] == [0, 1, 5, 6]
        true = recompute(model, prompt, sample.tokens, 0.7)
        assert (torch.tensor(sample.logprobs) - true).abs().max() < 5e-5


def test_a_forced_stop_token_ends_the_sample():
    decoder = generator(build(), stop_ids=(9,))
    ((sample,),) = decoder.generate(
        [[1, 2]], max_new_tokens=9, guides=[lambda written: Forced((3, 9, 4))]
    )
    assert sample.tokens == [3, 9] and sample.finished


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_guide_rules_tokens_out(temperature):
    model = build()
    mask = torch.zeros(CONFIG.vocab_size, dtype=torch.bool)
    mask[[5, 6, 7]] = True
    ((sample,),) = generator(model).generate(
        [[1, 2]], max_new_tokens=9, temperature=temperature, guides=[lambda written: Allowed(mask)]
    )
    assert set(sample.tokens) <= {5, 6, 7} and not any(sample.forced)
    with torch.no_grad():
        logits = model(torch.tensor([1, 2, *sample.tokens[:-1]]), Packing.of([10]))[1:]
    true = logits.masked_fill(~mask, -torch.inf).log_softmax(-1)
    picked = true.gather(1, torch.tensor(sample.tokens).unsqueeze(1)).squeeze(1)
    assert (torch.tensor(sample.logprobs) - picked).abs().max() < 5e-5


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (Forced((1, CONFIG.vocab_size)), "forces"),
        (Forced(()), "at least one"),
        (Allowed(torch.zeros(CONFIG.vocab_size, dtype=torch.bool)), "allows no token"),
        (Allowed(torch.ones(3, dtype=torch.bool)), "expected bool"),
        (Allowed(torch.ones(CONFIG.vocab_size)), "expected bool"),
    ],
)
def test_an_impossible_guide_is_named(told, message):
    with pytest.raises(GuideError, match=f"sample 0 of prompt 1.*{message}"):
        generator(build()).generate(
            [[1], [2]], max_new_tokens=2, guides=[None, lambda written: told]
        )
    with pytest.raises(ValueError, match="1 guides for 2 prompts"):
        generator(build()).generate([[1], [2]], max_new_tokens=2, guides=[None])


@pytest.mark.parametrize("vocabulary", [320, 512])
def test_greedy_takes_the_first_of_equals(vocabulary):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randint(0, 9, (50, vocabulary), generator=generator).float()
    assert draw(logits)[0] == logits.argmax(-1).tolist()
