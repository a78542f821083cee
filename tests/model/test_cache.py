import pytest
import torch

from model import Packing
from model.cache import Cache, CacheFullError, Prefill, Step
from model.decoding import Decoder
from tests.model.tiny import build, ids_of

LENGTHS = (5, 16, 50, 1, 23)  # around and beyond the window of 16


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("width", [32, 512])  # small products, and ones that are worth oneDNN
@torch.inference_mode()
def test_prefill_and_steps_equal_the_uncached_forward(monkeypatch, packed, width):

    monkeypatch.setattr("model.decoding.PACKED_BYTES", 1 << 30 if packed else 0)
    cwm = build(hidden_size=width, initializer_range=0.15 * (32 / width) ** 0.5)
    documents = [ids_of(n + 40, seed=n) for n in LENGTHS]
    true = [cwm(ids, Packing.of([len(ids)])) for ids in documents]
    decoder = Decoder(cwm)
    decoder.prepare(100)
    cache = Cache(cwm.config, len(LENGTHS), 100, decoder.device, decoder.dtype)
    packing = Packing.of(LENGTHS)
    prefill = Prefill(cache, cwm.attention, packing, [[i] for i in range(len(LENGTHS))])
    ids = torch.cat([d[:n] for d, n in zip(documents, LENGTHS, strict=True)])
    logits = decoder.logits(decoder.hidden(ids, packing.positions, prefill))
    for found, whole in zip(logits.split(LENGTHS), true, strict=True):
        assert (found - whole[: len(found)]).abs().max() < 1e-4
    for i in range(40):
        step = Step(cache, [n + i for n in LENGTHS])
        ids = torch.stack([d[n + i] for d, n in zip(documents, LENGTHS, strict=True)])
        logits = decoder.logits(decoder.hidden(ids, step.positions_B, step))
        expected = torch.stack([t[n + i] for t, n in zip(true, LENGTHS, strict=True)])
        assert (logits - expected).abs().max() < 1e-4


def test_a_context_longer_than_the_cache_is_named():
    cwm = build()
    cache = Cache(cwm.config, 2, 30, torch.device("cpu"), torch.float32)
    with pytest.raises(CacheFullError, match="sequence of 31 tokens does not fit a cache of 30"):
        Prefill(cache, cwm.attention, Packing.of([31]), [[0]])
    with pytest.raises(CacheFullError, match="31 tokens"):
        Step(cache, [0, 30])
