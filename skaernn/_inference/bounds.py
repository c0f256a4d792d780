"""Bounds on the likelihood of rows under a variational autoencoder."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .._core.device import exact_inference, precise
from .._losses.likelihoods import Likelihood
from .._rows.vectors import Rows
from ..networks import VariationalModule, divergences

_DRAWS = 64  # codes a row that an expectation is taken over
_NOISE_ROWS = 1024  # from which the noise is estimated
DRAW_NUMBERS = 64  # what a row of a table takes beside its numbers, as a tensor of its own


def noise_table(n_components: int, n_draws: int | None = None, seed: int = 0) -> Tensor:
    """Standard normal numbers (S, C), float64, the same for every row.

    With `n_draws` they are independent. Else there are 64 of them or more, in pairs of opposite
    sign, and of variance one exactly, so that the mean of a quadratic function over them is its
    expectation.
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)
    how = {"generator": generator, "dtype": torch.float64, "device": "cpu"}
    if n_draws is not None:
        return torch.randn(n_draws, n_components, **how)
    half = torch.randn(max(_DRAWS // 2, 2 * n_components), n_components, **how)
    variances, axes = torch.linalg.eigh(half.T @ half / len(half))
    half = half @ (axes / variances.sqrt()) @ axes.T
    return torch.cat([half, -half])


def log_bounds(
    module: VariationalModule,
    likelihood: Likelihood,
    x: Tensor,
    variance: Tensor | None,
    table: Tensor,
    *,
    importance: bool,
) -> Tensor:
    """A lower bound on the log-likelihood of each of the rows `x` (n, F), in X's units.

    Parameters
    ----------
    module : VariationalModule
    likelihood : Likelihood
    x : Tensor of shape (n, F)
    variance : Tensor of shape () or None
        Of the noise, in scaled units.
    table : Tensor of shape (S, C)
        Standard normal numbers.
    importance : bool
        False: the evidence lower bound (Kingma & Welling 2014),

            E_q[log p(x | z)] - KL(q(z | x) || p(z)).

        True: the importance-weighted bound (Burda, Grosse & Salakhutdinov 2016),

            E_q[log mean_k p(x | z_k) p(z_k) / q(z_k | x)].
    """
    scaled = module.to_scaled(x)
    mean, log_variance = module.posterior(scaled)
    deviation = (0.5 * log_variance).exp()
    volume = 0.0 if module.scale is None else module.scale.log().expand(x.shape[1]).sum()
    total = None
    for draw in table.to(mean):
        code = mean + deviation * draw
        term = likelihood.log_density(module.decoder(code), scaled, variance).sum(1)
        if importance:
            drawn = draw.square() + log_variance  # of log q, and of log p for the code
            term = term + 0.5 * (drawn - code.square()).sum(1)
        add = torch.logaddexp if importance else torch.add
        total = term if total is None else add(total, term)
    if importance:
        return total - math.log(len(table)) - volume
    divergence = divergences(mean, log_variance).sum(1)
    return total / len(table) - divergence - volume


def noise_variance(module: VariationalModule, rows: Rows, table: Tensor) -> float:
    """The variance of the noise that fits scaled `rows`, or 1024 of them, best.

    It is the expected squared error (Rybkin, Daniilidis & Levine 2021).
    """
    total = count = 0.0
    with exact_inference(rows.X.device):
        for block, weight in rows.sample(_NOISE_ROWS).blocks(rows.dtype):
            mean, log_variance = module.posterior(block)
            deviation = (0.5 * log_variance).exp()
            for draw in table.to(mean):
                squares = (module.decoder(mean + deviation * draw) - block).square()
                total += float((weight * squares).to(precise(rows.X.device)).mean(1).sum())
            count += float((weight * torch.ones_like(block[:, :1])).sum()) * len(table)
    return total / count
