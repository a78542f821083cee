"""vLLM behind our interface; what needs vLLM itself runs in its environment (`make test-vllm`)."""

import json
import sys

import pytest
import torch
from safetensors.torch import save_file

from model import Packing
from model.checkpoint import CheckpointError
from model.generate import Generator, PromptError
from model.guide import Allowed, Forced, GuideError
from model.vllm import VLLMGenerator, VLLMInterruptedError, VLLMMissingError
from tests.model.tiny import CONFIG, build, ids_of

LENGTHS = (5, 16, 50, 1, 23, 90)  # around and beyond the window of 16
SETTINGS = {"max_length": 160, "stop_ids": (), "batch": 4}
HEAD_DIM = 32  # the least that vLLM's CPU attention takes


def prompts():
    return [ids_of(n, seed=n).tolist() for n in LENGTHS]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    for seed in (0, 1):
        build(seed, head_dim=HEAD_DIM).save_pretrained(folder / str(seed))
    return folder


@pytest.fixture(scope="module")
def theirs(checkpoints):
    return VLLMGenerator(checkpoints / "0", eager=True, **SETTINGS)


def ours(seed=0):
    return Generator(build(seed, head_dim=HEAD_DIM), **SETTINGS)


def assert_same(found, expected):
    for theirs, ours in zip(found, expected, strict=True):
        for a, b in zip(theirs, ours, strict=True):
            assert (a.tokens, a.finished, a.forced) == (b.tokens, b.finished, b.forced)
            assert torch.tensor(a.logprobs).sub(torch.tensor(b.logprobs)).abs().max() < 1e-3


def recompute(prompt, tokens, temperature):
    """The log-probabilities of ``tokens``, from the model's logits."""
    ids = torch.tensor(prompt + tokens)
    with torch.no_grad():
        logits = build(head_dim=HEAD_DIM)(ids[:-1], Packing.of([len(ids) - 1]))
    logprobs = (logits[len(prompt) - 1 :] / temperature).log_softmax(-1)
    return logprobs.gather(1, ids[len(prompt) :].unsqueeze(1)).squeeze(1)


@pytest.mark.vllm
def test_greedy_equals_ours(theirs):
    found = theirs.generate(prompts(), max_new_tokens=40)
    assert_same(found, ours().generate(prompts(), max_new_tokens=40))
    assert found[0][0].versions == [0] * 40


@pytest.mark.vllm
def test_stops_and_the_length_limit(theirs):
    free = theirs.generate(prompts(), max_new_tokens=100)
    stops = (free[2][0].tokens[7], free[0][0].tokens[20])
    found = theirs.generate(prompts(), max_new_tokens=100, stop_ids=stops)
    assert_same(found, ours().generate(prompts(), max_new_tokens=100, stop_ids=stops))
    assert {sample.finished for (sample,) in found} == {True, False}
    assert len(found[-1][0].tokens) <= 160 - LENGTHS[-1]


@pytest.mark.vllm
def test_sampled_logprobs_are_those_of_the_tempered_model(theirs):
    found = theirs.generate(prompts(), max_new_tokens=30, temperature=0.7, samples=2)
    for prompt, samples in zip(prompts(), found, strict=True):
        assert samples[0].tokens != samples[1].tokens
        for sample in samples:
            true = recompute(prompt, sample.tokens, 0.7)
            assert (torch.tensor(sample.logprobs) - true).abs().max() < 1e-3


@pytest.mark.vllm
def test_samples_are_repeatable_and_calls_differ(theirs):
    def draw(calls):
        theirs.calls = calls
        found = theirs.generate(prompts(), max_new_tokens=8, temperature=1.0)
        return [sample.tokens for (sample,) in found]

    assert draw(5) == draw(5) != draw(6)


def force_then_forbid(written):
    """Three forced tokens after the second; even tokens only after the tenth; then as it likes."""
    if len(written) == 2:
        return Forced((11, 12, 13))
    if len(written) == 10:
        return Allowed(torch.arange(CONFIG.vocab_size) % 2 == 0)
    return None


@pytest.mark.vllm
def test_guides_are_followed_as_ours_follows_them(theirs):
    guides = [force_then_forbid, None] * 3
    found = theirs.generate(prompts(), max_new_tokens=20, guides=guides)
    assert_same(found, ours().generate(prompts(), max_new_tokens=20, guides=guides))
    assert found[0][0].tokens[2:5] == [11, 12, 13] and found[0][0].tokens[10] % 2 == 0
    assert [i for i, forced in enumerate(found[0][0].forced) if forced] == [2, 3, 4]


@pytest.mark.vllm
def test_a_forced_token_has_the_models_own_logprob(theirs):
    (samples,) = theirs.generate(
        prompts()[:1], max_new_tokens=8, temperature=0.7, guides=[force_then_forbid]
    )
    true = recompute(prompts()[0], samples[0].tokens, 0.7)
    assert (torch.tensor(samples[0].logprobs) - true).abs().max() < 1e-3


@pytest.mark.vllm
def test_weights_are_replaced(theirs, checkpoints):
    version = theirs.load(checkpoints / "1")
    found = theirs.generate(prompts(), max_new_tokens=20)
    assert_same(found, ours(seed=1).generate(prompts(), max_new_tokens=20))
    assert found[0][0].versions == [version] * 20
    theirs.load(checkpoints / "0")
    assert_same(
        theirs.generate(prompts(), max_new_tokens=9), ours().generate(prompts(), max_new_tokens=9)
    )


@pytest.mark.vllm
def test_weights_of_another_model_are_refused(theirs, tmp_path):
    build(head_dim=HEAD_DIM, sliding_window=32).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="another configuration"):
        theirs.load(tmp_path)
    state = dict(build(head_dim=HEAD_DIM).state_dict())
    save_file(state | {"model.norm.weight": torch.ones(3)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(build(head_dim=HEAD_DIM).config.to_hf()))
    with pytest.raises(CheckpointError, match=r"model\.norm\.weight"):
        theirs.load(tmp_path)


@pytest.mark.vllm
@pytest.mark.parametrize("length", [0, 160])
def test_impossible_prompts_are_named(theirs, length):
    with pytest.raises(PromptError, match=f"has {length} tokens"):
        theirs.generate([[1] * length], max_new_tokens=1)


@pytest.mark.vllm
def test_a_token_outside_the_vocabulary_is_named(theirs):
    with pytest.raises(PromptError, match="token id 320 at position 1"):
        theirs.generate([[5, 320]], max_new_tokens=1)


@pytest.mark.vllm
def test_an_impossible_guide_is_named_and_the_engine_goes_on(theirs):
    with pytest.raises(GuideError, match="sample 0 of prompt 1"):
        theirs.generate(
            prompts()[:2], max_new_tokens=4, guides=[None, lambda written: Forced((320,))]
        )
    assert_same(
        theirs.generate(prompts(), max_new_tokens=9), ours().generate(prompts(), max_new_tokens=9)
    )


@pytest.mark.vllm
def test_after_an_exception_in_the_engine_a_new_one_is_asked_for(checkpoints):
    generator = VLLMGenerator(checkpoints / "0", eager=True, **SETTINGS)
    with pytest.raises(ZeroDivisionError):
        generator.generate([[1]], max_new_tokens=1, guides=[lambda written: 1 // 0])
    with pytest.raises(VLLMInterruptedError, match="new VLLMGenerator"):
        generator.generate([[1]], max_new_tokens=1)


@pytest.mark.vllm
def test_one_guide_per_prompt(theirs):
    with pytest.raises(ValueError, match="1 guides for 2 prompts"):
        theirs.generate([[1], [2]], max_new_tokens=1, guides=[None])


@pytest.mark.vllm
def test_no_prompts(theirs):
    assert theirs.generate([], max_new_tokens=1) == []


def test_without_vllm_the_error_says_what_to_install(tmp_path, monkeypatch):
    build().save_pretrained(tmp_path)
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(VLLMMissingError, match=r"open-cwm\[vllm\]"):
        VLLMGenerator(tmp_path, **SETTINGS)


def test_what_is_no_checkpoint_is_named_before_vllm_starts(tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json"):
        VLLMGenerator(tmp_path, **SETTINGS)
