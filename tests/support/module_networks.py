"""Networks trained by autograd, their parameters and their gradients."""

import copy
from itertools import product

import torch

from skaernn.networks._vectors.autograd import ModulePasses
from skaernn.networks._vectors.convolutional import ConvolutionalAutoencoder

SHAPE = 5, 6, 3
VARIANTS = [
    {"tied_weights": tied, "linear_path": path, "variational": variational}
    for tied, path, variational in product([False, True], repeat=3)
]


def convolutional(shape=SHAPE, n_components=2, hidden=(4, 5), **options):
    """A description of small images."""
    n_features = shape[0] * shape[1] * shape[2]
    return ConvolutionalAutoencoder(n_features, n_components, hidden, shape, **options)


def started(network, dtype=torch.float64, away=0.1):
    """Parameters (1, P), moved away from their start."""
    theta = torch.zeros(1, network.layout.size, dtype=dtype)
    network.start(theta[0], torch.Generator().manual_seed(0))
    noise = torch.randn(theta.shape, generator=torch.Generator().manual_seed(1))
    return theta + away * noise


def random(*shape, seed=2):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def trained(network, theta, x, delta, d_encoded=None, *, draws=None, penalty=None, **options):
    """Passes after forward and backward, and the gradient they left."""
    grad = torch.full_like(theta, torch.nan)
    options = {"linear_output": False, **options}
    with torch.no_grad():  # as a fit has it
        passes = ModulePasses(network, theta, grad, len(x), penalty=penalty, **options)
        passes.x[0] = x
        if draws is not None:
            passes.draw_masks(*draws)
        passes.forward()
        passes.delta[0] = delta
        if d_encoded is not None:
            passes.d_encoded[0] = d_encoded
        passes.backward()
    return passes, grad


def gradient(network, module, loss):
    """The gradient of `loss` with respect to the parameters of a plain `module`, (1, P)."""
    module.zero_grad()
    loss.backward()
    holder = copy.deepcopy(module)
    for slot, parameter in zip(holder.parameters(), module.parameters(), strict=True):
        slot.data = parameter.grad
    packed = torch.zeros(1, network.layout.size, dtype=torch.float64)
    network.pack(holder, packed[0])
    return packed
