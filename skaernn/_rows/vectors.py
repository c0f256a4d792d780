"""Rows of a matrix as the autoencoders train on them.

Large X is not copied: batches are gathered, converted and scaled one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from .content import MatrixContent
from .matrix import Matrix, Picked
from .selection import Selection, select

_BLOCK = 1 << 20  # elements handled at a time


@dataclass(frozen=True)
class Rows:
    """Weighted rows of a matrix, in network units.

    Attributes
    ----------
    X : Tensor of shape (n, F)
        The user's matrix, on the device, in its own dtype.
    index : Tensor of shape (m,), int64
        Which rows of X.
    weight : Tensor of shape (m, 1) or None
        Mean 1. None: all equal.
    mean_weight : float
        Mean of the weights as given, before they were divided by it.
    dtype : torch.dtype
        What the network computes in.
    mean, scale : Tensor of shape (F,) and (F,) or (), or None
        Scaled rows are (X - mean) / scale.
    keys : Tensor of shape (m,), int64, or None
        Content hashes, where something random depends on the row.
    """

    X: Tensor
    index: Tensor
    weight: Tensor | None
    mean_weight: float
    dtype: torch.dtype
    mean: Tensor | None = None
    scale: Tensor | None = None
    keys: Tensor | None = None

    losses_per_row = 1.0

    @classmethod
    def of(cls, X: Tensor, selection: Selection, dtype: torch.dtype) -> Rows:
        """The rows of `X` that were selected, unscaled."""
        index, weight, keys = selection
        mean = float(weight.mean())
        relative = None
        if weight.min() != weight.max():
            relative = torch.from_numpy(weight / mean).to(dtype)[:, None].to(X.device)
        return cls(
            X=X,
            index=torch.from_numpy(index).to(X.device),
            weight=relative,
            mean_weight=mean,
            dtype=dtype,
            keys=None if keys is None else torch.from_numpy(keys.view(np.int64)).to(X.device),
        )

    def __len__(self) -> int:
        return self.index.shape[0]  # `len` of a tensor takes ten times as long

    @property
    def device(self) -> torch.device:
        """Where X is."""
        return self.X.device

    def total_weight(self) -> float:
        """Sum of the weights."""
        return len(self) if self.weight is None else float(self.weight.sum())

    def arranged(self, order: Tensor, size: int, generator: torch.Generator) -> Tensor:
        """Any order is as good as another."""
        return order

    def sorted(self, batch):
        """Any order is as good as another."""
        return batch

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.X.shape[1]

    def scaled(self, mean: Tensor | None, scale: Tensor | None) -> Rows:
        """The same rows with another scaling, which may come from another device."""
        if mean is not None:
            mean, scale = mean.to(self.X.device), scale.to(self.X.device)
        return replace(self, mean=mean, scale=scale)

    def loaded(self) -> Rows:
        """The same, scaled and converted once and for all, if they are small."""
        matrix = self._matrix.loaded(self.dtype)
        return replace(self, X=matrix.X, mean=matrix.mean, scale=matrix.scale)

    def take(self, index: Tensor, out: Tensor) -> None:
        """Gather rows `index` of X into `out` (B, F), scaled and converted."""
        self._matrix.take(index, out)

    def taken(self, index: Tensor) -> Tensor:
        """Rows `index` of X, scaled and converted, (B, F)."""
        return self._matrix.taken(index, self.dtype)

    def picked(self, index: Tensor) -> Picked:
        """The same without gathering them, where they can be read as they lie."""
        if self._matrix.is_loaded(self.dtype):
            return Picked(self.X, index)
        return Picked(self.taken(index))

    @cached_property
    def _matrix(self) -> Matrix:
        return Matrix(self.X, self.mean, self.scale)

    def blocks(self, dtype: torch.dtype, size: int | None = None):
        """Yield (rows (B, F), weights (B, 1) or 1.0) of everything, scaled, in `dtype`."""
        size = size or max(1, _BLOCK // max(1, self.n_features))
        for start in range(0, len(self), size):
            index = self.index[start : start + size]
            rows = torch.empty(index.shape[0], self.n_features, dtype=dtype, device=self.X.device)
            self.take(index, rows)
            weight = 1.0 if self.weight is None else self.weight[start : start + size].to(dtype)
            yield rows, weight

    def sample(self, n: int) -> Rows:
        """At most `n` of the rows, evenly spaced."""
        if len(self) <= n:
            return self
        chosen = torch.arange(n, device=self.index.device) * (len(self) - 1) // (n - 1)
        return replace(
            self,
            index=self.index[chosen],
            weight=None if self.weight is None else self.weight[chosen],
            keys=None if self.keys is None else self.keys[chosen],
        )


def make_rows(
    X: np.ndarray,
    tensor: Tensor,
    sample_weight: np.ndarray | None,
    dtype: torch.dtype,
    **how,
) -> list[Rows]:
    """Rows to train on and, if asked for, rows to validate on; see `select` for how.

    Parameters
    ----------
    X : ndarray of shape (n, F)
        Checked, finite.
    tensor : Tensor of shape (n, F)
        The same on the device.
    sample_weight : ndarray of shape (n,) or None
    dtype : torch.dtype
        What the network computes in.
    """
    selections = select(MatrixContent(X), sample_weight, **how)
    return [Rows.of(tensor, selection, dtype) for selection in selections]
