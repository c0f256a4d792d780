"""Where a fit's rows come from: which rows of X, how much each counts, in which order.

A fit of up to `MERGED_ROWS` rows depends on the weighted set of its rows and on nothing else: rows
of weight zero are dropped, equal rows are merged and their weights added, and what is left is
sorted by a hash of its content. Validation rows are chosen by the same hash, so that equal rows
stay on one side. X itself is never copied: batches are gathered, converted and scaled one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .networks import mix

MERGED_ROWS = 10_000
_BLOCK = 1 << 20  # elements hashed at a time


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

    def __len__(self) -> int:
        return len(self.index)

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.X.shape[1]

    def scaled(self, mean: Tensor | None, scale: Tensor | None) -> Rows:
        """The same rows with another scaling, which may come from another device."""
        if mean is not None:
            mean, scale = mean.to(self.X.device), scale.to(self.X.device)
        return replace(self, mean=mean, scale=scale)

    def take(self, index: Tensor, out: Tensor) -> None:
        """Gather rows `index` of X into `out` (B, F), scaled and converted."""
        if self.mean is None and self.X.dtype == out.dtype:
            torch.index_select(self.X, 0, index, out=out)
            return
        rows = self.X.index_select(0, index)
        if self.mean is not None:
            if self.mean.dtype == rows.dtype:
                rows.sub_(self.mean).div_(self.scale)
            else:  # X float32, network float64
                rows = (rows - self.mean) / self.scale
        out.copy_(rows)

    def blocks(self, dtype: torch.dtype, size: int | None = None):
        """Yield (rows (B, F), weights (B, 1) or 1.0) of everything, scaled, in `dtype`."""
        size = size or max(1, _BLOCK // max(1, self.n_features))
        for start in range(0, len(self), size):
            index = self.index[start : start + size]
            rows = torch.empty(len(index), self.n_features, dtype=dtype, device=self.X.device)
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


def content_hash(X: np.ndarray, index: np.ndarray | None = None) -> np.ndarray:
    """A 64-bit hash of the bytes of each row of `X` (n, F), or of those that `index` names.

    -0.0 is read as 0.0.
    """
    n_samples, n_features = len(X) if index is None else len(index), X.shape[1]
    n_bytes = n_features * X.itemsize
    word = np.uint64 if n_bytes % 8 == 0 else np.uint32
    n_words = n_bytes // word().itemsize
    columns = np.random.default_rng(n_words).integers(2**63, size=n_words, dtype=np.uint64)
    hashes = np.empty(n_samples, dtype=np.uint64)
    size = max(1, _BLOCK // max(1, n_features))
    for start in range(0, n_samples, size):
        chosen = slice(start, start + size)
        block = X[chosen if index is None else index[chosen]] + X.dtype.type(0)
        words = np.ascontiguousarray(block).view(word)
        bits = words + columns
        # SplitMix64's finaliser, whole: floats of small integers are mostly zeros
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            bits ^= bits >> np.uint64(shift)
            bits *= np.uint64(factor)
        bits ^= bits >> np.uint64(31)
        hashes[start : start + size] = bits.sum(axis=1, dtype=np.uint64)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(31)
    return hashes


def _merge(X: np.ndarray, index: np.ndarray, weight: np.ndarray):
    """Sort rows by content and make one of equal ones: (index, weight).

    By a hash of sixteen columns, then, where those agree, of all. Weights of equal rows are added
    from the smallest up, whatever order they came in.
    """
    some = X[:, :: max(1, X.shape[1] // 16)]
    first, second = content_hash(some, index), np.zeros(len(index), dtype=np.uint64)
    order = np.argsort(first)
    equal = first[order[1:]] == first[order[:-1]]
    tied = order[np.flatnonzero(np.r_[equal, False] | np.r_[False, equal])]
    if len(tied):
        second[tied] = content_hash(X, index[tied])
    order = np.lexsort((weight, second, first))
    ranks = np.stack([first, second], axis=1)[order]
    same = _same_as_next(X, index[order], (ranks[1:] == ranks[:-1]).all(axis=1))
    if same is None:  # different rows of one hash: sort by content as well
        order = np.lexsort((weight, *X[index].T, second, first))
        same = (X[index[order][1:]] == X[index[order][:-1]]).all(axis=1)
    index, weight = index[order], weight[order]
    starts = np.flatnonzero(np.r_[True, ~same])
    return np.minimum.reduceat(index, starts), np.add.reduceat(weight, starts)


def _same_as_next(X: np.ndarray, index: np.ndarray, same: np.ndarray) -> np.ndarray | None:
    """`same`, if the rows `index` that it marks do equal the next; None if a hash misled it."""
    candidates = np.flatnonzero(same)
    size = max(1, _BLOCK // X.shape[1])
    for start in range(0, len(candidates), size):
        block = candidates[start : start + size]
        if (X[index[block]] != X[index[block + 1]]).any():
            return None
    return same


def make_rows(
    X: np.ndarray,
    tensor: Tensor,
    sample_weight: np.ndarray | None,
    dtype: torch.dtype,
    *,
    keyed: bool = False,
    batch_size: int = 0,
    shuffle: bool = True,
    validation: tuple[float, int] | None = None,
) -> tuple[Rows, Rows | None]:
    """Rows to train on and, if asked for, rows to validate on.

    Parameters
    ----------
    X : ndarray of shape (n, F)
        Checked, finite.
    tensor : Tensor of shape (n, F)
        The same on the device.
    sample_weight : ndarray of shape (n,) or None
        Checked: finite, not negative, not all zero.
    dtype : torch.dtype
        What the network computes in.
    keyed : bool
        Whether content hashes are needed afterwards.
    batch_size : int
        Rows that fit into one batch are merged and sorted whatever their number.
    shuffle : bool
        False: where there are several batches, they follow the order of X.
    validation : (fraction, seed) or None
        Share of the total weight to set aside.

    Raises
    ------
    ValueError
        If there is nothing to set aside or nothing left.
    """
    index = np.arange(len(X))
    weight = np.ones(len(X)) if sample_weight is None else sample_weight.astype(np.float64)
    if not weight.all():
        index, weight = index[weight > 0], weight[weight > 0]
    if len(index) <= max(MERGED_ROWS, batch_size):
        index, weight = _merge(X, index, weight)
    hashes = content_hash(X, index) if keyed or validation else None

    def rows(chosen: np.ndarray) -> Rows:
        if not shuffle and len(chosen) > batch_size:
            chosen = chosen[np.argsort(index[chosen])]
        part = weight[chosen]
        mean = float(part.mean())
        equal = part.min() == part.max()
        device = tensor.device
        return Rows(
            X=tensor,
            index=torch.from_numpy(index[chosen]).to(device),
            weight=None if equal else torch.from_numpy(part / mean).to(dtype)[:, None].to(device),
            mean_weight=mean,
            dtype=dtype,
            keys=torch.from_numpy(hashes[chosen].view(np.int64)).to(device) if keyed else None,
        )

    if validation is None:
        return rows(np.arange(len(index))), None
    held_out = _choose_validation(hashes, weight, *validation)
    return rows(np.flatnonzero(~held_out)), rows(np.flatnonzero(held_out))


def _choose_validation(hashes, weight, fraction: float, seed: int) -> np.ndarray:
    """Mask of the rows with the smallest hash of (row, seed), up to `fraction` of the weight."""
    ranks = (hashes ^ np.uint64(mix(seed))) * np.uint64(0x94D049BB133111EB)
    ranks ^= ranks >> np.uint64(32)
    order = np.argsort(ranks, kind="stable")
    reached = np.cumsum(weight[order]) >= fraction * weight.sum() * (1 - 1e-12)
    threshold = ranks[order[int(np.argmax(reached))]]
    held_out = ranks <= threshold
    if held_out.all():
        n_distinct = len(np.unique(hashes))
        if n_distinct == 1:
            raise ValueError(
                "The validation set is too small: n_samples=1 distinct row cannot be split into "
                "training and validation rows. Set early_stopping=False or pass more rows."
            )
        held_out = ranks < threshold
    return held_out
