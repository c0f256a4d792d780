"""What a loss is: value, gradient, inverse link.

A loss is summed over features, weighted and summed over rows. Its gradient is taken with respect
to the network's output, or, where the loss has a link (`output_activation`), to what comes before
that activation, which is both cheaper and free of overflow.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor


class Gradient(NamedTuple):
    """Memory for a gradient (K, B, F), and two flat views of it, made once."""

    full: Tensor
    row: Tensor
    column: Tensor

    @classmethod
    def of(cls, full: Tensor) -> Gradient:
        """`full`, which is contiguous, with its views."""
        n_models = full.shape[0]
        return cls(full, full.view(n_models, 1, -1), full.view(n_models, -1, 1))


class Loss(ABC):
    """A loss between an output (K, B, O) and a target (K, B, F); O is F but for `Gaussian`.

    Attributes
    ----------
    output_activation : str
        The inverse link: what "auto" stands for.
    fixed_output : bool
        Whether no other output activation makes sense.
    outputs_per_target : int
    default_scaling : str or None
        What ``scaling="auto"`` stands for; None: targets are not to be scaled.
    of_batch : bool
        Whether it is a function of a whole batch, not a sum over rows.
    remedy : str
        What to do with targets that `check_targets` refuses; only losses with a fixed output do.
    """

    output_activation = "identity"
    fixed_output = False
    outputs_per_target = 1
    default_scaling: str | None = "global"
    of_batch = False
    remedy = ""

    @abstractmethod
    def value_and_gradient(
        self,
        output: Tensor,
        target: Tensor,
        weight: Tensor | None,
        gradient: Gradient,
        value: Tensor,
    ) -> None:
        """Weighted sum over rows and features, and its gradient.

        Parameters
        ----------
        output : Tensor of shape (K, B, O)
        target : Tensor of shape (K, B, F)
        weight : Tensor of shape (B, 1) or None
            None: every row counts once.
        gradient : Gradient
            Overwritten.
        value : Tensor of shape (K, 1, 1)
            Overwritten.
        """

    def link(self, mean: Tensor, deviation: Tensor) -> Tensor:
        """The output (O,) to begin with, before its activation, for targets of these moments."""
        return mean

    def exact(self, target: Tensor) -> Tensor | None:
        """The outputs, before their activation, of least loss; None: that is zero."""
        return None

    def left_over(self, value: float, first: float, perfect: float) -> float:
        """The share of a variance that a mean loss says is left.

        Parameters
        ----------
        value, first, perfect : float
            Mean losses: that of some outputs, of those with all of the variance, the least
            possible.
        """
        return max(value - perfect, 0.0) / max(first - perfect, 1e-12)

    def check_targets(self, low: float, high: float) -> str | None:
        """What targets must be, if some between `low` and `high` are not."""
        return None


class ReconstructionLoss(Loss):
    """A loss that an autoencoder can have.

    Attributes
    ----------
    unit_power : int
        Power of X's units that `errors` is measured in.
    is_squared : bool
        Whether it is the loss that PCA minimises.
    """

    unit_power = 2
    is_squared = False

    def start_decoder(self, decode: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """The affine decoder (weights (C, F), bias (F,)) that stands for h decode + mean."""
        return decode, mean

    @abstractmethod
    def errors(self, output: Tensor, target: Tensor) -> Tensor:
        """Pointwise errors as users read them, of the shape of both; after the activation."""


def in_units(errors: Tensor, units: Tensor | float) -> Tensor:
    """Errors times what they are measured in, which may be infinite: none is none."""
    return torch.where(errors == 0, 0.0, errors * units)


def before(activation: str, mean: Tensor) -> Tensor:
    """What goes to `mean`, or near it, through an activation, where its slope is not zero."""
    inverses = {
        "logistic": lambda y: torch.logit(y.clamp(0.01, 0.99)),
        "tanh": lambda y: torch.atanh(y.clamp(-0.99, 0.99)),
        "softplus": lambda y: y.clamp_min(0.01).expm1().log(),
        "elu": lambda y: y.clamp_min(-0.5),
    }
    if activation in ("relu", "gelu", "silu"):
        return mean.clamp_min(0.1)
    return inverses.get(activation, lambda y: y)(mean)
