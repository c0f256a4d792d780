"""The base of the estimators of sequences: how these are read, to be fitted and to be run."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import Tags

from .._core.compat import Interval, StrOptions
from .._core.warn import warn_user
from .._inputs.arrays import check_fits_dtype, to_tensor
from .._inputs.doubts import warn_of_doubts
from .._inputs.sequences import Form, Sequences, check_sequences
from .._inputs.tokens import as_tokens
from .._rows.selection import Selection
from .._rows.sequences import SequenceRows
from ..networks import CELLS
from .base import NeuralEstimator


class SequenceEstimator(NeuralEstimator):
    """Estimators of sequences: how these are read, to be fitted and to be run."""

    embedding_size: int | None = None  # a parameter of some

    _parameter_constraints: dict = {
        **NeuralEstimator._parameter_constraints,
        "cell": [StrOptions(set(CELLS)), callable],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, 1000, closed="both")],  # beyond is a slip
        "bidirectional": ["boolean"],
        "activation": [StrOptions({"tanh", "relu"})],
        "n_channels": [Interval(Integral, 1, None, closed="left")],
        "scaling": [StrOptions({"standard"}), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _check_cell(self) -> None:
        """Refuse what a cell of the user's own cannot have."""
        if not callable(self.cell):
            return
        if isinstance(self.cell, torch.nn.Module):
            raise TypeError(
                "cell must be a function that makes modules, got a torch.nn.Module: return one "
                "from cell(n_inputs, hidden_size)."
            )
        defaults = {"n_layers": 1, "bidirectional": False, "activation": "tanh"}
        for name, default in defaults.items():
            if getattr(self, name) != default:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is not possible with a cell of your own, "
                    f"which has all its layers in it: leave {name} at {default!r}."
                )

    def _layers(self) -> dict:
        """What the parameters say of recurrent layers, as descriptions of networks want it."""
        return {
            "cell": self.cell,
            "n_layers": int(self.n_layers),
            "bidirectional": bool(self.bidirectional),
            "activation": self.activation,
            "dropout": float(self.dropout),
        }

    def _read_sequences(
        self,
        X: ArrayLike,
        lengths: ArrayLike | None,
        form: Form | None,
        scaling: str | None,
        suffix: str,
    ) -> Sequences:
        """Check X and lengths as `fit` gets them."""
        sequences = check_sequences(self, X, lengths, form=form, name=f"X{suffix}")
        if self.embedding_size is not None:
            known = None if form is None else form.known
            sequences = as_tokens(sequences, known, f"X{suffix}")
        if form is None:
            embeds = "embedding_size" in self._parameter_constraints
            warn_of_doubts(sequences, lengths, scaling, f"X{suffix}", embeds=embeds)
        if self.dtype == "float32" and sequences.steps.dtype == np.float64:
            check_fits_dtype(sequences.valid(), torch.float32, f"X{suffix}")
        return sequences

    def _sequences_to_run(self, X: ArrayLike, lengths: ArrayLike | None) -> Sequences:
        """Check X and lengths as a fitted network gets them."""
        self._check_is_fitted()
        sequences = check_sequences(self, X, lengths, form=self._form)
        if self._form.known is not None:
            sequences = as_tokens(sequences, self._form.known, "X")
        if lengths is None and self._form.with_lengths and _looks_padded(sequences):
            warn_user(
                f"{type(self).__name__} was fitted with lengths and is used without them, on "
                "sequences some of which end in zeros: if these are padding, they are read as "
                "steps. Pass lengths here too, or mark padding by NaN in all channels. (Without "
                "metadata routing, cross_val_score passes lengths to fit and to nothing else.)",
            )
        return sequences


def rows_of(
    sequences: Sequences,
    selections: list[Selection],
    device: torch.device,
    dtype: torch.dtype,
    values: np.ndarray | None = None,
    begins: Any = None,
    **how: Any,
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


def _looks_padded(sequences: Sequences) -> bool:
    """Whether some sequences of an array end in zeros, and none before the array does."""
    if sequences.n_steps is None or (sequences.lengths < sequences.n_steps).any():
        return False
    last = sequences.steps[sequences.starts + sequences.lengths - 1]
    return not last.any(axis=1).all()
