"""Losses against targets that are not the input: quantiles, distributions, classes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from ..networks import SMALLEST_DEVIATION
from .loss import Loss
from .reconstruction import LOSSES, dot


@dataclass(frozen=True)
class Quantile(Loss):
    """max(q d, (q - 1) d) for d = y - z (Koenker & Bassett 1978): least at the quantile q."""

    q: float = 0.5

    def value_and_gradient(self, output, target, weight, gradient, value):
        difference = output - target
        torch.sub((difference > 0).to(output.dtype), self.q, out=gradient.full)
        gradient.full.mul_(difference != 0)
        if weight is not None:
            gradient.full.mul_(weight)
        dot(difference, gradient, value)


class Gaussian(Loss):
    """log s + (y - m)^2 / 2 s^2 for a predicted mean m and deviation s (Nix & Weigend 1994).

    s is softplus of the second half of the output, plus a floor of a thousandth of a scaled unit.
    """

    output_activation = "mean_and_deviation"
    fixed_output = True
    outputs_per_target = 2

    def link(self, mean, deviation):
        deviation = torch.where(deviation > 0, deviation, 1.0)
        return torch.cat([mean, torch.where(deviation > 20, deviation, deviation.expm1().log())])

    def left_over(self, value, first, perfect):
        # a mean log-likelihood falls by the logarithm of the deviation
        return math.exp(min(2 * (value - first), 0.0))

    def value_and_gradient(self, output, target, weight, gradient, value):
        mean, raw = output.chunk(2, dim=-1)
        d_mean, d_raw = gradient.full.chunk(2, dim=-1)
        deviation = functional.softplus(raw) + SMALLEST_DEVIATION
        relative = (mean - target) / deviation
        terms = deviation.log() + 0.5 * relative.square()
        torch.div(relative, deviation, out=d_mean)
        torch.sigmoid(raw, out=d_raw)
        d_raw.mul_(1 - relative.square()).div_(deviation)
        if weight is not None:
            terms.mul_(weight)
            gradient.full.mul_(weight)
        torch.sum(terms, (1, 2), keepdim=True, out=value)


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Minus the log of the probability that softmax(z) gives to the class; targets are indices.

    Attributes
    ----------
    priors : tuple of float
        Share of each class.
    class_weight : tuple of float or None
        What an answer of each class counts.
    """

    priors: tuple[float, ...]
    class_weight: tuple[float, ...] | None = None

    output_activation = "softmax"
    fixed_output = True
    default_scaling = None

    def link(self, mean, deviation):
        shares = mean.new_tensor(self.priors)
        if self.class_weight is not None:
            shares *= mean.new_tensor(self.class_weight)
        return shares.clamp_min(1e-3).log()

    def value_and_gradient(self, output, target, weight, gradient, value):
        logs = functional.log_softmax(output, dim=-1)
        torch.exp(logs, out=gradient.full)
        one = torch.ones((), dtype=output.dtype, device=output.device)
        gradient.full.scatter_add_(-1, target, -one.expand(target.shape))
        terms = -logs.gather(-1, target)
        if self.class_weight is not None:
            share = output.new_tensor(self.class_weight)[target]
            weight = share if weight is None else share * weight
        if weight is not None:
            terms.mul_(weight)
            gradient.full.mul_(weight)
        torch.sum(terms, (1, 2), keepdim=True, out=value)


TARGET_LOSSES: dict[str, Loss] = {
    **LOSSES,
    "quantile": Quantile(),
    "gaussian": Gaussian(),
}


def loss_named(name: str, quantile: float) -> Loss:
    """The loss of a regressor; `quantile` is read by the one of that name."""
    loss = TARGET_LOSSES[name]
    return Quantile(quantile) if isinstance(loss, Quantile) else loss


def check_allowed(loss: str, values, name: str) -> None:
    """Refuse targets (of any shape, with `min` and `max`) that a loss has no meaning for."""
    found = TARGET_LOSSES[loss]
    if not found.fixed_output:  # all numbers will do
        return
    low, high = values.min(), values.max()
    wanted = found.check_targets(low, high)
    if wanted:
        raise ValueError(
            f"loss={loss!r} needs {name} to be {wanted}, but it lies in [{low:.6g}, {high:.6g}]; "
            f"{found.remedy}, or choose another loss."
        )
