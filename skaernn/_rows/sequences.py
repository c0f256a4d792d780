"""Weighted sequences with their targets, as the recurrent networks train on them.

Large ones are not copied: batches are gathered, packed, converted and scaled one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..networks import Packing
from .matrix import Counted, Matrix, Picked, rows_from
from .selection import Selection

_GROUPED = 16  # batches among which sequences of similar length are looked for
_FEWEST = 4  # batches that are worth it
_CHANCE = 0.2  # what chance adds to a length, at most
_WINDOWS = 1 << 22  # numbers of windows at a time


@dataclass(frozen=True)
class SequenceRows:
    """Weighted sequences and targets.

    Attributes
    ----------
    inputs, targets : Matrix
        All steps and all targets, a row each. One and the same for an autoencoder.
    starts, lengths : Tensor of shape (n,), int64
        Sequence i is ``inputs.X[starts[i] : starts[i] + lengths[i]]``.
    target_starts : Tensor of shape (n,), int64
        Its targets begin there: one, or one a step.
    per_step : bool
    state : Tensor of shape (n, state width) or None
        What the network begins with, in its own units.
    index, weight, keys, mean_weight, dtype
        See `Source` in `batch`; index counts sequences.
    n_steps : int or None
        Steps of each sequence, if all are equally long.
    path : Tensor of shape (n, r + O) or None
        What windows come to, where the network reads these; see `RecurrentPasses`.
    """

    inputs: Matrix
    targets: Matrix
    starts: Tensor
    lengths: Tensor
    target_starts: Tensor
    per_step: bool
    state: Tensor | None
    index: Tensor
    weight: Tensor | None
    keys: Tensor | None
    mean_weight: float
    dtype: torch.dtype
    n_steps: int | None
    path: Tensor | None = None

    @classmethod
    def of(
        cls,
        steps: Tensor,
        starts: Tensor,
        lengths: Tensor,
        targets: Tensor,
        target_starts: Tensor,
        selection: Selection,
        dtype: torch.dtype,
        *,
        per_step: bool,
        state: Tensor | None = None,
    ) -> SequenceRows:
        """The sequences that were selected, unscaled."""
        index, weight, keys = selection
        device = steps.device
        index = torch.from_numpy(index).to(device)
        n_steps = lengths[index]
        relative = None
        if weight.min() != weight.max():
            losses = n_steps if per_step else torch.ones_like(n_steps)
            raw = torch.from_numpy(weight).to(device)
            relative = (raw * (losses.sum() / (raw * losses).sum())).to(dtype)[:, None]
        if torch.equal(starts, target_starts):
            target_starts = starts
        inputs = Matrix(steps)
        return cls(
            inputs=inputs,
            targets=inputs if targets is steps else Matrix(targets),
            starts=starts,
            lengths=lengths,
            target_starts=target_starts,
            per_step=per_step,
            state=state,
            index=index,
            weight=relative,
            keys=None if keys is None else torch.from_numpy(keys.view(np.int64)).to(device),
            mean_weight=float(weight.mean()),
            dtype=dtype,
            n_steps=int(n_steps[0]) if bool((n_steps == n_steps[0]).all()) else None,
        )

    def __len__(self) -> int:
        return self.index.shape[0]  # `len` of a tensor takes ten times as long

    @property
    def device(self) -> torch.device:
        """Where the steps are."""
        return self.inputs.X.device

    @property
    def losses_per_row(self) -> float:
        """Mean number of losses of a sequence."""
        return float(self.lengths[self.index].double().mean()) if self.per_step else 1.0

    @property
    def reconstructs(self) -> bool:
        """Whether the targets are the inputs, in the same units."""
        return self.targets is self.inputs

    def total_weight(self) -> float:
        """Sum of the weights of all losses."""
        losses = self._losses
        return float(losses.sum() if self.weight is None else losses.to(self.dtype) @ self.weight)

    def scaled(self, x_mean=None, x_scale=None, y_mean=None, y_scale=None) -> SequenceRows:
        """The same sequences with other scalings; x's is also that of targets that are inputs."""
        inputs = self.inputs.scaled(x_mean, x_scale)
        targets = inputs if self.reconstructs else self.targets.scaled(y_mean, y_scale)
        return replace(self, inputs=inputs, targets=targets)

    @property
    def steps(self) -> Counted:
        """The valid steps of all sequences."""
        lengths = self.lengths[self.index]
        return self._counted(self.inputs, self.starts, lengths, self.n_steps)

    @property
    def answers(self) -> Counted:
        """The targets of all sequences, or of all their valid steps."""
        each = self.n_steps if self.per_step else 1
        return self._counted(self.targets, self.target_starts, self._losses, each)

    @property
    def _losses(self) -> Tensor:
        """How many targets each sequence has."""
        return self.lengths[self.index] if self.per_step else torch.ones_like(self.index)

    def _counted(
        self, matrix: Matrix, starts: Tensor, counts: Tensor, each: int | None
    ) -> Counted:
        weight = None
        if self.weight is not None:
            weight = self.weight[:, 0].double()
            weight = weight * (counts.sum() / (weight * counts).sum())
        return Counted(matrix, starts[self.index], counts, weight, each)

    def windows(self, index: Tensor, n_steps: int, dtype: torch.dtype) -> Tensor:
        """Scaled steps of sequences, those of each in a row, (m, T C), and a one behind them.

        Cut to `n_steps` T, padded with zeros; those that go on from a state begin at its place.
        """
        begins = 0 if self.state is None else self.state[index, -1:].long()
        step = torch.arange(n_steps, device=self.device) - begins
        starts, lengths = self.starts[index, None], self.lengths[index, None]
        there = ((step >= 0) & (step < lengths)).view(-1, 1)
        where = (starts + step.clamp(min=0).minimum(lengths - 1)).view(-1)
        steps = torch.empty(len(where), self.inputs.X.shape[1], dtype=dtype, device=self.device)
        self.inputs.take(where, steps)
        rows = steps.new_ones(len(index), n_steps * steps.shape[1] + 1)
        rows[:, :-1] = steps.mul_(there).view(len(index), -1)
        return rows

    def with_path(self, basis: Tensor, start: Tensor) -> SequenceRows:
        """The same with what windows come to, in units of the network.

        Parameters
        ----------
        basis : Tensor of shape (T C + 1, r)
            Directions.
        start : Tensor of shape (T C + 1, O)
            The map that training begins with.
        """
        both = torch.cat([basis, start], dim=1).to(device=self.device, dtype=self.dtype)
        n_steps = (len(both) - 1) // self.inputs.X.shape[1]
        path = both.new_zeros(len(self.starts), both.shape[1])
        n_outputs = start.shape[1]
        for index in self.index.split(max(1, _WINDOWS // len(both))):
            found = self.windows(index, n_steps, self.dtype) @ both
            if self.state is not None:  # the sum so far
                found[:, -n_outputs:] += self.state[index, -n_outputs - 1 : -1]
            path[index] = found
        return replace(self, path=path)

    def sample(self, n: int) -> SequenceRows:
        """At most `n` of the sequences, evenly spaced."""
        if len(self) <= n:
            return self
        chosen = torch.arange(n, device=self.device) * (len(self) - 1) // (n - 1)
        return replace(
            self,
            index=self.index[chosen],
            weight=None if self.weight is None else self.weight[chosen],
            keys=None if self.keys is None else self.keys[chosen],
        )

    def arranged(self, order: Tensor, size: int, generator: torch.Generator) -> Tensor:
        """A random order in which batches of `size` have sequences of similar length.

        A batch takes as many steps, one after the other, as its longest sequence. Sorted by
        length within a few batches, which then are shuffled as they are. By length and some
        chance: the same sequences are not to meet in every epoch. Of very few batches, none is
        to be that of the shortest.
        """
        if self.n_steps is not None or len(order) < _FEWEST * size:
            return order
        chance = torch.rand(len(order), generator=generator, device="cpu")
        lengths = self.lengths[self.index].to(order.device) * (1 + _CHANCE * chance)
        batches = [
            batch
            for few in order.split(_GROUPED * size)
            for batch in few[lengths[few].argsort(stable=True)].split(size)
        ]
        n_whole = len(order) // size  # the last one, if it is shorter, stays the last
        shuffled = torch.randperm(n_whole, generator=generator, device="cpu").tolist()
        return torch.cat([batches[i] for i in shuffled] + batches[n_whole:])

    def sorted(self, batch):
        """The batch with its longest sequences first."""
        if self.n_steps is not None:
            return batch
        return batch.take(self.lengths[batch.index].argsort(descending=True, stable=True))

    def packing(self, batch) -> Packing:
        """How the sequences of a sorted batch are packed."""
        if self.n_steps is not None:
            return Packing.uniform(self.n_steps, len(batch.index))
        return Packing.of_lengths(self.lengths[batch.index].cpu())

    def loaded(self) -> SequenceRows:
        """The same, scaled and converted once and for all, if they are small."""
        inputs = self.inputs.loaded(self.dtype)
        targets = inputs if self.reconstructs else self.targets.loaded(self.dtype)
        return replace(self, inputs=inputs, targets=targets)

    def places(self, packing: Packing) -> tuple[Tensor | None, Tensor]:
        """The sequence and the step that each row of a packed batch is, for `take`.

        Where all sequences are equally long, (T, 1) steps are enough.
        """
        if self.n_steps is None:
            return packing.positions(self.device)
        return None, torch.arange(self.n_steps, device=self.device)[:, None]

    def picked(self, batch) -> tuple[Picked, Picked]:
        """Steps and targets of sequences of one length, sequence after sequence.

        Returns
        -------
        steps : Picked
            Of (B T, C) rows; `rows` names the first of each sequence.
        targets : Picked
            Of (B, k) or, one a step, (B T, k) rows; likewise.
        """

        def of(matrix: Matrix, starts: Tensor, per_step: bool) -> Picked:
            where = starts.index_select(0, batch.index)
            if matrix.is_loaded(self.dtype):
                return Picked(matrix.X, where)
            if per_step:
                where = rows_from(where, self.n_steps)
            return Picked(matrix.taken(where, self.dtype))

        return of(self.inputs, self.starts, True), of(
            self.targets, self.target_starts, self.per_step
        )

    def take(
        self, batch, places: tuple[Tensor | None, Tensor], x: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Write the steps of a packed batch into `x` (S, C), and give its targets and weights.

        Returns
        -------
        targets : Tensor of shape (N, k)
            One a sequence (N = B), or one a row of `x` (N = S).
        weight : Tensor of shape (N, 1) or None
        """
        row, t = places

        def steps_from(starts: Tensor) -> Tensor:
            starts = starts.index_select(0, batch.index)
            return (starts + t).view(-1) if row is None else starts[row].add_(t)

        where = steps_from(self.starts)
        self.inputs.take(where, x)
        weight = batch.weight
        if not self.per_step:
            where = self.target_starts.index_select(0, batch.index)
        else:
            if self.target_starts is not self.starts:
                where = steps_from(self.target_starts)
            if weight is not None:
                weight = weight.repeat(len(t), 1) if row is None else weight[row]
        if self.reconstructs:
            return x, weight
        values = self.targets.X
        if not values.is_floating_point():  # classes
            return values.index_select(0, where), weight
        targets = torch.empty(len(where), values.shape[1], dtype=self.dtype, device=self.device)
        self.targets.take(where, targets)
        return targets, weight
