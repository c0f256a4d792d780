"""Passes in float32 are those in float64, which autograd vouches for, at widths above 64."""

import pytest
import torch
from objectives import TORCH_LOSSES, assert_equals_autograd, batch_of, make_objective

from skaernn._losses.likelihoods import LIKELIHOODS
from skaernn._losses.reconstruction import LOSSES
from skaernn.networks import (
    ACTIVATIONS,
    CELLS,
    CORRUPTIONS,
    PENALTIES,
    POOLINGS,
    Bound,
    Corrupter,
    Packing,
    Range,
    RecurrentNetwork,
    RecurrentPasses,
    SequenceAutoencoder,
    StandardNormal,
)

WIDE = {"n": 70, "n_features": 90, "n_components": 66, "hidden_layer_sizes": (130, 70)}
# sums of some hundred products, each wrong by 1e-7 of its terms, through six layers
CLOSE = 1e-3


def evaluated(dtype, **spec):
    """Sums and gradient, in float64, at the same parameters for every dtype."""
    objective, _ = make_objective(dtype=dtype, **{**WIDE, **spec})
    theta = 0.05 * torch.randn(
        1, objective.network.layout.size, generator=torch.Generator().manual_seed(0)
    )
    theta, grad = theta.to(dtype), torch.full_like(theta, torch.nan, dtype=dtype)
    (batch,) = objective.batches(0)
    with torch.no_grad():
        sums = objective.bound(theta, grad).sums(batch)
    return sums.double(), grad.double()


def assert_same_in_both(**spec):
    (narrow, narrow_grad), (wide, wide_grad) = (
        evaluated(dtype, **spec) for dtype in (torch.float32, torch.float64)
    )
    assert (narrow - wide).abs().max() <= CLOSE * wide.abs().max()
    assert (narrow_grad - wide_grad).abs().max() <= CLOSE * wide_grad.abs().max()


@pytest.mark.parametrize("linear_path", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation, linear_path):
    spec = {"activation": activation, "code_activation": activation}
    spec |= {"output_activation": activation, "linear_path": linear_path}
    assert_same_in_both(**spec)
    objective, theta = make_objective(alpha=0.0, **{**WIDE, **spec})
    _, x, weight = batch_of(objective)
    assert_equals_autograd(
        objective,
        0.1 * theta,
        lambda module: (TORCH_LOSSES["squared_error"](module(x), x) * weight).sum(),
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_losses(loss):
    assert_same_in_both(loss=loss, output_activation=LOSSES[loss].output_activation)


@pytest.mark.parametrize("loss", LIKELIHOODS)
def test_likelihoods(loss):
    assert_same_in_both(
        loss=LIKELIHOODS[loss],
        output_activation=LIKELIHOODS[loss].output_activation,
        variational=True,
        penalty=StandardNormal(),
        strength=1.0,
    )


@pytest.mark.parametrize("name", [name for name, p in PENALTIES.items() if not p.of_jacobian])
def test_penalties(name):
    assert_same_in_both(penalty=PENALTIES[name], strength=0.3, code_activation="logistic")


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_and_tied_weights(name):
    limits = Range(torch.zeros(90), torch.ones(90))
    corrupter = Corrupter(CORRUPTIONS[name], 0.3, limits)
    assert_same_in_both(corrupter=corrupter, tied_weights=True)


def recurrent_gradient(network, passes_of, dtype, lengths):
    theta = torch.empty(1, network.layout.size, dtype=torch.float64)
    network.start(theta[0], torch.Generator().manual_seed(0))
    theta += 0.02 * torch.randn(theta.shape, generator=torch.Generator().manual_seed(1))
    theta = theta.to(dtype)
    grad = torch.full_like(theta, torch.nan)
    packing = Packing.of_lengths(torch.tensor(lengths))
    passes = passes_of(network.bound(theta, grad), packing)
    generator = torch.Generator().manual_seed(2)
    passes.x.copy_(torch.randn(passes.x.shape, generator=generator, dtype=torch.float64))
    passes.forward()
    passes.delta.copy_(torch.randn(passes.delta.shape, generator=generator, dtype=torch.float64))
    passes.backward()
    return passes.output.double(), grad.double()


def assert_recurrent_same_in_both(network, passes_of, lengths):
    narrow, wide = (
        recurrent_gradient(network, passes_of, dtype, lengths)
        for dtype in (torch.float32, torch.float64)
    )
    for found, expected in zip(narrow, wide, strict=True):
        assert (found - expected).abs().max() <= CLOSE * expected.abs().max()


@pytest.mark.parametrize("lengths", [[30] * 9, [30, 21, 21, 3, 1]], ids=str)
@pytest.mark.parametrize("pooling", [None, *POOLINGS])
@pytest.mark.parametrize("cell", CELLS)
def test_cells_and_poolings(cell, pooling, lengths):
    network = RecurrentNetwork(70, 130, 3, cell=cell, pooling=pooling, n_layers=2)
    assert isinstance(network.bound(torch.zeros(1, network.layout.size), None), Bound)
    assert_recurrent_same_in_both(
        network, lambda bound, packing: RecurrentPasses(network, bound, packing), lengths
    )


@pytest.mark.parametrize("cell", CELLS)
def test_sequence_autoencoders(cell):
    network = SequenceAutoencoder.of(70, 66, 130, cell=cell)
    assert_recurrent_same_in_both(network, network.passes, [30, 21, 21, 3])
