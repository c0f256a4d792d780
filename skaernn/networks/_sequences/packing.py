"""Sequences of unequal length in one matrix, step after step, without padding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """How B sequences, longest first, lie in a matrix of S rows.

    First comes the first step of all sequences, then the second step of those that have one, and
    so on: the layout of `torch.nn.utils.rnn.PackedSequence`. Row i of a step is sequence i.

    Attributes
    ----------
    batch_sizes : tuple of int
        Number of sequences that have a step t; not increasing.
    """

    batch_sizes: tuple[int, ...]

    @classmethod
    def of_lengths(cls, lengths: Tensor) -> Packing:
        """The packing of sequences of `lengths` (B,), longest first."""
        ended = torch.bincount(lengths, minlength=1)[:-1].cumsum(0)  # before step t
        return cls(tuple((len(lengths) - ended).tolist()))

    @classmethod
    def uniform(cls, n_steps: int, n_rows: int) -> Packing:
        """The packing of `n_rows` sequences of `n_steps` steps each."""
        return cls((n_rows,) * n_steps)

    @property
    def n_steps(self) -> int:
        """Steps T of the longest sequence."""
        return len(self.batch_sizes)

    @property
    def n_rows(self) -> int:
        """Number of sequences B."""
        return self.batch_sizes[0]

    @cached_property
    def size(self) -> int:
        """Number of steps S of all sequences."""
        return sum(self.batch_sizes)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Where each step begins."""
        return tuple(accumulate(self.batch_sizes[:-1], initial=0))

    @property
    def is_uniform(self) -> bool:
        """Whether all sequences are equally long."""
        return self.batch_sizes[-1] == self.batch_sizes[0]

    def steps(self, packed: Tensor) -> tuple[Tensor, ...]:
        """Views (b_t, F) of the steps of a packed matrix (S, F)."""
        return packed.split(self.batch_sizes)

    def lengths(self, device: torch.device | None = None) -> Tensor:
        """Length of each sequence, (B,)."""
        sizes = torch.tensor(self.batch_sizes, device=device)
        return (sizes[None] > torch.arange(self.n_rows, device=device)[:, None]).sum(1)

    def positions(self, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """The sequence and the step, (S,) each, of every row of a packed matrix."""
        lengths = self.lengths(device)
        t, row = torch.nonzero(
            torch.arange(self.n_steps, device=device)[:, None] < lengths[None], as_tuple=True
        )
        return row, t

    def sums(self, steps: Tensor) -> Tensor:
        """Sums (B, F) of packed `steps` (S, F) over each sequence."""
        if self.is_uniform:
            return steps.view(self.n_steps, self.n_rows, -1).sum(0)
        total = steps.new_zeros(self.n_rows, steps.shape[1])
        for step in self.steps(steps):
            total[: len(step)].add_(step)
        return total

    def spread(self, rows: Tensor, out: Tensor | None = None) -> Tensor:
        """What each sequence has (B, F), for each of its steps (S, F)."""
        if out is None:
            out = rows.new_empty(self.size, rows.shape[1])
        if self.is_uniform:
            out.view(self.n_steps, *rows.shape).copy_(rows)
        else:
            torch.index_select(rows, 0, self._owners(rows.device), out=out)
        return out

    def _owners(self, device: torch.device) -> Tensor:
        """The sequence of every row of a packed matrix, found once for a device."""
        kept = self.__dict__.setdefault("_owners_on", {})
        if device not in kept:
            kept[device] = self.positions(device)[0]
        return kept[device]

    def last(self, device: torch.device | None = None) -> Tensor:
        """Where the last step of each sequence lies, (B,)."""
        offsets = torch.tensor(self.offsets, device=device)
        row = torch.arange(self.n_rows, device=device)
        return offsets[self.lengths(device) - 1] + row

    def reversed(self, device: torch.device | None = None) -> Tensor:
        """Permutation (S,) that turns every sequence round; its own inverse."""
        row, t = self.positions(device)
        offsets = torch.tensor(self.offsets, device=device)
        return offsets[self.lengths(device)[row] - 1 - t] + row
