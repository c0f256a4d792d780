"""What training sees of rows, whatever they are: batches, and what they come from."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Rows of one step."""

    index: Tensor
    weight: Tensor | None
    keys: Tensor | None
    epoch: int

    def take(self, order: Tensor) -> Batch:
        """The same rows in another order."""
        return Batch(
            self.index.index_select(0, order),
            None if self.weight is None else self.weight[order],
            None if self.keys is None else self.keys[order],
            self.epoch,
        )

    def rows(self, begin: int, end: int) -> Batch:
        """Some of the rows, one behind the other."""
        part = slice(begin, end)
        return Batch(
            self.index[part],
            None if self.weight is None else self.weight[part],
            None if self.keys is None else self.keys[part],
            self.epoch,
        )

    def split(self, size: int) -> list[Batch]:
        """The same rows in parts of at most `size`."""
        if self.weight is None and self.keys is None:
            return [Batch(index, None, None, self.epoch) for index in self.index.split(size)]
        n_parts = -(-len(self.index) // size)
        weights = [None] * n_parts if self.weight is None else self.weight.split(size)
        keys = [None] * n_parts if self.keys is None else self.keys.split(size)
        return [
            Batch(*part, self.epoch)
            for part in zip(self.index.split(size), weights, keys, strict=True)
        ]


class Source(Protocol):
    """Weighted rows of any kind.

    Attributes
    ----------
    index : Tensor of shape (m,), int64
        Which rows of X.
    weight : Tensor of shape (m, 1) or None
        Of mean 1 over all losses. None: all equal.
    keys : Tensor of shape (m,), int64, or None
        Content hashes, where something random depends on the row.
    mean_weight : float
        Mean of the weights as given, before they were divided by it.
    dtype : torch.dtype
        What the network computes in.
    device : torch.device
    losses_per_row : float
        How many losses a row has in the mean: 1, or one for each of its steps.
    """

    index: Tensor
    weight: Tensor | None
    keys: Tensor | None
    mean_weight: float
    dtype: torch.dtype
    device: torch.device
    losses_per_row: float

    def __len__(self) -> int: ...

    def total_weight(self) -> float:
        """Sum of the weights of all losses."""

    def sample(self, n: int) -> Source:
        """At most `n` of the rows, evenly spaced."""

    def arranged(self, order: Tensor, size: int, generator: torch.Generator) -> Tensor:
        """A random order, changed so that batches of `size` cost less."""

    def sorted(self, batch: Batch) -> Batch:
        """A batch in the order that the network wants."""
