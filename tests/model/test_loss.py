import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from model.loss import IGNORED, LabelError, mean_loss, mean_loss_and_z, token_losses


def case(tokens=37, words=50, width=8, dtype=torch.float64, seed=0, ignored=(3, 20, 36)):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(tokens, width, generator=generator, dtype=dtype, requires_grad=True)
    weight = torch.randn(words, width, generator=generator, dtype=dtype, requires_grad=True)
    labels = torch.randint(0, words, (tokens,), generator=generator)
    labels[list(ignored)] = IGNORED
    return hidden, weight, labels


def plain(hidden, weight, labels, temperature=1.0):
    logits = F.linear(hidden, weight).to(torch.promote_types(hidden.dtype, torch.float32))
    return F.cross_entropy(logits / temperature, labels, ignore_index=IGNORED, reduction="none")


def plain_mean(hidden, weight, labels, weights, temperature=1.0):
    losses = plain(hidden, weight, labels, temperature)
    weights = weights * (labels != IGNORED)
    return (losses * weights).sum() / weights.sum().clamp(min=1e-9)


def equal(ours, true, inputs, upstream=None, tolerance=1e-10):
    """The values and the gradients agree, within a share of each tensor's greatest entry."""
    pairs = [(ours, true)]
    pairs += zip(
        torch.autograd.grad(ours, inputs, upstream),
        torch.autograd.grad(true, inputs, upstream),
        strict=True,
    )
    for a, b in pairs:
        assert a.dtype == b.dtype
        assert (a - b).abs().max() <= tolerance * max(1.0, b.abs().max())


@settings(deadline=None)
@given(st.data())
def test_equals_the_plain_computation(data):
    tokens, words = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 40))
    ignored = data.draw(st.sets(st.integers(0, tokens - 1)))
    hidden, weight, labels = case(tokens, words, seed=data.draw(st.integers(0, 9)), ignored=ignored)
    temperature = data.draw(st.sampled_from([1.0, 0.3, 2.0]))
    chunk = data.draw(st.sampled_from([None, 1, 4, 30, 100]))
    weights = torch.rand(tokens, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    equal(
        token_losses(hidden, weight, labels, temperature=temperature, chunk=chunk),
        plain(hidden, weight, labels, temperature),
        (hidden, weight),
        upstream=weights - 0.5,
    )
    equal(
        mean_loss(hidden, weight, labels, weights, temperature=temperature, chunk=chunk),
        plain_mean(hidden, weight, labels, weights, temperature),
        (hidden, weight),
    )


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("chunk", [None, 4])
def test_z_loss_equals_the_plain_computation(chunk, temperature):
    hidden, weight, labels = case()
    weights = torch.rand(37, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    loss, z_mean = mean_loss_and_z(
        hidden, weight, labels, weights, temperature=temperature, z_loss=0.3, chunk=chunk
    )
    shares = weights * (labels != IGNORED)
    squares = (F.linear(hidden, weight) / temperature).logsumexp(1).square()
    true_z = (squares * shares).sum() / shares.sum()
    true = plain_mean(hidden, weight, labels, weights, temperature) + 0.3 * true_z
    assert torch.allclose(z_mean, true_z) and not z_mean.requires_grad
    equal(loss, true, (hidden, weight))
    # without a weight it is the loss to the bit
    plain_loss = mean_loss(hidden, weight, labels, weights, temperature=temperature, chunk=chunk)
    none, zero = mean_loss_and_z(
        hidden, weight, labels, weights, temperature=temperature, chunk=chunk
    )
    assert torch.equal(plain_loss, none) and zero == 0


@pytest.mark.parametrize("function", [token_losses, mean_loss])
def test_gradcheck(function):
    hidden, weight, labels = case(9, 7, 3, ignored=[3])
    assert torch.autograd.gradcheck(
        lambda h, w: function(h, w, labels, temperature=0.7, chunk=4), (hidden, weight)
    )


@pytest.mark.parametrize("function", [token_losses, mean_loss])
def test_a_factor_on_the_loss_reaches_the_head(function):
    hidden, weight, labels = case()
    loss = function(hidden, weight, labels, chunk=8).sum()
    whole = torch.autograd.grad(loss, (hidden, weight), retain_graph=True)
    again = torch.autograd.grad(loss, (hidden, weight), retain_graph=True)
    half = torch.autograd.grad(0.5 * loss, (hidden, weight))
    for a, b, c in zip(whole, again, half, strict=True):
        assert torch.equal(a, b) and torch.equal(a, 2 * c)


@pytest.mark.parametrize("function", [token_losses, mean_loss])
def test_under_autocast_products_are_bfloat16_forward_and_backward(function):
    hidden, weight, labels = case(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        ours = function(hidden, weight, labels, chunk=8).sum()
        logits = F.linear(hidden, weight).float()
        # autocast remembers its casts: one made without gradients must not be found here
        (through_cache,) = torch.autograd.grad(logits.sum(), weight, retain_graph=True)
    assert through_cache.abs().max() > 0
    true = F.cross_entropy(logits, labels, reduction="mean" if function is mean_loss else "sum")
    assert ours.dtype == torch.float32
    equal(ours, true, (hidden, weight), tolerance=0.01)  # bfloat16 has three digits
    wide = function(hidden, weight, labels, chunk=8).sum()
    assert (ours - true).abs() < 1e-5 < (ours - wide).abs()  # exactly autocast's forward


@pytest.mark.parametrize("chunk", [None, 8])
def test_losses_of_bfloat16_are_float32(chunk):
    hidden, weight, labels = case(dtype=torch.bfloat16)
    assert token_losses(hidden, weight, labels, chunk=chunk).dtype == torch.float32
    loss = mean_loss(hidden, weight, labels, chunk=chunk)
    loss.backward()
    assert loss.dtype == torch.float32 and weight.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("function", [token_losses, mean_loss])
def test_a_row_without_labels_has_gradients_of_zero(function):
    hidden, weight, labels = case(5, ignored=range(5))
    loss = function(hidden, weight, labels, chunk=2).sum()
    loss.backward()
    assert loss == 0 and hidden.grad.abs().max() == 0 and weight.grad.abs().max() == 0


def test_weights_count_as_shares():
    hidden, weight, labels = case()
    losses = token_losses(hidden, weight, labels)
    weights = torch.zeros(37)
    weights[[0, 3, 5]] = torch.tensor([1.0, 9.0, 3.0])  # token 3 is not scored
    expected = (losses[0] + 3 * losses[5]) / 4
    assert torch.allclose(mean_loss(hidden, weight, labels, weights), expected)
    assert torch.allclose(mean_loss(hidden, weight, labels), losses.sum() / 34)
    halves = mean_loss(hidden.bfloat16(), weight.bfloat16(), labels, weights.double())
    assert halves.dtype == torch.float32 and (halves - expected).abs() < 0.1


@pytest.mark.parametrize("weights", [[1e-12, 3e-12], [-1.0, -3.0], [3.0, -1.0]])
def test_weights_of_any_size_and_sign_are_shares(weights):
    hidden, weight, labels = case(2, ignored=())
    losses, weights = token_losses(hidden, weight, labels), torch.tensor(weights).double()
    expected = (losses * weights).sum() / weights.sum()
    assert torch.allclose(mean_loss(hidden, weight, labels, weights), expected)


def test_one_scored_token_and_weights_of_zero():
    hidden, weight, labels = case(ignored=range(1, 37))
    one = mean_loss(hidden, weight, labels)
    assert torch.allclose(one, token_losses(hidden, weight, labels)[0])
    # what stands where nothing is scored is of no account
    weights = torch.full((37,), torch.nan)
    weights[0] = 0.1
    assert torch.allclose(mean_loss(hidden, weight, labels, weights), one)
    none = mean_loss(hidden, weight, labels, torch.zeros(37))
    none.backward()
    assert none == 0 and weight.grad.abs().max() == 0


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
@pytest.mark.parametrize("function", [token_losses, mean_loss])
def test_a_temperature_must_be_above_zero(function, temperature):
    with pytest.raises(ValueError, match=f"temperature of a loss is {temperature}"):
        function(*case(), temperature=temperature)


def test_nothing_is_kept_without_gradients():
    hidden, weight, labels = case()
    with torch.no_grad():
        assert not mean_loss(hidden, weight, labels).requires_grad
    assert mean_loss(hidden.detach(), weight, labels).requires_grad


class Largest(TorchDispatchMode):
    """Remembers the most elements that any operation returned."""

    elements = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        out = function(*arguments, **options or {})
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return out


@pytest.mark.parametrize("function", [token_losses, mean_loss])
def test_no_more_than_a_chunk_of_logits_is_held(function):
    hidden, weight, labels = case(400, 300, 4)
    with Largest() as largest:
        function(hidden, weight, labels, chunk=16).sum().backward()
    assert largest.elements == 16 * 300


@pytest.mark.parametrize("function", [token_losses, mean_loss])
def test_a_long_row_is_cut_into_chunks_without_being_asked(function):
    hidden, weight, labels = case(1500, 3000, 2, dtype=torch.float32)
    with Largest() as largest:
        function(hidden, weight, labels).sum().backward()
    assert largest.elements <= 512 * 3000


@pytest.mark.parametrize("function", [token_losses, mean_loss])
def test_halves_are_summed_up_in_float32(function):
    hidden, weight, labels = case(2000, 5, dtype=torch.bfloat16, ignored=())
    wide = [x.detach().float().requires_grad_() for x in (hidden, weight)]
    (ours,) = torch.autograd.grad(function(hidden, weight, labels, chunk=1).sum(), weight)
    (true,) = torch.autograd.grad(function(*wide, labels, chunk=1).sum(), wide[1])
    assert (ours.float() - true).abs().max() < 0.01 * true.abs().max()


@pytest.mark.parametrize("label", [-1, -101, 50])
@pytest.mark.parametrize("function", [token_losses, mean_loss])
def test_labels_outside_the_vocabulary_are_named(function, label):
    hidden, weight, labels = case()
    labels[7] = label
    with pytest.raises(LabelError, match=f"label {label}:"):
        function(hidden, weight, labels)
