"""What the fits of all recurrent networks have in common, whatever they are to learn."""

from __future__ import annotations

from abc import abstractmethod
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from .._core.compat import Interval, StrOptions
from .._core.warn import warn_user
from .._inputs.arrays import check_fits_dtype, check_memory, to_tensor
from .._inputs.sequences import Sequences, check_sequences
from .._losses.loss import Loss
from .._rows.matrix import Counted
from .._rows.moments import feature_scales, moments
from .._rows.sequences import SequenceRows
from .._training.sequences import RecurrentObjective
from ..networks import CELLS, RecurrentNetwork, SequenceAutoencoder

RECURRENT_CONSTRAINTS: dict = {
    "cell": [StrOptions(set(CELLS))],
    "hidden_size": [Interval(Integral, 1, None, closed="left")],
    "n_layers": [Interval(Integral, 1, 1000, closed="both")],  # beyond is a slip
    "bidirectional": ["boolean"],
    "activation": [StrOptions({"tanh", "relu"})],
    "n_channels": [Interval(Integral, 1, None, closed="left")],
    "scaling": [StrOptions({"standard"}), None],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
}


class RecurrentFittingMixin:
    """From sequences to the objective of a recurrent network on them."""

    _largest_advice = "a smaller hidden_size or n_layers"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    @abstractmethod
    def _loss_on(self, answers: Counted) -> Loss:
        """The loss that the parameters stand for, on `answers`."""

    @abstractmethod
    def _network_for(self, n_channels: int) -> RecurrentNetwork | SequenceAutoencoder:
        """The network that the parameters stand for."""

    def _read_sequences(self, X, lengths, *, reset: bool, suffix: str) -> Sequences:
        """Check X and lengths as `fit` gets them."""
        sequences = check_sequences(self, X, lengths, reset=reset, name=f"X{suffix}")
        if self.dtype == "float32" and sequences.steps.dtype == np.float64:
            check_fits_dtype(sequences.valid(), torch.float32, f"X{suffix}")
        if reset:
            self._fitted_with_lengths = False
        if lengths is not None and not suffix and sequences.n_steps is not None:
            self._fitted_with_lengths |= int(sequences.lengths.min()) < sequences.n_steps
        return sequences

    def _rows_of(
        self, sequences: Sequences, selections, device, dtype, values=None, begins=None, **how
    ) -> list[SequenceRows]:
        """Selected sequences on the device, with targets or as their own.

        Parameters
        ----------
        sequences : Sequences
        selections : list of Selection
        device : torch.device
        dtype : torch.dtype
        values, begins : ndarray or None
            Targets, and where those of a sequence begin. None: the sequences themselves.
        **how
            See `SequenceRows.of`.
        """
        parts = (sequences.steps, sequences.starts, sequences.lengths)
        steps, starts, lengths = (to_tensor(part, device) for part in parts)
        targets, target_starts = steps, starts
        if values is not None:
            targets, target_starts = (to_tensor(part, device) for part in (values, begins))
        return [
            SequenceRows.of(steps, starts, lengths, targets, target_starts, s, dtype, **how)
            for s in selections
        ]

    def _largest_product(self, data, dtype, device):
        network = self._network_for(self._channels)
        check_memory(network.layout.size, dtype, device, network.widths, self._largest_advice)
        return network.largest_product

    def _objective(self, rows, *, resume, batch_size, seed):
        loss = self._loss_on(rows.answers)
        if resume:
            network = self._network.with_dropout(float(self.dropout))
            rows = rows.scaled(**self.module_.units)
        else:
            network = self._network_for(self._channels)
            rows = rows.scaled(**self._units(rows, loss, network))
        return RecurrentObjective(
            network,
            loss,
            rows,
            alpha=self.alpha,
            batch_size=batch_size,
            shuffle=self.shuffle,
            seed=seed,
        )

    @property
    def _scaling(self) -> str | None:
        """What the parameter `scaling` comes down to."""
        return self.scaling

    def _units(self, rows: SequenceRows, loss: Loss, network) -> dict:
        """Means and deviations of channels and, where the output can be moved, of targets."""
        if self._scaling is None:
            return {}
        wide = torch.promote_types(rows.inputs.X.dtype, rows.dtype)
        mean, deviation = moments(rows.steps)
        units = {"x_mean": mean.to(wide), "x_scale": feature_scales(deviation).to(wide)}
        movable = network.output_activation == loss.output_activation
        if loss.default_scaling is not None and movable and not rows.reconstructs:
            mean, deviation = moments(rows.answers)
            units |= {"y_mean": mean.to(wide), "y_scale": feature_scales(deviation).to(wide)}
        return units

    def _sequences_to_run(self, X, lengths) -> Sequences:
        """Check X and lengths as a fitted network gets them."""
        check_is_fitted(self)
        sequences = check_sequences(self, X, lengths, reset=False)
        if lengths is None and self._fitted_with_lengths and _looks_padded(sequences):
            warn_user(
                f"{type(self).__name__} was fitted with lengths and is used without them, on "
                "sequences some of which end in zeros: if these are padding, they are read as "
                "steps. Pass lengths here too, or mark padding by NaN in all channels. (Without "
                "metadata routing, cross_val_score passes lengths to fit and to nothing else.)",
            )
        return sequences


def _looks_padded(sequences: Sequences) -> bool:
    """Whether some sequences of an array end in zeros, and none before the array does."""
    if sequences.n_steps is None or (sequences.lengths < sequences.n_steps).any():
        return False
    last = sequences.steps[sequences.starts + sequences.lengths - 1]
    return not last.any(axis=1).all()
