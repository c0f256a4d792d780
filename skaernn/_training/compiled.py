"""Small fits by compiled kernels: many batches, from rows to the next parameters, in one call.

What Python and torch take for a batch of few rows is many times what its arithmetic takes. So the
operations of a network's passes, of the loss and of the solver are recorded once, as a program of
the kernels, which read rows where they lie; what is scaled or drawn batch by batch is made for as
many of them as fit into a cache.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from ctypes import Array, byref
from typing import Protocol

import torch
from torch import Tensor

from .._losses.likelihoods import Normal
from .._losses.loss import Loss
from .._losses.reconstruction import (
    AbsoluteError,
    BinaryCrossEntropy,
    Huber,
    Poisson,
    SquaredError,
)
from .._losses.targets import CrossEntropy, Gaussian, Quantile
from .._native.library import compiled_kernels
from .._native.operations import OF_BATCH, Batches, Code, Input, Operation, Recorder
from .._rows.batch import Batch
from .._rows.matrix import Picked
from ..networks import L1, LOG_VARIANCES, CompiledPasses, Penalty, StandardNormal
from .loop import Evaluation, Objective, TrainingState
from .solvers import SGD, Adam, Solver

# What kernels know, with the names of the numbers that they read of it; losses in the order that
# `src` has them in. A subclass is something else.
_LOSSES: dict[type[Loss], tuple[str, ...]] = {
    SquaredError: (),
    AbsoluteError: (),
    Huber: (),
    BinaryCrossEntropy: (),
    Poisson: (),
    Normal: ("floor",),
    Quantile: ("q",),
    Gaussian: (),
    CrossEntropy: (),
}
_PENALTIES = {L1: Code.SPARSITY, StandardNormal: Code.DIVERGENCE}
_SOLVERS = {  # and of their memory
    Adam: (Code.ADAM, ("mean", "square"), ("beta_1", "beta_2", "epsilon")),
    SGD: (Code.SGD, ("velocity",), ("momentum",)),
}

EVALUATED = 64  # rows of a batch where a loss is a sum over rows
_MOST = 1 << 22  # multiplications of a batch forward
_MOST_ROWS = 512
_LOADED = 1 << 17  # numbers that are gathered and drawn at a time
_CALL = 1 << 27  # multiplications forward of a call, which no interrupt ends: some 20 ms


class Inputs(Protocol):
    """What a program reads of batches.

    Attributes
    ----------
    memory : list of Tensor of shape (1, B, width)
        Where it is to be written for the passes, batch by batch.
        Or (1, B T, width), for T steps of each row.
    target : Tensor of shape (1, B, F) or (1, B T, F)
        Which of it the loss compares the output with.
    n_rows : int
        Rows B that there is memory for.
    """

    memory: list[Tensor]
    target: Tensor
    n_rows: int

    def __call__(self, batch: Batch) -> list[Picked]:
        """What is to be written there for one or many batches: their n rows, or where they are."""

    def other_side(self, batch: Batch, inputs: list[Picked]) -> list[Picked] | None:
        """The same with the noise to its other side; None where that says nothing new."""


def knows(loss: Loss, penalty: Penalty | None = None) -> bool:
    """Whether there are kernels, which know a loss and a penalty."""
    return (
        compiled_kernels() is not None
        and type(loss) in _LOSSES
        and (penalty is None or type(penalty) in _PENALTIES)
    )


def pays(n_rows: int, n_weights: int) -> bool:
    """Whether programs of dense layers are faster than torch.

    Measured on one thread in either type, over 10-5-10 to 784-512-256-32 and 32 to 512 rows, one
    batch a call: 1.6 to 5 times as fast up to 10^6 multiplications, 1.2 to 1.6 times up to the
    bound, slower from 10^7 to 10^8 on, where torch's products arrange what they read anew, and
    where rows are many and narrow. Calls of many batches gain more.
    """
    return n_rows <= _MOST_ROWS and n_rows * n_weights <= _MOST


class Program(Recorder):
    """A network's passes and their loss as operations of the compiled kernels.

    Parameters
    ----------
    passes : CompiledPasses
    theta : Tensor of shape (1, P)
        The parameters that the passes look into.
    inputs : Inputs
    loss : Loss
    penalty : Penalty or None
    strength : float
        Of the penalty.

    Attributes
    ----------
    value, sums : list of Operation
        From rows to the loss, and to the gradient of all parameters.
    """

    def __init__(
        self,
        passes: CompiledPasses,
        theta: Tensor,
        inputs: Inputs,
        loss: Loss,
        penalty: Penalty | None = None,
        strength: float = 0.0,
    ):
        super().__init__()
        self.inputs, self._passes, self._theta = inputs, passes, theta
        self.n_rows = inputs.n_rows
        self.n_steps = max(memory.shape[1] for memory in inputs.memory) // self.n_rows
        self._run = compiled_kernels().steps[inputs.target.dtype]
        forward, backward = passes.tapes
        self._trains = bool(backward)
        self.value = [
            self.make(
                Code.LOAD, OF_BATCH, of.shape[2], of.shape[1] // self.n_rows, option=i, c=of[0]
            )
            for i, of in enumerate(inputs.memory)
        ]
        self.value += [*forward, self._loss(loss, inputs.target)]
        if penalty is not None:
            self.value.append(self._penalty(penalty, strength))
        self.sums = [*self.value, *backward]

    def _loss(self, loss: Loss, target: Tensor) -> Operation:
        places = {"a": self._passes.output[0], "b": target[0]}
        if self._trains:
            places["c"] = self._passes.delta[0]
        if isinstance(loss, CrossEntropy) and loss.class_weight is not None:
            places["d"] = target.new_tensor(loss.class_weight)
        m = OF_BATCH * (target.shape[1] // self.n_rows)
        n = places["a"].shape[1] // loss.outputs_per_target
        numbers = tuple(getattr(loss, name) for name in _LOSSES[type(loss)])
        kind = [*_LOSSES].index(type(loss))
        return self.make(Code.LOSS, m, n, option=kind, numbers=numbers, **places)

    def _penalty(self, penalty: Penalty, strength: float) -> Operation:
        code = _PENALTIES[type(penalty)]
        parts = 2 if code == Code.DIVERGENCE else 1  # means and log-variances, or codes
        places = dict(zip("ab", self._passes.encoded[0].chunk(parts, dim=-1), strict=False))
        if self._trains:
            gradients = self._passes.d_encoded[0].chunk(parts, dim=-1)
            places |= dict(zip("cd", gradients, strict=False))
        numbers = strength, *LOG_VARIANCES
        return self.make(code, OF_BATCH, places["a"].shape[1], numbers=numbers, **places)

    def at(self, theta: Tensor) -> Program:
        """The same with parameters elsewhere, in the same memory else; without gradients."""
        begin, moved = self._theta.data_ptr(), copy(self)
        end, shift = begin + self._theta.nbytes, theta.data_ptr() - begin
        moved._theta, moved.sums = theta, []
        moved.value = [operation.moved(begin, end, shift) for operation in self.value]
        return moved

    def run(self, operations: Array, inputs: list[Picked], batch: Batch, batches: Batches) -> None:
        """Go through the rows of `batch`, of which `inputs` are, so many at a time."""
        if batches.size > self.n_rows:
            raise ValueError(f"A batch of {batches.size} rows, and memory for {self.n_rows}.")
        batches.inputs = (Input * len(inputs))(*[Input.of(*part) for part in inputs])
        batches.weights = None if batch.weight is None else batch.weight.data_ptr()
        batches.last = batch.index.shape[0]
        self._run(operations, len(operations), byref(batches))


def _new_sums() -> Tensor:
    return torch.zeros(1, 3, dtype=torch.float64, device="cpu")


def _array(operations: list[Operation]) -> Array:
    return (Operation * len(operations))(*operations)


class CompiledEvaluation(Evaluation):
    """Evaluations by a program; see `Evaluation`."""

    def __init__(self, program: Program):
        self._program = program
        self._value, self._sums = _array(program.value), _array(program.sums)
        self._dtype = program.inputs.target.dtype

    def value(self, batch):
        program = self._program
        inputs = program.inputs(batch)
        size = min(program.n_rows, batch.index.shape[0])
        sums = _new_sums()
        batches = Batches(size=size, sums=sums.data_ptr())
        program.run(self._value, inputs, batch, batches)
        other = program.inputs.other_side(batch, inputs)
        if other is not None:
            program.run(self._value, other, batch, batches)
            sums *= 0.5
        return sums.to(self._dtype)

    def sums(self, batch):
        sums = _new_sums()
        batches = Batches(size=batch.index.shape[0], sums=sums.data_ptr())
        self._program.run(self._sums, self._program.inputs(batch), batch, batches)
        return sums.to(self._dtype)


class OnRows(Objective, Protocol):
    """What steps ask of an objective on rows.

    Attributes
    ----------
    batch_size : int
    decay : Tensor of shape (P,) or None
        What the L2 penalty pulls each parameter by.
    shrunk : Tensor of shape (P,) or None
        How much weight decay acts on each parameter.
    """

    batch_size: int
    decay: Tensor | None
    shrunk: Tensor | None

    def shuffled(self, epoch: int) -> Batch:
        """All rows in the order that they have in the batches of an epoch."""


class CompiledSteps:
    """Steps of Adam or SGD through many batches in one call; see `Steps`.

    Parameters
    ----------
    program : Program
        At the memory of the state.
    objective : OnRows
    solver : Solver
    state : TrainingState
    max_norm : float or None
    """

    def __init__(
        self,
        program: Program,
        objective: OnRows,
        solver: Solver,
        state: TrainingState,
        max_norm: float | None,
    ):
        solver.prepare(state)
        self._program, self._objective, self._state = program, objective, state
        self._begins = True
        n, theta, grad = state.theta.shape[1], state.theta[0], state.grad[0]
        last = []
        if objective.decay is not None:
            last.append(program.make(Code.DECAY, 1, n, a=theta, b=objective.decay, c=grad))
        if max_norm is not None:
            last.append(program.make(Code.CLIP, 1, n, numbers=(max_norm,), c=grad))
        code, memory, names = _SOLVERS[type(solver)]
        places = {"a": theta, "b": grad}
        places |= {place: state.slots[slot][0] for place, slot in zip("cd", memory, strict=False)}
        numbers = tuple(getattr(solver, name) for name in names)
        last.append(program.make(code, 1, n, numbers=numbers, **places))
        if objective.shrunk is not None:
            last.append(program.make(Code.SHRINK, 1, n, b=objective.shrunk, c=theta))
        self._operations = _array([*program.sums, *last])
        counter = state.slots.get("step")
        step = 0 if counter is None else int(counter)
        # of tensors, what arrays do in a third of the time
        self._counter = None if counter is None else counter.numpy()
        self._sums = _new_sums()
        self._zeroed = self._sums.numpy()
        self._batches = Batches(size=objective.batch_size, step=step, sums=self._sums.data_ptr())
        n_numbers = sum(part.numel() for part in program.inputs.memory)  # of a batch
        size = objective.batch_size
        n_multiplications = size * n * program.n_steps
        self._at_once = size * max(1, min(_LOADED // n_numbers, _CALL // n_multiplications))
        self._fastest = torch.finfo(theta.dtype).max
        self._loaded: tuple[Batch | None, list[Picked]] = None, []

    @staticmethod
    def knows(solver: Solver) -> bool:
        """Whether kernels have a solver."""
        return type(solver) in _SOLVERS

    def parts(self, epoch: int) -> Iterable[Batch]:
        """See `Steps`."""
        everything, begin = self._objective.shuffled(epoch), 0
        n = everything.index.shape[0]
        end = self._objective.batch_size if self._begins else self._at_once
        self._begins = False
        self._zeroed.fill(0)
        while begin < n:
            yield everything if begin == 0 and end >= n else everything.rows(begin, end)
            begin, end = end, end + self._at_once

    def take(self, part: Batch, learning_rate: float, lost: float = 0.0) -> Tensor:
        """See `Steps`."""
        batches = self._batches
        if self._loaded[0] is not part:  # the one batch of a fit is gathered once
            self._loaded = part, self._program.inputs(part)
        batches.rate, batches.lost = min(float(learning_rate), self._fastest), lost
        made = batches.step
        self._program.run(self._operations, self._loaded[1], part, batches)
        self._state.step += batches.step - made
        if self._counter is not None:
            self._counter.fill(batches.step)
        return self._sums
