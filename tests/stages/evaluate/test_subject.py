import pytest
import torch

from model import Packing
from stages.evaluate.settings import EvaluatePlacement, EvaluateSettings
from stages.evaluate.subject import Subject, rows


@pytest.fixture
def subject(inputs):
    settings = EvaluateSettings(context_length=40)
    return Subject.load(inputs["checkpoint"].path, settings, EvaluatePlacement(row_tokens=64))


def documents(subject, lengths):
    generator = torch.Generator().manual_seed(0)
    size = subject.tokenizer.vocab_size
    return [torch.randint(0, size, (n,), generator=generator).tolist() for n in lengths]


def test_losses_score_every_token_once_in_windows(subject):
    texts = documents(subject, [30, 100, 2, 41, 42])
    for ids, loss in zip(texts, subject.losses(texts), strict=True):
        expected, scored = 0.0, 0
        for start in range(0, len(ids) - 1, 40):
            window = torch.tensor(ids[start : start + 41])
            packing = Packing.of([len(window) - 1])
            nll = subject.model(window[:-1], packing, window[1:], reduction="none")
            expected, scored = expected + nll.sum().item(), scored + len(nll)
        assert scored == len(ids) - 1
        assert loss == pytest.approx(expected, rel=1e-5)


def test_all_hits_means_greedy_decoding_writes_the_text(subject):
    prompts = documents(subject, [5, 9, 12])
    greedy = [g[0] for g in subject.answers(prompts, max_new_tokens=15, stop_ids=())]
    texts = [p + a for p, a in zip(prompts, greedy, strict=True)]
    for prompt, hits in zip(prompts, subject.hits(texts), strict=True):
        assert all(hits[len(prompt) - 1 :]) and not all(hits)
    texts[1][12] = (texts[1][12] + 1) % subject.tokenizer.vocab_size
    assert subject.hits(texts)[1][8:12] == [True, True, True, False]


def test_rows_keep_order_and_budget():
    found = list(rows(list(enumerate([[0] * 5, [0] * 4, [0] * 20, [0] * 3])), 10))
    assert [[place for place, _ in row] for row in found] == [[0, 1], [2], [3]]
    assert list(rows([], 10)) == []
