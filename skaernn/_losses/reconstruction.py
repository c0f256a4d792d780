"""Losses that an autoencoder, too, can have: between rows and their reconstructions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .loss import Gradient, ReconstructionLoss


def dot(a: Tensor, gradient: Gradient, value: Tensor, factor: float = 1.0) -> None:
    """Write factor times the sum of a * gradient into `value` (K, 1, 1)."""
    row = a.reshape(gradient.row.shape)
    torch.baddbmm(value, row, gradient.column, beta=0, alpha=factor, out=value)


class SquaredError(ReconstructionLoss):
    """0.5 (x' - x)^2; `errors` without the half."""

    is_squared = True

    def value_and_gradient(self, output, target, weight, gradient, value):
        torch.sub(output, target, out=gradient.full)
        if weight is None:
            row, column = gradient.row, gradient.column
            torch.baddbmm(value, row, column, beta=0, alpha=0.5, out=value)
            return
        difference = gradient.full.clone()
        gradient.full.mul_(weight)
        dot(difference, gradient, value, 0.5)

    def errors(self, output, target):
        return (output - target).square_()


class AbsoluteError(ReconstructionLoss):
    """|x' - x|."""

    unit_power = 1

    def value_and_gradient(self, output, target, weight, gradient, value):
        difference = output - target
        torch.sign(difference, out=gradient.full)
        if weight is not None:
            gradient.full.mul_(weight)
        dot(difference, gradient, value)

    def errors(self, output, target):
        return (output - target).abs_()


class Huber(ReconstructionLoss):
    """0.5 d^2 where |d| <= 1, else |d| - 0.5, for d = x' - x in scaled units (Huber 1964)."""

    def value_and_gradient(self, output, target, weight, gradient, value):
        difference = output - target
        torch.clamp(difference, -1, 1, out=gradient.full)
        difference.sub_(gradient.full, alpha=0.5)
        if weight is not None:
            difference.mul_(weight)
        dot(difference, gradient, value)
        if weight is not None:
            gradient.full.mul_(weight)

    def errors(self, output, target):
        return functional.huber_loss(output, target, reduction="none")


class BinaryCrossEntropy(ReconstructionLoss):
    """-x log p - (1 - x) log(1 - p) with p = logistic(output), for targets in [0, 1]."""

    output_activation = "logistic"
    fixed_output = True
    unit_power = 0
    default_scaling = None
    remedy = "rescale it, with MinMaxScaler say"

    def link(self, mean, deviation=None):
        return torch.logit(mean.clamp(1e-3, 1 - 1e-3))

    def exact(self, target):
        return torch.logit(target.clamp(1e-6, 1 - 1e-6))

    def start_decoder(self, decode, mean):
        # logistic(logit(m) + u) = m + m (1 - m) u + O(u^2), and m (1 - m) is at most 1/4
        return 4 * decode, self.link(mean)

    def check_targets(self, low, high):
        return "in [0, 1]" if low < 0 or high > 1 else None

    def value_and_gradient(self, output, target, weight, gradient, value):
        terms = functional.softplus(output).addcmul_(output, target, value=-1)
        torch.sigmoid(output, out=gradient.full).sub_(target)
        if weight is not None:
            terms.mul_(weight)
            gradient.full.mul_(weight)
        torch.sum(terms, (1, 2), keepdim=True, out=value)

    def errors(self, output, target):
        return functional.binary_cross_entropy(output, target, reduction="none")


class Poisson(ReconstructionLoss):
    """exp(z) - y z for counts y of mean exp(z): their negative log-likelihood up to a constant.

    `errors` are the deviance, 2 (y log(y / mean) - y + mean).
    """

    output_activation = "exp"
    fixed_output = True
    unit_power = 0
    default_scaling = None
    remedy = "remove or shift what is below"

    def link(self, mean, deviation=None):
        return mean.clamp_min(1e-6).log()

    def exact(self, target):
        return self.link(target)

    def start_decoder(self, decode, mean):
        # exp(log(m) + u) = m + m u + O(u^2); rare counts are not to grow out of all proportion
        return decode / mean.clamp_min(0.1 * float(mean.mean()) + 1e-6), self.link(mean)

    def check_targets(self, low, high):
        return "non-negative" if low < 0 else None

    def value_and_gradient(self, output, target, weight, gradient, value):
        torch.exp(output, out=gradient.full)
        terms = gradient.full - target * output
        gradient.full.sub_(target)
        if weight is not None:
            terms.mul_(weight)
            gradient.full.mul_(weight)
        torch.sum(terms, (1, 2), keepdim=True, out=value)

    def errors(self, output, target):
        number = torch.finfo(output.dtype)
        finite = output.clamp(number.tiny, number.max)  # an infinite mean is infinitely wrong
        logs = torch.xlogy(target, target) - torch.xlogy(target, finite)
        return (logs - target + output).mul_(2).clamp_min_(0)


LOSSES: dict[str, ReconstructionLoss] = {
    "squared_error": SquaredError(),
    "absolute_error": AbsoluteError(),
    "huber": Huber(),
    "binary_cross_entropy": BinaryCrossEntropy(),
    "poisson": Poisson(),
}
