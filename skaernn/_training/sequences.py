"""The objective of recurrent networks: targets of sequences, or of their steps.

The network may also be an autoencoder of sequences, whose targets are the inputs.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .._losses.loss import Gradient, Loss, before
from .._rows.batch import Batch
from .._rows.matrix import Picked
from .._rows.moments import CODE_SAMPLE, moments, weighted_moments
from .._rows.sequences import SequenceRows
from ..networks import (
    EmbeddedNetwork,
    OwnRecurrentNetwork,
    Packing,
    RecordedPasses,
    RecurrentModule,
    RecurrentNetwork,
    SequenceAutoencoder,
    SequenceAutoencoderModule,
)
from .compiled import EVALUATED, Program, knows
from .linear import LinearPath
from .objective import RowsObjective, Workspace

_MOST_TRAINED = 1 << 24  # numbers in the states of all steps that go through the network at once
_MOST_EVALUATED = 1 << 22
_NEXT_TO_NOTHING = 1e-3  # of a loss in standard units


class RecurrentObjective(RowsObjective):
    """Prediction of targets, or reconstruction, through hand-written passes.

    Parameters
    ----------
    network : RecurrentNetwork, OwnRecurrentNetwork, EmbeddedNetwork or SequenceAutoencoder
    loss : Loss
    rows : SequenceRows
    alpha, batch_size, shuffle, seed
        See `RowsObjective`.
    linear : LinearPath or None
        The affine map beside the network, and where it starts.

    Attributes
    ----------
    units : dict of Tensor or None
        What inputs and targets are scaled by.
    """

    def __init__(
        self,
        network: RecurrentNetwork | OwnRecurrentNetwork | EmbeddedNetwork | SequenceAutoencoder,
        loss: Loss,
        rows: SequenceRows,
        *,
        alpha: float = 0.0,
        batch_size: int = 200,
        shuffle: bool = True,
        seed: int = 0,
        linear: LinearPath | None = None,
    ):
        super().__init__(
            rows,
            n_parameters=network.layout.size,
            noisy=network.dropout > 0,
            penalised=network.penalised if alpha else None,
            alpha=alpha,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
        )
        self.network, self.loss, self.linear = network, loss, linear
        self.units = {
            "x_mean": rows.inputs.mean,
            "x_scale": rows.inputs.scale,
            "y_mean": rows.targets.mean,
            "y_scale": rows.targets.scale,
        }
        self._window = None
        self.starts_well = linear is not None
        if self.starts_well:  # next to nothing may be left to learn beside a linear model
            self.negligible = _NEXT_TO_NOTHING
        if linear is not None and linear.basis is not None:
            self._window = {"path_basis": linear.basis, "path_start": linear.weight}
            rows = rows.with_path(linear.basis, linear.weight)
        self._loaded = rows.loaded()
        longest = rows.n_steps or int(rows.lengths[rows.index].max())
        self._width = network.states_per_step
        width = longest * self._width
        self.most_rows = max(1, _MOST_TRAINED // width)
        self.most_evaluated = max(1, min(1024, _MOST_EVALUATED // width))
        self.shrunk = None
        if not isinstance(network, SequenceAutoencoder):
            self.shrunk = network.shrunk.to(device=rows.device, dtype=rows.dtype)
        self._compiled = self._compiles()

    def on(self, rows: SequenceRows) -> RecurrentObjective:
        """The same network and loss on other, unscaled rows, to be evaluated."""
        rows = rows.scaled(**self.units)
        if rows.state is not None:  # the last ones are of a window that may not be read
            width = sum(self.network.state_widths)
            rows = replace(rows, state=rows.state[:, :width].contiguous())
        return RecurrentObjective(self.network, self.loss, rows, linear=self.linear)

    def start(self, generator: torch.Generator) -> Tensor:
        """Random parameters; the output begins at what all targets have in common."""
        theta = self.zeros()
        if self.linear is not None:
            self.network.start(theta[0], generator)
            if self._window is None:
                self.network.start_path(theta[0], self.linear.weight)
            return theta
        mean, deviation = moments(self.rows.answers)
        if self.network.output_activation == self.loss.output_activation:
            bias = self.loss.link(mean, deviation)
        else:
            bias = before(self.network.output_activation, mean)
        self.network.start(theta[0], generator, bias)
        return theta

    def pack(self, module: RecurrentModule | SequenceAutoencoderModule) -> Tensor:
        """The parameters of a fitted module."""
        theta = self.zeros()
        self.network.pack(module, theta[0])
        return theta

    def module(self, theta: Tensor) -> RecurrentModule | SequenceAutoencoderModule:
        """The module of one model's parameters (P,), between the units of X and y."""
        return self.network.module(theta, **self.units, **(self._window or {}))

    @property
    def n_numbers(self):
        """See `RowsObjective`; of batches of unequal lengths, in the mean."""
        n, rows = self.at_once, self.rows
        n_steps = int(rows.lengths[rows.index].sum()) * n // len(rows)
        return n * self.network.numbers_per_row + n_steps * self.network.numbers_per_step

    def shape(self, batch: Batch) -> Packing:
        """See `RowsObjective`."""
        return self.rows.packing(batch)

    def share(self, shape: Packing) -> float:
        """See `RowsObjective`."""
        return shape.size * self._width / _MOST_TRAINED

    def place(self, shape: Packing):
        """One for all batches of unequal lengths, whose workspaces share memory."""
        return shape if shape.is_uniform else None

    def memory(self, theta, grad):
        """See `RowsObjective`."""
        return self.network.bound(theta, grad)

    @property
    def _linear_output(self) -> bool:
        return self.network.output_activation == self.loss.output_activation

    def _compiles(self) -> bool:
        """Whether compiled kernels do all that is wanted, and are faster."""
        network, rows = self.network, self.rows
        return (
            isinstance(network, RecurrentNetwork)
            and rows.n_steps is not None
            and rows.state is None
            and self.batch_size <= self.most_rows
            and knows(self.loss)
            and network.compiles(linear_output=self._linear_output)
            and network.recorded_pays(rows.n_steps, self.batch_size, rows.dtype, rows.device)
        )

    def _recorded(self, theta, grad):
        """Passes over batches, and the loss."""
        if not self._compiled:
            return None
        network, rows = self.network, self._loaded
        n_rows = self.batch_size if grad is not None else min(EVALUATED, len(rows))
        bound = network.bound(theta, grad)
        passes = network.recorded(bound, rows.n_steps, n_rows, linear_output=self._linear_output)
        return Program(passes, theta, _Inputs(passes, rows, n_rows), self.loss)

    def workspace(self, memory, shape, *, noisy):
        """See `RowsObjective`."""
        network = self.network
        if not noisy and network.dropout:
            network = network.with_dropout(0.0)
        passes = network.passes(memory, shape, linear_output=self._linear_output)
        return _RecurrentWorkspace(passes, self.loss, self._loaded, self.seed)


class _Inputs:
    """Steps and targets of sequences of one length, as programs read them; see `Inputs`."""

    def __init__(self, passes: RecordedPasses, rows: SequenceRows, n_rows: int):
        self.n_rows, self._rows = n_rows, rows
        self.target = passes.x.new_empty(1, passes.output.shape[1], rows.targets.X.shape[1])
        self.memory = [passes.x, self.target]
        if passes.path is not None:
            self.memory.append(passes.path)

    def __call__(self, batch: Batch) -> list[Picked]:
        picked = list(self._rows.picked(batch))
        if self._rows.path is not None:
            picked.append(Picked(self._rows.path, batch.index))
        return picked

    def other_side(self, batch: Batch, inputs: list[Picked]) -> None:
        """Nothing is drawn."""


class _RecurrentWorkspace(Workspace):
    def __init__(self, passes, loss: Loss, rows: SequenceRows, seed: int):
        self._passes, self._loss, self._rows, self._seed = passes, loss, rows, seed
        self._places = rows.places(passes.packing)
        self._sums = passes.output.new_zeros(1, 3)  # `x` may hold tokens
        self._value, self._rest = self._sums[:, :1, None], self._sums[:, 1:]
        self._count = passes.output.new_tensor([passes.output.shape[1], 0])
        self._gradient = Gradient.of(passes.delta)
        self._loaded: Batch | None = None
        self._targets: Tensor | None = None
        self._weight: Tensor | None = None

    def value(self, batch):
        passes, rows = self._passes, self._rows
        if batch is not self._loaded:  # the one batch of a fit is gathered once
            targets, self._weight = rows.take(batch, self._places, passes.x)
            self._targets = targets[None]
            if rows.state is not None:
                passes.set_state(rows.state[batch.index])
            if rows.path is not None:
                passes.set_path(rows.path[batch.index])
            self._loaded = batch
        passes.forward()
        self._loss.value_and_gradient(
            passes.output, self._targets, self._weight, self._gradient, self._value
        )
        self._rest.copy_(self._count)
        return self._sums

    def sums(self, batch):
        if batch.keys is not None:
            self._passes.draw_masks(batch.keys, self._seed, batch.epoch)
        self.value(batch)
        self._passes.backward()
        return self._sums


_ENCODED = 256  # sequences at a time, for the moments of the codes


def code_moments(objective: RecurrentObjective, theta: torch.Tensor):
    """Weighted mean (K,) and covariance (K, K) of the codes of training sequences, or of 1024."""
    rows = objective.rows.sample(CODE_SAMPLE)
    network = objective.network.encoder
    bound = network.bound(objective.network.split(theta)[0], None)
    codes, weights = [], []
    for batch in Batch(rows.index, rows.weight, None, 0).split(_ENCODED):
        batch = rows.sorted(batch)
        packing = rows.packing(batch)
        passes = network.passes(bound, packing)
        rows.take(batch, rows.places(packing), passes.x)
        passes.forward()
        codes.append(passes.output[0])
        one = torch.ones_like(codes[-1][:, :1])
        weights.append(one if batch.weight is None else one * batch.weight)
    dtype = rows.inputs.X.dtype
    return weighted_moments(torch.cat(codes), torch.cat(weights), dtype)
