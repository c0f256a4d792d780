"""From form and rows of sequences to the objective of a recurrent network on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from .._inputs.sequences import Form
from .._losses.loss import Loss
from .._rows.matrix import Counted
from .._rows.moments import feature_scales, moments, units_in
from .._rows.sequences import SequenceRows
from .._training.bag import bag_start
from .._training.decay import NoiseDecay
from .._training.linear import STRETCHES, LinearPath, linear_start
from .._training.sequences import RecurrentObjective
from ..networks import EmbeddedNetwork, OwnRecurrentNetwork, RecurrentNetwork, SequenceAutoencoder
from .plan import Plan

# Squared errors of a map in stretches of a series that it has not seen, beside those in rows that
# are left out one by one, whose neighbours overlap with them. Of 27 tasks of 15 series 23 have .9
# to 1.2; of the three above 1.5 two are better without the window.
_MOST_DRIFT = 1.5


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
    weight_decay : float, "auto" or None
    may_pool : bool
        Whether a linear path of windows may read less if these do not agree on it.
    """

    describe: Callable[
        [Form], RecurrentNetwork | OwnRecurrentNetwork | EmbeddedNetwork | SequenceAutoencoder
    ]
    loss_on: Callable[[Counted, Form], Loss]
    scaling: str | None
    dropout: float
    factory: Callable | None = None
    weight_decay: float | str | None = None
    may_pool: bool = False
    advice: str = "a smaller hidden_size or n_layers"
    noise: Mapping[str, Any] = field(init=False)

    def __post_init__(self):
        noise = {"dropout": self.dropout, "cell": self.factory}  # which may draw, too
        object.__setattr__(self, "noise", noise)

    def network(self, data):
        return self.describe(data.form)

    def sizes(self, network):
        return network.widths

    def begin(self, network, rows: SequenceRows, data, **how):
        loss = self.loss_on(rows.answers, data.form)
        rows = rows.scaled(**self._units(rows, loss, network))
        network, linear = self._with_path(network, loss, rows, data)
        return RecurrentObjective(network, loss, rows, linear=linear, **how)

    def resume(self, fitted, module, rows: SequenceRows, form: Form, **how):
        network = fitted.network.with_dropout(self.dropout)
        loss = self.loss_on(rows.answers, form)
        rows, linear = rows.scaled(**module.units), None
        if form.window:
            linear = LinearPath(module.path_start, module.path_basis)
        return RecurrentObjective(network, loss, rows, linear=linear, **how)

    def decay(self, objective):
        if not self.weight_decay or objective.shrunk is None:
            return None
        if self.weight_decay != "auto":
            return lambda state: float(self.weight_decay)
        if not objective.network.linear_path:  # all is still to be learnt
            return None
        decay = NoiseDecay.on(objective)
        return lambda state: decay(state.loss_curve)

    def _with_path(self, network, loss: Loss, rows: SequenceRows, data):
        """The network with its linear path, and where that starts; None: it has none."""
        if not getattr(network, "linear_path", None):  # autoencoders know of none
            return network, None
        if isinstance(network, EmbeddedNetwork):
            return network, bag_start(network, loss, rows)
        stretches = None if rows.per_step else data.stretches(rows.index.cpu().numpy(), STRETCHES)
        linear = linear_start(network, loss, rows, data.form.window, stretches)
        if self.may_pool and network.reads_window and linear.drift > _MOST_DRIFT:
            data = replace(data, form=replace(data.form, window=0))
            return self._with_path(self.describe(data.form), loss, rows, data)
        if linear.basis is not None:
            network = replace(network, path_rank=linear.basis.shape[1])
        return network, linear

    def _units(self, rows: SequenceRows, loss: Loss, network) -> dict[str, torch.Tensor]:
        """Means and deviations of channels and, where the output can be moved, of targets."""
        if self.scaling is None:
            return {}
        wide = torch.promote_types(rows.inputs.X.dtype, rows.dtype)
        units: dict[str, torch.Tensor] = {}
        if rows.inputs.X.is_floating_point():  # else tokens, which are no quantities
            units |= zip(("x_mean", "x_scale"), _units_of(rows.steps, wide, "X"), strict=True)
        movable = network.output_activation == loss.output_activation
        if loss.default_scaling is not None and movable and not rows.reconstructs:
            units |= zip(("y_mean", "y_scale"), _units_of(rows.answers, wide, "y"), strict=True)
        return units


def _units_of(rows: Counted, dtype: torch.dtype, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each column; messages call the rows `name`."""
    mean, deviation = moments(rows)
    return units_in(mean, feature_scales(deviation), rows, deviation, dtype, name)
