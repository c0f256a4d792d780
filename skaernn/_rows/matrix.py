"""Rows of a matrix to gather, scale and convert, and those of them that count."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

_LOADED = 1 << 22  # numbers that are scaled once and not batch by batch


class Picked(NamedTuple):
    """Rows of a matrix in network units: those that `rows` names, or all where that is None."""

    numbers: Tensor
    rows: Tensor | None = None


@dataclass(frozen=True)
class Matrix:
    """Rows to gather, and how they are scaled.

    Attributes
    ----------
    X : Tensor of shape (n, F)
    mean, scale : Tensor of shape (F,) or None
        Scaled rows are (X - mean) / scale.
    """

    X: Tensor
    mean: Tensor | None = None
    scale: Tensor | None = None

    def scaled(self, mean: Tensor | None, scale: Tensor | None) -> Matrix:
        """The same rows with another scaling, which may come from another device."""
        if mean is not None:
            mean, scale = mean.to(self.X.device), scale.to(self.X.device)
        return Matrix(self.X, mean, scale)

    def take(self, index: Tensor, out: Tensor) -> None:
        """Gather rows `index` into `out` (B, F), scaled and converted."""
        X, mean, scale = self.X, self.mean, self.scale
        if mean is None and X.dtype == out.dtype:
            torch.index_select(X, 0, index, out=out)
            return
        rows = X.index_select(0, index)
        if mean is not None:
            if mean.dtype == rows.dtype:
                rows.sub_(mean).div_(scale)
            else:  # X float32, network float64
                rows = (rows - mean) / scale
        out.copy_(rows)

    def taken(self, index: Tensor, dtype: torch.dtype) -> Tensor:
        """Rows `index` in network units; classes become numbers."""
        if self.mean is None:
            return self.X.index_select(0, index).to(dtype)
        out = torch.empty(index.shape[0], self.X.shape[1], dtype=dtype, device=self.X.device)
        self.take(index, out)
        return out

    def is_loaded(self, dtype: torch.dtype) -> bool:
        """Whether rows can be read where they lie."""
        return self.mean is None and self.X.dtype == dtype and self.X.is_contiguous()

    def loaded(self, dtype: torch.dtype) -> Matrix:
        """The same in network units, if it is small; classes have none."""
        too_large = self.X.numel() > _LOADED
        if too_large or not self.X.is_floating_point() or self.is_loaded(dtype):
            return self
        out = torch.empty(self.X.shape, dtype=dtype, device=self.X.device)
        self.take(torch.arange(len(out), device=out.device), out)
        return Matrix(out)


@dataclass(frozen=True)
class Counted:
    """Rows of a matrix that belong to sequences, weighted as these are: for moments.

    Attributes
    ----------
    matrix : Matrix
    starts, counts : Tensor of shape (m,), int64
        Those of sequence i are ``starts[i] : starts[i] + counts[i]``.
    weight : Tensor of shape (m,) or None
        Of each sequence; mean 1 over all rows.
    each : int or None
        The counts, if all are equal.
    """

    matrix: Matrix
    starts: Tensor
    counts: Tensor
    weight: Tensor | None
    each: int | None = None

    @property
    def X(self) -> Tensor:
        """The whole matrix."""
        return self.matrix.X

    def __len__(self) -> int:
        return self._total

    @cached_property
    def _total(self) -> int:
        return int(self.counts.sum()) if self.each is None else len(self.counts) * self.each

    def blocks(self, dtype: torch.dtype, size: int = 1 << 20):
        """Yield (rows (B, F), weights (B, 1) or 1.0) of everything, scaled, in `dtype`."""
        n = max(1, size * len(self.counts) // (len(self) * self.X.shape[1]))
        for start in range(0, len(self.counts), n):
            counts = self.counts[start : start + n]
            where = _places(self.starts[start : start + n], counts, self.each)
            rows = torch.empty(where.shape[0], self.X.shape[1], dtype=dtype, device=self.X.device)
            self.matrix.take(where, rows)
            weight = 1.0
            if self.weight is not None:
                weight = self.weight[start : start + n].repeat_interleave(counts)
                weight = weight[:, None].to(dtype)
            yield rows, weight


def repeated(rows: Any, dtype: torch.dtype) -> Callable[[], Iterable[tuple[Tensor, Any]]]:
    """What gives the blocks of `rows` again and again.

    One that is all there is, is gathered once; it is not to be written to.
    """
    first = next(rows.blocks(dtype))
    if first[0].shape[0] == len(rows):
        return lambda: (first,)
    return lambda: rows.blocks(dtype)


def weighted(block: Tensor, weight: Tensor | float) -> Tensor:
    """A block times its weights, which are a number only where all are one."""
    return block if isinstance(weight, float) else weight * block


def rows_from(starts: Tensor, n: int) -> Tensor:
    """Where `n` rows from each of `starts` on are."""
    return (starts[:, None] + torch.arange(n, device=starts.device)).view(-1)


def _places(starts: Tensor, counts: Tensor, each: int | None) -> Tensor:
    """Where the rows of sequences are, sequence after sequence."""
    if each is not None:
        return starts if each == 1 else rows_from(starts, each)
    begins = counts.cumsum(0) - counts
    t = torch.arange(int(counts.sum()), device=counts.device)
    return t + (starts - begins).repeat_interleave(counts)
