"""Sequences as other libraries have them, channels first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .arrays import to_array_like


def channels_last(X: ArrayLike | Sequence[ArrayLike]) -> np.ndarray | list[np.ndarray]:
    """Sequences of shape (n_channels, n_steps) as those of (n_steps, n_channels).

    sktime, aeon and tslearn's cousins have channels before steps, the estimators here steps
    before channels, as torch and Keras do. Nothing in an array says which is which.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_channels, n_steps), list of (n_channels, n_steps_i)
        Or a DataFrame of series: a column for each channel, a row for each sequence, and a
        Series or an array in each cell.

    Returns
    -------
    X : ndarray of shape (n_samples, n_steps, n_channels) or list of (n_steps_i, n_channels)
        An array is a view. Of a DataFrame a list.

    Raises
    ------
    ValueError
        If sequences have not two dimensions, or the channels of one are of unequal length.

    Examples
    --------
    >>> import numpy as np
    >>> from skaernn import channels_last
    >>> channels_last(np.zeros((10, 3, 24))).shape
    (10, 24, 3)
    >>> [x.shape for x in channels_last([np.zeros((3, 24)), np.zeros((3, 17))])]
    [(24, 3), (17, 3)]
    """
    if hasattr(X, "columns") and hasattr(X, "iloc"):
        return [_from_cells(X, i) for i in range(len(X))]
    if isinstance(X, (list, tuple)) or (getattr(X, "ndim", 0) == 1 and len(np.shape(X)) == 1):
        return [_transposed(x, f"X[{i}]") for i, x in enumerate(X)]
    array = np.asarray(to_array_like(X))
    if array.ndim != 3:
        raise ValueError(
            f"X has {array.ndim} dimensions; expected (n_samples, n_channels, n_steps), or a list "
            "of (n_channels, n_steps)."
        )
    return array.swapaxes(1, 2)


def _transposed(x: Any, name: str) -> np.ndarray:
    array = np.asarray(to_array_like(x, name))
    if array.ndim != 2:
        raise ValueError(f"{name} has {array.ndim} dimensions; expected (n_channels, n_steps).")
    return array.T


def _from_cells(frame: Any, row: int) -> np.ndarray:
    """The sequence of a row of a frame whose cells are series, (T, C)."""
    cells = [np.asarray(frame.iloc[row, column]) for column in range(frame.shape[1])]
    lengths = [len(cell) if cell.ndim == 1 else None for cell in cells]
    if len(set(lengths)) != 1 or lengths[0] is None:
        shapes = [cell.shape for cell in cells]
        raise ValueError(
            f"Row {row} of X has cells of shapes {shapes[:5]}; the channels of a sequence must be "
            "series of equal length."
        )
    return np.stack(cells, axis=1)
