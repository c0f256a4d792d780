"""Weight decay as strong as the noise: what keeps a network from learning it by heart.

With errors of variance s and weights that are normal with variance t beforehand, the most probable
weights minimise the mean loss plus s / (2 n t) of their squares (MacKay 1992). What is left of the
variance, s, is estimated by the loss as training goes on; it acts apart from the gradient, as
Loshchilov & Hutter (2019) have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .._losses.loss import Gradient, Loss
from .._rows.moments import moments
from .sequences import RecurrentObjective

# Chosen on series with and without noise, of 100 to 2000 rows. Weaker, noise is learnt by heart;
# stronger, nothing is learnt beside the linear path.
_STRENGTH, _MOST = 8000.0, 1.5


@dataclass(frozen=True)
class NoiseDecay:
    """The decay of an epoch, from the losses of those before it.

    Attributes
    ----------
    loss : Loss
    constant, perfect : float
        What the best constant and what perfect outputs have of it.
    n_losses : float
        Sequences with their weights; steps, if each has a loss, count as the root of their
        number: those of one sequence say much the same.
    """

    loss: Loss
    constant: float
    perfect: float
    n_losses: float

    @classmethod
    def on(cls, objective: RecurrentObjective) -> NoiseDecay:
        """That of a fit."""
        rows, loss = objective.rows, objective.loss
        mean, deviation = moments(rows.answers)
        output = mean
        if objective.network.output_activation == loss.output_activation:
            output = loss.link(mean, deviation)
        constant = perfect = total = 0.0
        for target, weight in rows.answers.blocks(mean.dtype):
            weight = target.new_ones(len(target), 1) * weight
            if not rows.targets.X.is_floating_point():  # classes
                target = target.long()
            constant += _value(loss, output.expand(len(target), -1), target, weight)
            exact = loss.exact(target)
            perfect += 0.0 if exact is None else _value(loss, exact, target, weight)
            total += float(weight.sum())
        n_losses = rows.mean_weight * rows.losses_per_row**0.5 * len(rows)
        return cls(loss, constant / total, perfect / total, n_losses)

    def __call__(self, losses: Sequence[float]) -> float:
        if not losses:
            return 0.0
        share = self.loss.left_over(losses[-1], self.constant, self.perfect)
        return min(_STRENGTH * share / self.n_losses, _MOST)


def _value(loss: Loss, output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> float:
    output = output.contiguous()[None]
    gradient, value = Gradient.of(torch.empty_like(output)), output.new_empty(1, 1, 1)
    loss.value_and_gradient(output, target[None], weight, gradient, value)
    return float(value)
