"""Objectives: a network, a loss and a penalty on one source of rows."""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable
from typing import Any

import torch
from torch import Tensor

from .._core.device import precise
from .._rows.batch import Batch, Source
from ..networks import mix
from . import loop
from .compiled import CompiledEvaluation, CompiledSteps, Program
from .loop import Steps, TrainingState
from .solvers import Solver

EVALUATION = -1  # the epoch whose noise an evaluation sees
_MOST_KEPT = 8  # workspaces, and fewer if they are large


class Workspace(ABC):
    """A network's work on batches of one shape, in buffers of its own.

    Whoever asked for sums may change them: all three are made anew every time.
    """

    @abstractmethod
    def value(self, batch: Batch) -> Tensor:
        """Summed loss, number of losses and room for a penalty, (K, 3), without dropout.

        Noise that is part of the loss (of corruption, of codes) is that of the batch's epoch.
        """

    @abstractmethod
    def sums(self, batch: Batch) -> Tensor:
        """The same with dropout, and the gradient where `grad` is."""


class RowsObjective(ABC):
    """Batches, L2 penalty and evaluation on rows, for any network with a `Workspace`.

    See `Objective` in `loop` for what the methods promise.

    Parameters
    ----------
    rows : Source
    n_parameters : int
        Length P of theta.
    noisy : bool
        Whether training draws noise.
    penalised : Tensor of shape (P,) or None
        Mask of the parameters that the L2 penalty acts on; None: there is no penalty.
    alpha : float
        Strength of the L2 penalty 0.5 alpha |W|^2, which is divided by the sum of the weights of
        a batch's rows, as in scikit-learn's MLPRegressor.
    batch_size : int
    shuffle : bool
        New batches every epoch.
    seed : int

    Attributes
    ----------
    network
        What is trained; how it is described is the subclass's affair.
    starts_well : bool
        Whether the start is worth keeping where training makes nothing better of it.
    start_loss : float or None
        The exact loss at the start, where it is known without a pass.
    batch_size : int
        Rows of a batch, if there are that many left.
    decay : Tensor of shape (P,) or None
        What the L2 penalty pulls each parameter by; None: there is none.
    shrunk : Tensor of shape (P,) or None
        How much weight decay acts on each parameter; None: there is none.
    negligible : float
        How much worse than its start training may end without a word.
    """

    network: Any
    starts_well = False
    start_loss: float | None = None
    shrunk: Tensor | None = None
    negligible = 5e-7
    most_rows = 8192  # that go through the network at once in training
    most_evaluated = 1024  # and in evaluation

    def __init__(
        self,
        rows: Source,
        *,
        n_parameters: int,
        noisy: bool,
        penalised: Tensor | None,
        alpha: float,
        batch_size: int,
        shuffle: bool,
        seed: int,
    ):
        self.rows, self.seed = rows, seed
        self.n_rows = len(rows)
        self._n_parameters, self._shuffle = n_parameters, shuffle
        self.batch_size = min(batch_size, len(rows))
        self._one_batch = self.batch_size == len(rows)
        self.exact = self._one_batch and not noisy
        self.decay = None
        if penalised is not None:  # compared with weights of mean 1
            mask = penalised.to(device=rows.device, dtype=rows.dtype)
            self.decay = mask * (alpha / rows.mean_weight * rows.losses_per_row)
        self._generator = torch.Generator(device="cpu")
        everything = Batch(rows.index, rows.weight, rows.keys, 0)
        self._everything = rows.sorted(everything) if self._one_batch else everything
        self._kept_program: Program | None = None
        self._judge: tuple[Tensor, loop.Evaluation] | None = None  # at a copy of its own
        self._parts: tuple[list[Batch], float] | None = None  # of an evaluation of all rows

    @abstractmethod
    def start(self, generator: torch.Generator) -> Tensor:
        """Parameters (1, P) to start from."""

    @abstractmethod
    def shape(self, batch: Batch) -> Hashable:
        """What batches that can share a workspace have in common."""

    @abstractmethod
    def workspace(self, memory: Any, shape: Hashable, *, noisy: bool) -> Workspace:
        """Buffers for batches of a `shape`, at what `memory` has given of theta and grad."""

    @property
    def at_once(self) -> int:
        """Rows that go through the network at once in training."""
        return min(self.batch_size, self.most_rows)

    @property
    @abstractmethod
    def n_numbers(self) -> int:
        """Numbers that have to be held for that many rows, as far as they are known."""

    def memory(self, theta: Tensor, grad: Tensor | None) -> Any:
        """What all workspaces at `theta` and `grad` (K, P) have in common."""
        return theta, grad

    def bound(self, theta: Tensor, grad: Tensor | None = None) -> loop.Evaluation:
        """Evaluations at whatever `theta` (K, P) holds; without `grad` of the value alone."""
        return self._evaluation(self, theta, grad)

    def _evaluation(
        self, owner: RowsObjective, theta: Tensor, grad: Tensor | None
    ) -> loop.Evaluation:
        """What `bound` gives; `owner` is the objective, or a weak reference to it."""
        program = self._program(theta, grad) if len(theta) == 1 else None
        if program is None:
            return Evaluation(owner, theta, grad)
        return CompiledEvaluation(program)

    def _program(self, theta: Tensor, grad: Tensor | None) -> Program | None:
        """The same for one model by compiled kernels, where they can do it and are faster.

        Evaluations share the memory of training, unless that has noise which they leave out.
        """
        if grad is None and self._kept_program is not None:
            return self._kept_program.at(theta)
        program = self._recorded(theta, grad)
        if grad is not None and not self.network.dropout:
            self._kept_program = program
        return program

    def _recorded(self, theta: Tensor, grad: Tensor | None) -> Program | None:
        """The operations of such a program, recorded; None: those of torch are to be used."""
        return None

    def zeros(self) -> Tensor:
        """Parameters (1, P), all zero."""
        return torch.zeros(1, self._n_parameters, dtype=self.rows.dtype, device=self.rows.device)

    def batches(self, epoch: int) -> Iterable[Batch]:
        """All rows in batches of `batch_size`, the last one shorter."""
        if self._one_batch:
            return [self.shuffled(epoch)]
        return [self.rows.sorted(batch) for batch in self.shuffled(epoch).split(self.batch_size)]

    def shuffled(self, epoch: int) -> Batch:
        """All rows in the order that they have in the batches of an epoch."""
        everything = self._everything
        if everything.keys is not None or not self._one_batch:
            everything = everything._replace(epoch=epoch)
        if self._shuffle and not self._one_batch:
            generator = self._generator.manual_seed(mix(self.seed, epoch))
            order = torch.randperm(len(self.rows), generator=generator, device="cpu")
            order = self.rows.arranged(order, self.batch_size, generator)
            everything = everything.take(order.to(everything.index.device))
        return everything

    def steps(self, solver: Solver, state: TrainingState, max_norm: float | None) -> Steps | None:
        """See `Objective`: by compiled kernels, where there is a program of them."""
        if not CompiledSteps.knows(solver):
            return None
        program = self._program(state.theta, state.grad)
        return None if program is None else CompiledSteps(program, self, solver, state, max_norm)

    def penalty(self, theta: Tensor, grad: Tensor, sums: Tensor) -> None:
        """L2 penalty on the weights of the network."""
        if self.decay is None:
            return
        pull = theta * self.decay
        grad += pull
        room = sums[:, 2:, None]
        torch.baddbmm(room, pull[:, None], theta[..., None], beta=0, alpha=0.5, out=room)

    def evaluate(self, theta: Tensor, n_rows: int | None = None) -> float:
        """Mean loss of one model without dropout and L2 penalty, under one draw of noise."""
        rows = self.rows if n_rows is None else self.rows.sample(n_rows)
        if self._judge is None:
            # by proxy: objective and judge in a circle would keep rows until a collection
            at = torch.empty_like(theta)
            self._judge = at, self._evaluation(weakref.proxy(self), at, None)
        at, judge = self._judge
        at.copy_(theta)
        total = theta.new_zeros(len(theta), dtype=precise(theta.device))
        if n_rows is not None or self._parts is None:
            everything = rows.sorted(Batch(rows.index, rows.weight, rows.keys, EVALUATION))
            parts = everything.split(self.most_evaluated), rows.total_weight()
            self._parts = parts if n_rows is None else self._parts
        else:
            parts = self._parts
        for part in parts[0]:
            total += judge.value(part)[:, 0]
        return total.item() / parts[1]

    def share(self, shape: Hashable) -> float:
        """How much a workspace for a shape takes of the memory that there is for all."""
        return 0.0

    def place(self, shape: Hashable) -> Hashable:
        """Where a workspace for a shape is kept; another shape there takes its place."""
        return shape


class Evaluation:
    """Evaluations of an objective at the memory of some parameters.

    It owns what looks into that memory: workspaces, one for each shape of batches, those used
    last. Changing the parameters in place is all that an evaluation elsewhere takes.

    Parameters
    ----------
    objective : RowsObjective
    theta : Tensor of shape (K, P)
    grad : Tensor of shape (K, P) or None
    """

    def __init__(self, objective: RowsObjective, theta: Tensor, grad: Tensor | None):
        self.theta, self.grad = theta, grad
        self._objective, self._memory = objective, objective.memory(theta, grad)
        self._workspaces: dict[Hashable, tuple[Hashable, Workspace]] = {}
        self._part: Evaluation | None = None  # with a gradient of its own

    def value(self, batch: Batch) -> Tensor:
        """Loss of a batch, its number of losses (weights have mean 1), and room, (K, 3)."""
        return self._workspace(batch).value(batch)

    def sums(self, batch: Batch) -> Tensor:
        """The same with dropout; the gradient of the first overwrites `grad`."""
        size = self._objective.most_rows
        if len(batch.index) <= size:
            return self._workspace(batch).sums(batch)
        if self._part is None:
            self._part = self._objective.bound(self.theta, torch.empty_like(self.grad))
        self.grad.zero_()
        total = self.theta.new_zeros(len(self.theta), 3)
        for part in batch.split(size):
            total += self._part.sums(part)
            self.grad += self._part.grad
        return total

    def _workspace(self, batch: Batch) -> Workspace:
        objective = self._objective
        shape = objective.shape(batch)
        place = objective.place(shape)
        of_shape, found = self._workspaces.pop(place, (None, None))
        if of_shape != shape:
            share = objective.share(shape)
            kept = [objective.share(other) for other, _ in self._workspaces.values()]
            while kept and (len(kept) >= _MOST_KEPT or sum(kept) + share > 1):
                del self._workspaces[next(iter(self._workspaces))]  # not used for longest
                del kept[0]
            found = objective.workspace(self._memory, shape, noisy=self.grad is not None)
        self._workspaces[place] = shape, found
        return found
