"""The passes of sequence autoencoders against autograd through the plain module."""

import itertools

import pytest
import torch
from test_recurrent_oracles import LENGTHS, C, H, packed_gradient, padded_and_packed

from skaernn.networks import CELLS, Packing, SequenceAutoencoder
from skaernn.networks._sequences._layers import choice
from skaernn.networks._sequences._layers.kernels import TorchPass
from skaernn.networks._sequences._layers.step import StepPass
from skaernn.networks._sequences.cells import TorchCell

K = 2
SHAPES = [
    pytest.param({"n_layers": n_layers, "bidirectional": both}, id=f"{n_layers}-{both}")
    for n_layers, both in itertools.product([1, 2], [False, True])
]


def network_with(dtype=torch.float64, **parameters):
    network = SequenceAutoencoder.of(C, K, H, **parameters)
    generator = torch.Generator().manual_seed(0)
    theta = torch.empty(1, network.layout.size, dtype=dtype)
    network.start(theta[0], generator)
    theta += 0.3 * torch.randn(theta.shape, generator=generator, dtype=dtype)
    return network, theta


def by_passes(network, theta, packing, packed, draw=None):
    """Output, gradient, and what the gradient of the output was."""
    grad = torch.full_like(theta, torch.nan)
    passes = network.passes(network.bound(theta, grad), packing)
    if draw is not None:
        draw(passes)
    passes.x.copy_(packed)
    generator = torch.Generator().manual_seed(2)
    delta = torch.randn(passes.output.shape, generator=generator, dtype=theta.dtype)
    for _ in range(2):  # buffers are used again
        passes.forward()
        passes.delta.copy_(delta)
        passes.backward()
    return passes, grad[0], delta[0]


def by_autograd(network, theta, x, lengths, delta):
    module = network.module(theta[0])
    row, t = Packing.of_lengths(torch.tensor(lengths)).positions()
    output = module(x, torch.tensor(lengths))[row, t]
    (output * delta).sum().backward()
    return output.detach(), packed_gradient(network, module)


def assert_passes_equal_autograd(network, theta, lengths, tolerance=1e-12):
    packing, x, packed = padded_and_packed(lengths)
    packed = packed.to(theta.dtype)
    passes, gradient, delta = by_passes(network, theta, packing, packed)
    output, expected = by_autograd(network, theta, x, lengths, delta)
    # 1e-12: a few dozen roundings of numbers around one
    torch.testing.assert_close(passes.output[0], output, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(gradient, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cell", CELLS)
def test_passes_equal_autograd(cell, shape, lengths):
    assert_passes_equal_autograd(*network_with(cell=cell, **shape), lengths)


@pytest.mark.parametrize("name", ["logistic", "gelu"])
def test_output_activation(name):
    assert_passes_equal_autograd(*network_with(output_activation=name), LENGTHS["ragged"])


def test_relu_units():
    network, theta = network_with(cell="rnn", activation="relu")
    assert_passes_equal_autograd(network, theta, LENGTHS["ragged"])


@pytest.mark.parametrize("lengths", [[30] * 3, [30, 29, 27, 4]], ids=["equal", "ragged"])
@pytest.mark.parametrize("cell", CELLS)
def test_other_ways_of_a_layer(cell, lengths):
    """In float32 and over many steps: oneDNN's LSTM, and passes of padded sequences."""
    network, theta = network_with(torch.float32, cell=cell)
    # thirty steps of roundings of 6e-8
    assert_passes_equal_autograd(network, theta, lengths, tolerance=2e-5)


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("cell", CELLS)
def test_layers_of_torch_as_on_other_devices(cell, lengths, monkeypatch):
    foreign = TorchPass if issubclass(CELLS[cell], TorchCell) else StepPass
    monkeypatch.setattr(choice, "_fastest", lambda *sizes: foreign)
    network, theta = network_with(cell=cell, n_layers=2)
    assert_passes_equal_autograd(network, theta, lengths)


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_dropout_equals_autograd_with_its_masks(cell, n_layers):
    """Masks are numbers that multiply: the gradient is the slope along any direction."""
    network, theta = network_with(cell=cell, n_layers=n_layers, dropout=0.5)
    packing, _, packed = padded_and_packed(LENGTHS["ragged"])

    def draw(passes):
        passes.draw_masks(torch.arange(packing.n_rows), 0, 0)

    _, gradient, delta = by_passes(network, theta, packing, packed, draw)
    generator = torch.Generator().manual_seed(3)
    for _ in range(3):
        way = torch.randn(theta.shape, generator=generator, dtype=theta.dtype)
        ends = [
            (by_passes(network, theta + step * way, packing, packed, draw)[0].output[0] * delta)
            .sum()
            .item()
            for step in (-1e-5, 1e-5)
        ]
        slope = (ends[1] - ends[0]) / 2e-5
        # cubes of 1e-5 and roundings of 1e-15 over 1e-5
        assert slope == pytest.approx(float((way[0] * gradient).sum()), rel=1e-6, abs=1e-7)


def test_dropout_differs_between_encoder_and_decoder_and_from_epoch_to_epoch():
    network, theta = network_with(dropout=0.5)
    packing = Packing.uniform(1, 40)
    passes = network.passes(network.bound(theta, torch.empty_like(theta)), packing)
    masks = []
    for epoch in (0, 0, 1):
        passes.draw_masks(torch.arange(40), 0, epoch)
        masks.append([side._mask.clone() for side in (passes._encoder, passes._decoder)])
    assert all(map(torch.equal, masks[0], masks[1]))
    assert not any(map(torch.equal, masks[0], masks[2]))
    assert not torch.equal(*masks[0])


@pytest.mark.parametrize("cell", CELLS)
def test_parameters_survive_the_module(cell):
    network, theta = network_with(cell=cell, n_layers=2, bidirectional=True)
    module = network.module(theta[0], x_mean=torch.zeros(C), x_scale=torch.ones(C))
    for other in (module, network.module_from(module.state_dict())):
        again = torch.full_like(theta[0], torch.nan)
        network.pack(other, again)
        assert torch.equal(again, theta[0])
        assert other.units["x_mean"] is not None
        assert other.units["y_mean"] is None


def test_penalty_spares_biases():
    network, _ = network_with(cell="gru", bidirectional=True)
    penalised = network.penalised
    encoder, begin, decoder = network.split(penalised)
    assert begin[:-1].all()
    assert not begin[-1].any()
    assert torch.equal(encoder, network.encoder.penalised)
    assert torch.equal(decoder, network.decoder.penalised)
