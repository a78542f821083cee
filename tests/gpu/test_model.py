"""A model on an accelerator is the same model on the CPU: logits, gradients, decoding."""

import pytest
import torch

from model import Packing
from model.generate import Generator
from tests.model.tiny import build, ids_of

pytestmark = pytest.mark.gpu

LENGTHS = [100, 7, 60]


def loss_and_gradients(model, device, autocast=False):
    """A row's loss, and all gradients as one vector, on the CPU in float32."""
    ids, labels = ids_of(sum(LENGTHS)).to(device), ids_of(sum(LENGTHS), seed=2).to(device)
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=autocast):
        loss = model(ids, Packing.of(LENGTHS, device), labels)
    loss.backward()
    gradients = [p.grad.flatten() for p in model.parameters()]
    return loss.detach().float().cpu(), torch.cat(gradients).float().cpu()


@pytest.mark.parametrize("recompute", ["none", "selective", "full"])
def test_float32_equals_the_cpu(device, recompute):
    true_loss, true = loss_and_gradients(build(), "cpu")
    model = build(recompute=recompute).to(device)
    loss, gradients = loss_and_gradients(model, device)
    assert (loss - true_loss).abs() < 1e-4
    assert (gradients - true).abs().max() < 1e-3 * true.abs().max()


@pytest.mark.parametrize("autocast", [True, False])
def test_halves_equal_float32_on_the_cpu(device, autocast):
    true_loss, true = loss_and_gradients(build(), "cpu")
    model = build().to(device, torch.float32 if autocast else torch.bfloat16)
    loss, gradients = loss_and_gradients(model, device, autocast)
    assert (loss - true_loss).abs() < 0.1
    assert torch.cosine_similarity(gradients, true, 0) > 0.99


def test_greedy_tokens_equal_the_cpus(device):
    prompts = [ids_of(n, seed=n).tolist() for n in (3, 40, 17)]  # 40: longer than the window
    tokens = []
    for where in ("cpu", device):
        generator = Generator(build().to(where), max_length=100, stop_ids=())
        answers = generator.generate(prompts, max_new_tokens=20)
        tokens.append([sample.tokens for samples in answers for sample in samples])
    assert tokens[0] == tokens[1]


def test_sampled_log_probs_are_the_models(device):
    generator = Generator(build().to(device), max_length=100, stop_ids=(), seed=1)
    prompt = ids_of(30).tolist()
    sample = generator.generate([prompt], max_new_tokens=20, temperature=0.8)[0][0]
    ids = torch.tensor(prompt + sample.tokens, device=device)
    with torch.no_grad():
        losses = generator.model(
            ids[:-1], Packing.of([len(ids) - 1], device), ids[1:], reduction="none", temperature=0.8
        )
    expected = -losses[len(prompt) - 1 :].cpu()
    assert (torch.tensor(sample.logprobs) - expected).abs().max() < 1e-3
