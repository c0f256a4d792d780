"""Densities of rows given their codes, which make an autoencoder's loss a bound on likelihoods."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from .loss import Gradient, ReconstructionLoss
from .reconstruction import BinaryCrossEntropy, Poisson, SquaredError

_LOG_2_PI = math.log(2 * math.pi)


class Likelihood(ReconstructionLoss):
    """A loss that is minus a log-density, up to a constant.

    Attributes
    ----------
    has_noise : bool
        Whether the density has a variance, one for all features.
    """

    has_noise = False

    @abstractmethod
    def log_density(self, output: Tensor, target: Tensor, variance: Tensor | None) -> Tensor:
        """Of each number of `target`, of the shape of both; `output` after the activation."""


@dataclass(frozen=True)
class Normal(SquaredError, Likelihood):
    """Normal noise of one variance, which is what fits best (Rybkin, Daniilidis & Levine 2021).

    For n F numbers with mean squared error s, the best variance is s itself, and minus the
    log-likelihood is then n F (log(2 pi s) + 1) / 2.

    Attributes
    ----------
    floor : float
        Smallest variance, so that rows that are met exactly have a density.
    """

    floor: float = 1e-6

    has_noise = True
    of_batch = True

    def value_and_gradient(self, output, target, weight, gradient: Gradient, value):
        n_rows, n_features = target.shape[1:]
        total = n_features * (n_rows if weight is None else weight.sum())
        super().value_and_gradient(output, target, weight, gradient, value)
        mean = value * (2 / total)
        variance = mean.clamp_min(self.floor)
        gradient.full.div_(variance)
        torch.mul(variance.log() + _LOG_2_PI + mean / variance, 0.5 * total, out=value)

    def log_density(self, output, target, variance):
        squares = (output - target).square_()
        return squares.div_(variance).add_(variance.log() + _LOG_2_PI).mul_(-0.5)


class Bernoulli(BinaryCrossEntropy, Likelihood):
    """Coins of which the output is the probability; minus the cross-entropy, for shares too."""

    def log_density(self, output, target, variance):
        return -self.errors(output, target)


class Counts(Poisson, Likelihood):
    """Poisson counts of which the output is the mean."""

    def log_density(self, output, target, variance):
        number = torch.finfo(output.dtype)
        logs = torch.xlogy(target, output.clamp(number.tiny, number.max))
        return logs - output - torch.lgamma(target + 1)


LIKELIHOODS: dict[str, Likelihood] = {
    "squared_error": Normal(),
    "binary_cross_entropy": Bernoulli(),
    "poisson": Counts(),
}
