"""Weight decay as strong as the noise: what keeps a network from learning it by heart.

With errors of variance s and weights that are normal with variance t beforehand, the most probable
weights minimise the mean loss plus s / (2 n t) of their squares (MacKay 1992). The smaller the
task that the linear model leaves to the network, the smaller t: it is taken to be as the variance
that training begins with. How much of that is left, is seen as training goes on; the decay acts
apart from the gradient, as Loshchilov & Hutter (2019) have it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from .._core.device import precise
from .._losses.loss import Gradient, Loss
from .._losses.targets import CrossEntropy
from .sequences import RecurrentObjective


class _Rule(NamedTuple):
    strength: float
    most: float
    tried: int  # epochs


# Chosen on 26 tasks of 14 series with and without noise, of 60 to 2200 windows, and on 21 sets of
# labelled series. A weaker decay learns noise by heart, a stronger one nothing; and whether there
# is more to learn than the linear model says, shows only when a network has tried. Classes it
# tells apart at once, and then by heart.
_OF_VALUES = _Rule(3000.0, 2.0, 20)
_OF_CLASSES = _Rule(500.0, math.inf, 10)


@dataclass(frozen=True)
class NoiseDecay:
    """The decay of an epoch, from the losses of those before it.

    Attributes
    ----------
    loss : Loss
    perfect : float
        What perfect outputs have of it.
    n_losses : float
        Sequences with their weights; steps, if each has a loss, count as the root of their
        number: those of one sequence say much the same.
    """

    loss: Loss
    perfect: float
    n_losses: float

    @classmethod
    def on(cls, objective: RecurrentObjective) -> NoiseDecay:
        """That of a fit."""
        rows, loss = objective.rows, objective.loss
        perfect = total = 0.0
        for target, weight in rows.answers.blocks(precise(rows.device)):
            weight = target.new_ones(len(target), 1) * weight
            exact = loss.exact(target)
            perfect += 0.0 if exact is None else _value(loss, exact, target, weight)
            total += float(weight.sum())
        n_losses = rows.mean_weight * rows.losses_per_row**0.5 * len(rows)
        return cls(loss, perfect / total, n_losses)

    def __call__(self, losses: Sequence[float]) -> float:
        rule = _OF_CLASSES if isinstance(self.loss, CrossEntropy) else _OF_VALUES
        if len(losses) < rule.tried:
            return 0.0
        share = self.loss.left_over(losses[-1], losses[0], self.perfect)
        return min(rule.strength * share / self.n_losses, rule.most)


def _value(loss: Loss, output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> float:
    output = output.contiguous()[None]
    gradient, value = Gradient.of(torch.empty_like(output)), output.new_empty(1, 1, 1)
    loss.value_and_gradient(output, target[None], weight, gradient, value)
    return float(value)
