"""From form and rows of sequences to the objective of a recurrent network on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from .._inputs.sequences import Form
from .._losses.loss import Loss
from .._rows.matrix import Counted
from .._rows.moments import feature_scales, moments, units_in
from .._rows.sequences import SequenceRows
from .._training.sequences import RecurrentObjective
from ..networks import OwnRecurrentNetwork, RecurrentNetwork, SequenceAutoencoder
from .plan import Plan


@dataclass(frozen=True)
class SequencePlan(Plan):
    """Plan of a recurrent network, whatever it is to learn.

    Attributes
    ----------
    describe : callable
        From the form of the input to the description of the network.
    loss_on : callable
        From answers and form to the loss.
    dropout : float
    factory : callable or None
        What makes the layers, if the user has such a function.
    """

    describe: Callable[[Form], RecurrentNetwork | OwnRecurrentNetwork | SequenceAutoencoder]
    loss_on: Callable[[Counted, Form], Loss]
    scaling: str | None
    dropout: float
    factory: Callable | None = None
    advice: str = "a smaller hidden_size or n_layers"
    noise: Mapping[str, Any] = field(init=False)

    def __post_init__(self):
        noise = {"dropout": self.dropout, "cell": self.factory}  # which may draw, too
        object.__setattr__(self, "noise", noise)

    def network(self, data):
        return self.describe(data.form)

    def sizes(self, network):
        return network.widths

    def begin(self, network, rows: SequenceRows, form: Form, **how):
        loss = self.loss_on(rows.answers, form)
        rows = rows.scaled(**self._units(rows, loss, network))
        return RecurrentObjective(network, loss, rows, **how)

    def resume(self, fitted, module, rows: SequenceRows, form: Form, **how):
        network = fitted.network.with_dropout(self.dropout)
        loss = self.loss_on(rows.answers, form)
        return RecurrentObjective(network, loss, rows.scaled(**module.units), **how)

    def _units(self, rows: SequenceRows, loss: Loss, network) -> dict[str, torch.Tensor]:
        """Means and deviations of channels and, where the output can be moved, of targets."""
        if self.scaling is None:
            return {}
        wide = torch.promote_types(rows.inputs.X.dtype, rows.dtype)
        units = dict(zip(("x_mean", "x_scale"), _units_of(rows.steps, wide, "X"), strict=True))
        movable = network.output_activation == loss.output_activation
        if loss.default_scaling is not None and movable and not rows.reconstructs:
            units |= zip(("y_mean", "y_scale"), _units_of(rows.answers, wide, "y"), strict=True)
        return units


def _units_of(rows: Counted, dtype: torch.dtype, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each column; messages call the rows `name`."""
    mean, deviation = moments(rows)
    return units_in(mean, feature_scales(deviation), rows, deviation, dtype, name)
