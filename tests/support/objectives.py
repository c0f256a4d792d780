"""Objectives of dense autoencoders on random rows, and what autograd says about them."""

from functools import partial

import numpy as np
import torch
from torch.nn import functional

from skaernn._losses.reconstruction import LOSSES
from skaernn._rows.principal import principal_components
from skaernn._rows.vectors import make_rows
from skaernn._training.objective import Evaluation
from skaernn._training.vectors import Goal, ReconstructionObjective
from skaernn.networks import DenseAutoencoder

TORCH_LOSSES = {
    "squared_error": lambda out, x: 0.5 * (out - x) ** 2,
    "absolute_error": lambda out, x: (out - x).abs(),
    "huber": lambda out, x: functional.huber_loss(out, x, reduction="none"),
    "binary_cross_entropy": lambda p, x: functional.binary_cross_entropy(p, x, reduction="none"),
    "poisson": lambda mean, x: functional.poisson_nll_loss(
        mean, x, log_input=False, eps=0.0, reduction="none"
    ),
}


def make_objective(
    n=41,
    n_features=7,
    *,
    loss="squared_error",
    alpha=0.3,
    weighted=True,
    dtype=torch.float64,
    **spec,
):
    """An objective on random rows in [0, 1], and parameters away from its start.

    What is neither `loss` nor of `Goal` describes the network.
    """
    rng = np.random.default_rng(0)
    X = rng.random((n, n_features))
    weight = rng.random(n) if weighted else None
    of_goal = {name: spec.pop(name) for name in Goal.__dataclass_fields__ if name in spec}
    goal = Goal(LOSSES[loss] if isinstance(loss, str) else loss, **of_goal)
    network = DenseAutoencoder(n_features, spec.pop("n_components", 3), **spec)
    keyed = network.variational or goal.corrupter is not None
    [rows] = make_rows(X, torch.from_numpy(X), weight, dtype, keyed=keyed)
    principal = principal_components(rows) if network.linear_path else None
    objective = ReconstructionObjective(
        network, goal, rows, alpha=alpha, batch_size=n, principal=principal, seed=3
    )
    theta = objective.start(torch.Generator().manual_seed(1))
    noise = torch.randn(theta.shape, generator=torch.Generator().manual_seed(2))
    return objective, (theta + 0.2 * noise).to(dtype)


def several(theta, n_models=3):
    """Parameters (K, P) of models that are all different."""
    return torch.cat([theta.roll(k, 1) * (1 - 0.2 * k) for k in range(n_models)])


def batch_of(objective, epoch=0):
    """The one batch, its rows (B, F) and its weights (B, 1) or 1."""
    (batch,) = objective.batches(epoch)
    weight = 1.0 if batch.weight is None else batch.weight
    return batch, objective.rows.X[batch.index], weight


def packed_gradient(network, module, value):
    """The gradient of `value` with respect to the parameters of `module`, (P,)."""
    parameters = list(module.parameters())
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    holder = network.module(torch.zeros(network.layout.size, dtype=torch.float64))
    for slot, gradient in zip(holder.parameters(), found, strict=True):
        if gradient is not None:
            slot.data = gradient
    packed = torch.zeros(network.layout.size, dtype=torch.float64)
    network.pack(holder, packed)
    return packed


def assert_equals_autograd(objective, theta, value_of, epoch=0):
    """Sums and gradient of every model of `theta` (K, P) are those of ``value_of(module)``.

    By what the objective takes, which may be compiled kernels, and by torch.
    """
    for bound in (objective.bound, partial(Evaluation, objective)):
        _assert_equals_autograd(objective, theta, value_of, epoch, bound)


def _assert_equals_autograd(objective, theta, value_of, epoch, bound):
    batch, *_ = batch_of(objective, epoch)
    grad = torch.full_like(theta, torch.nan)
    with torch.no_grad():
        sums = bound(theta, grad).sums(batch)
    for k, parameters in enumerate(theta):
        module = objective.network.module(parameters)
        value = value_of(module)
        expected = packed_gradient(objective.network, module, value)
        torch.testing.assert_close(grad[k], expected, rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(sums[k, 0], value.detach(), rtol=1e-11, atol=1e-11)
        assert sums[k, 1:].tolist() == [len(batch.index), 0.0]
