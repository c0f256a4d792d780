"""Penalties on codes, added to the loss.

A penalty is a function of what the encoder gives for a batch. Like a loss it is summed over rows,
each counted by its weight.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from .module import LOG_VARIANCES

_TARGET = 0.05  # mean activation that "kl" wants
_SMALLEST = 1e-6  # mean activation, where its logarithm is taken


class Penalty(ABC):
    """A penalty of strength 1.

    Attributes
    ----------
    of_jacobian : bool
        Whether it is a function of the encoder's derivative, which `Passes.contract` finds.
    of_batch : bool
        Whether it is a function of a whole batch, not a sum over rows.
    code_activation : str or None
        The only activation of the code that it makes sense with.
    """

    of_jacobian = False
    of_batch = False
    code_activation: str | None = None

    @abstractmethod
    def value_and_gradient(
        self, encoded: Tensor, weight: Tensor | None, strength: float, gradient: Tensor
    ) -> Tensor:
        """Value (K,), and its gradient with respect to `encoded`.

        Parameters
        ----------
        encoded : Tensor of shape (K, B, E)
        weight : Tensor of shape (B, 1) or None
            None: every row counts once.
        strength : float
        gradient : Tensor of shape (K, B, E)
            Overwritten.
        """


def _weighted_sum(terms: Tensor, weight: Tensor | None) -> Tensor:
    """Sum over rows and columns (K,) of `terms` (K, B, E)."""
    return (terms if weight is None else terms * weight).sum((1, 2))


class L1(Penalty):
    """The sum of |h| over components: most of them become small (Olshausen & Field 1996)."""

    def value_and_gradient(self, encoded, weight, strength, gradient):
        torch.sign(encoded, out=gradient)
        gradient.mul_(strength if weight is None else strength * weight)
        return strength * _weighted_sum(encoded.abs(), weight)


class KullbackLeibler(Penalty):
    """KL(r || m) between coins, summed over components (Ng 2011, CS294A lecture notes).

    m is the mean of h over a batch, r = 0.05 what it ought to be, and

        KL = r log(r / m) + (1 - r) log((1 - r) / (1 - m))
    """

    of_batch = True
    code_activation = "logistic"

    def value_and_gradient(self, encoded, weight, strength, gradient):
        counted = encoded if weight is None else encoded * weight
        total = encoded.shape[1] if weight is None else weight.sum()
        mean = (counted.sum(1, keepdim=True) / total).clamp(_SMALLEST, 1 - _SMALLEST)
        share = strength * ((1 - _TARGET) / (1 - mean) - _TARGET / mean)
        gradient.copy_(share if weight is None else share * weight)
        r = encoded.new_tensor(_TARGET)
        divergence = r * (r / mean).log() + (1 - r) * ((1 - r) / (1 - mean)).log()
        return strength * total * divergence.sum((1, 2))


class Contractive(Penalty):
    """The squared Frobenius norm of dh/dx (Rifai, Vincent, Muller, Glorot & Bengio 2011)."""

    of_jacobian = True

    def value_and_gradient(self, encoded, weight, strength, gradient):
        raise TypeError("A function of the Jacobian, not of the code: see Passes.contract.")


def divergences(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(m, exp(v)) || N(0, 1)), number by number (Kingma & Welling 2014, appendix B)."""
    return mean.square().add_(log_variance.expm1()).sub_(log_variance).mul_(0.5)


class StandardNormal(Penalty):
    """KL of the posterior N(m, exp(v)) from N(0, 1) (Kingma & Welling 2014, appendix B).

        KL = 0.5 (m^2 + exp(v) - 1 - v), summed over components

    `encoded` holds m, then v, which is read within `LOG_VARIANCES`.
    """

    def value_and_gradient(self, encoded, weight, strength, gradient):
        mean, raw = encoded.chunk(2, dim=-1)
        log_variance = raw.clamp(*LOG_VARIANCES)
        d_mean, d_raw = gradient.chunk(2, dim=-1)
        d_mean.copy_(mean).mul_(strength)
        torch.mul(log_variance.expm1(), log_variance == raw, out=d_raw).mul_(0.5 * strength)
        if weight is not None:
            gradient.mul_(weight)
        return strength * _weighted_sum(divergences(mean, log_variance), weight)


PENALTIES: dict[str, Penalty] = {
    "l1": L1(),
    "kl": KullbackLeibler(),
    "contractive": Contractive(),
}
