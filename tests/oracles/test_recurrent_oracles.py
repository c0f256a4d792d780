"""Recurrent networks against what cannot share the mistake: autograd through torch's layers."""

import itertools

import numpy as np
import pytest
import torch

from skaernn.networks import (
    CELLS,
    POOLINGS,
    Bound,
    Packing,
    RecurrentNetwork,
    RecurrentPasses,
)

C, H, N_OUTPUTS = 3, 4, 2
LENGTHS = {"equal": [5, 5, 5], "ragged": [6, 4, 4, 1], "one step": [1, 1], "one row": [3]}
SHAPES = [
    pytest.param({"n_layers": n_layers, "bidirectional": both}, id=f"{n_layers}-{both}")
    for n_layers, both in itertools.product([1, 2], [False, True])
]


def network_with(**parameters):
    network = RecurrentNetwork(C, H, N_OUTPUTS, **parameters)
    generator = torch.Generator().manual_seed(0)
    theta = torch.empty(1, network.layout.size, dtype=torch.float64)
    network.start(theta[0], generator)
    theta += 0.3 * torch.randn(theta.shape, generator=generator, dtype=torch.float64)
    return network, theta


def padded_and_packed(lengths):
    generator = torch.Generator().manual_seed(1)
    packing = Packing.of_lengths(torch.tensor(lengths))
    x = torch.randn(len(lengths), max(lengths), C, generator=generator, dtype=torch.float64)
    row, t = packing.positions()
    return packing, x, x[row, t]


def by_autograd(network, theta, x, lengths, delta):
    """Output and gradient through the plain module; `delta` is that of the output."""
    module = network.module(theta[0])
    output = module(x, torch.tensor(lengths))
    if network.pooling is None:
        row, t = Packing.of_lengths(torch.tensor(lengths)).positions()
        output = output[row, t]
    (output * delta).sum().backward()
    return output.detach(), packed_gradient(network, module)


def packed_gradient(network, module):
    """What autograd found, as `network` has its parameters."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter.grad)
        for layers in module.modules():
            if isinstance(layers, torch.nn.RNNBase):
                for weights in layers.all_weights:  # b_hh: the same as that of b_ih
                    weights[3][: -H if layers.mode == "GRU" else None] = 0
        gradient = next(module.parameters()).new_zeros(network.layout.size)
        network.pack(module, gradient)
    return gradient


def assert_passes_equal_autograd(network, theta, lengths):
    packing, x, packed = padded_and_packed(lengths)
    grad = torch.full_like(theta, torch.nan)
    passes = RecurrentPasses(network, Bound(network, theta, grad), packing)
    passes.x.copy_(packed)
    generator = torch.Generator().manual_seed(2)
    delta = torch.randn(passes.output.shape, generator=generator, dtype=torch.float64)
    for _ in range(2):  # buffers are used again
        passes.forward()
        passes.delta.copy_(delta)
        passes.backward()
    output, gradient = by_autograd(network, theta, x, lengths, delta[0])
    # 1e-12: a few dozen roundings of numbers around one
    torch.testing.assert_close(passes.output[0], output, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(grad[0], gradient, rtol=1e-12, atol=1e-12)


class TestPasses:
    @pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("pooling", [None, *POOLINGS])
    @pytest.mark.parametrize("cell", CELLS)
    def test_equal_autograd(self, cell, pooling, shape, lengths):
        network, theta = network_with(cell=cell, pooling=pooling, **shape)
        assert_passes_equal_autograd(network, theta, lengths)

    @pytest.mark.parametrize("pooling", [None, *POOLINGS])
    def test_without_the_input_in_the_output(self, pooling):
        network, theta = network_with(pooling=pooling, input_skip=False)
        assert_passes_equal_autograd(network, theta, LENGTHS["ragged"])

    @pytest.mark.parametrize("name", ["tanh", "logistic", "gelu"])
    def test_output_activation(self, name):
        network, theta = network_with(output_activation=name)
        assert_passes_equal_autograd(network, theta, LENGTHS["ragged"])

    @pytest.mark.parametrize("pooling", [None, *POOLINGS])
    def test_relu_units_with_ties(self, pooling):
        network, theta = network_with(cell="rnn", activation="relu", pooling=pooling)
        assert_passes_equal_autograd(network, theta, LENGTHS["ragged"])


class TestStepper:
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("pooling", [None, *POOLINGS])
    @pytest.mark.parametrize("cell", CELLS)
    def test_equals_the_module(self, cell, pooling, shape):
        network, theta = network_with(cell=cell, pooling=pooling, **shape)
        lengths = [*LENGTHS["ragged"], 0]
        packing, x, _ = padded_and_packed(LENGTHS["ragged"])
        steps = torch.zeros(6, 5, C, dtype=torch.float64)
        steps[:, :4] = x.transpose(0, 1)
        module = network.module(theta[0])
        state = steps.new_zeros(5, sum(network.state_widths))
        with torch.inference_mode():
            output, _ = network.stepper(module).run(steps, torch.tensor(lengths), state)
            expected = module(x, torch.tensor(LENGTHS["ragged"]))
        if pooling is None:
            row, t = packing.positions()
            output, expected = output.transpose(0, 1)[row, t], expected[row, t]
        np.testing.assert_allclose(output[: len(expected)], expected, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("pooling", [None, *POOLINGS])
    @pytest.mark.parametrize("cell", CELLS)
    def test_cut_anywhere_gives_the_same_bits(self, cell, pooling):
        network, theta = network_with(cell=cell, pooling=pooling, n_layers=2)
        generator = torch.Generator().manual_seed(1)
        steps = torch.randn(301, 2, C, generator=generator, dtype=torch.float64)
        stepper = network.stepper(network.module(theta[0]))
        state = steps.new_zeros(2, sum(network.state_widths))
        with torch.inference_mode():
            whole, end = stepper.run(steps, torch.tensor([301, 301]), state)
        for cut in (1, 255, 256, 300):
            with torch.inference_mode():
                first, middle = stepper.run(steps[:cut], torch.tensor([cut, cut]), state)
                rest = torch.tensor([301 - cut] * 2)
                second, parts_end = stepper.run(steps[cut:], rest, middle)
            if pooling is None:
                second = torch.cat([first, second])
            assert torch.equal(second, whole), cut
            assert torch.equal(parts_end, end), cut


@pytest.mark.parametrize("cell", CELLS)
def test_parameters_survive_the_module(cell):
    network, theta = network_with(cell=cell, pooling="attention", n_layers=2, bidirectional=True)
    again = torch.full_like(theta[0], torch.nan)
    network.pack(network.module(theta[0]), again)
    assert torch.equal(again, theta[0])


@pytest.mark.parametrize("pooling", [None, *POOLINGS])
def test_dropout_acts_on_what_is_read_of_a_layer(pooling):
    """With masks of one, nothing changes; with masks of zero, only the bias is read."""
    network, theta = network_with(pooling=pooling, n_layers=2, dropout=0.5, input_skip=False)
    packing, _, packed = padded_and_packed(LENGTHS["ragged"])
    grad = torch.empty_like(theta)
    passes = RecurrentPasses(network, Bound(network, theta, grad), packing)
    passes.x.copy_(packed)
    passes.forward()
    whole = passes.output.clone()
    passes.delta.fill_(1)
    passes.backward()
    expected = grad.clone()
    keys = torch.arange(packing.n_rows)
    passes.draw_masks(keys, seed=0, epoch=0)
    masks = passes._mask, passes._layers[0]._mask
    for mask in masks:
        assert set(mask.unique().tolist()) <= {0.0, 2.0}
        mask.fill_(1)
    passes.forward()
    passes.delta.fill_(1)
    passes.backward()
    assert torch.equal(passes.output, whole)
    assert torch.equal(grad, expected)
    passes._mask.zero_()
    passes.forward()
    passes.backward()
    weight = network.blocks(theta[0], "output")["weight"]
    h = passes._pool.out[:, :H]
    torch.testing.assert_close(passes.output[0], whole[0] - h @ weight[:H])
    assert not network.blocks(grad[0], "1.forward")["weight"].any()


def test_another_epoch_another_seed_another_sequence_drops_others():
    network, theta = network_with(dropout=0.5)
    packing = Packing.uniform(5, 40)
    passes = RecurrentPasses(network, Bound(network, theta, torch.empty_like(theta)), packing)
    masks = []
    for keys, seed, epoch in [(0, 0, 0), (0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]:
        passes.draw_masks(torch.arange(40) + 1000 * keys, seed, epoch)
        masks.append(passes._mask.clone())
    assert torch.equal(masks[0], masks[1])
    assert not any(torch.equal(masks[0], other) for other in masks[2:])
