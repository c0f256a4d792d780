"""How many steps of each sequence are there, said by lengths or by NaN."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from .arrays import to_array_like


def check_lengths(lengths, n_samples: int, n_steps: int | None, name: str) -> np.ndarray:
    """Lengths as whole numbers within the array, if there is one; the first bad one is named."""
    if lengths is None:
        return np.full(n_samples, n_steps)
    if hasattr(lengths, "toarray"):
        raise TypeError("lengths is sparse; pass it dense, with .toarray().")
    values = to_array_like(lengths, "lengths", n_dims=1)
    values = np.asarray(values)
    if values.shape != (n_samples,):
        raise ValueError(
            f"lengths has shape {values.shape}; expected ({n_samples},), one number for each "
            f"sequence of {name}."
        )
    whole = values.dtype.kind in "iu"
    most = np.iinfo(np.int64).max if n_steps is None else n_steps
    if whole and values.min() >= 1 and values.max() <= most:
        return values.astype(np.int64)
    for i, value in enumerate(values.tolist()):
        if isinstance(value, bool) or not (whole or isinstance(value, Integral)):
            raise ValueError(f"lengths[{i}] is {value!r}; lengths must be whole numbers of steps.")
        if not 1 <= value <= most:
            which = "1 or more" if n_steps is None else f"1 to {n_steps}, the steps of {name}"
            raise ValueError(f"lengths[{i}] is {value}; expected {which}.")
    return values.astype(np.int64)


def lengths_by_nan(X: np.ndarray, name: str) -> np.ndarray | None:
    """Lengths of the rows of X whose last steps are NaN in all channels; None if none are."""
    short = np.flatnonzero(np.isnan(X[:, -1]).all(axis=1))
    if not len(short):
        return None
    lengths = np.full(len(X), X.shape[1])
    there = ~np.isnan(X[short]).all(axis=2)
    lengths[short] = np.where(there.any(axis=1), X.shape[1] - there[:, ::-1].argmax(axis=1), 0)
    if not lengths.all():
        first = int(np.argmin(lengths))
        raise ValueError(
            f"Input {name} contains NaN in all steps of sequence {first}: NaN in every channel "
            "marks steps that are not there, and a sequence needs one at least."
        )
    return lengths
