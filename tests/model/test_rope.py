import math

import pytest
import torch
from transformers import CwmConfig
from transformers.models.cwm.modeling_cwm import CwmRotaryEmbedding

from model import CWMConfig
from model.config import RopeScaling
from model.rope import inverse_frequencies, rope_of, rotate

CPU = torch.device("cpu")


def test_scaled_frequencies_equal_hf_at_full_size():
    ours = inverse_frequencies(1e6, 128, RopeScaling(), CPU)
    theirs = CwmRotaryEmbedding(CwmConfig()).inv_freq
    assert torch.equal(ours, theirs) or (ours - theirs).abs().max() < 1e-9
    plain = inverse_frequencies(1e6, 128, None, CPU)
    assert (ours == plain).sum() == 27  # untouched
    assert torch.isclose(ours, plain / 16, rtol=1e-6).sum() == 30  # stretched in full


def test_factor_changes_the_frequencies():
    eight = inverse_frequencies(1e6, 128, RopeScaling(factor=8.0), CPU)
    assert (eight - inverse_frequencies(1e6, 128, RopeScaling(), CPU)).abs().max() > 1e-5


def test_rotation_is_by_angle_in_half_split_layout():
    config = CWMConfig(head_dim=4, rope_theta=1e4, rope_scaling=None)
    x = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    turned = rotate(x, rope_of(torch.tensor([5]), config, torch.float32)).flatten()
    for pair, frequency in ((0, 1.0), (1, 1e4**-0.5)):
        a, b, angle = x[0, 0, pair].item(), x[0, 0, pair + 2].item(), 5 * frequency
        assert turned[pair].item() == pytest.approx(
            a * math.cos(angle) - b * math.sin(angle), abs=1e-6
        )
        assert turned[pair + 2].item() == pytest.approx(
            b * math.cos(angle) + a * math.sin(angle), abs=1e-6
        )


def test_angles_are_float32_whatever_the_result():
    config, place = CWMConfig(), torch.tensor([131_071])
    wide, single = (rope_of(place, config, dtype) for dtype in (torch.float64, torch.float32))
    assert all(torch.equal(a, b.double()) for a, b in zip(wide, single, strict=True))


def test_gradient():
    config = CWMConfig(head_dim=6, rope_scaling=None)
    rope = rope_of(torch.arange(4), config, torch.float64)
    x = torch.randn(4, 2, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: rotate(x, rope), x)


def test_halves_are_turned_in_float32():
    config = CWMConfig(head_dim=8, rope_scaling=None)
    rope = rope_of(torch.arange(9), config, torch.float32)
    x = torch.randn(9, 2, 8).bfloat16()
    assert torch.equal(rotate(x, rope), rotate(x.float(), rope).bfloat16())
