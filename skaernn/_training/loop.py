"""The only training loop of the package.

It knows a flat vector of parameters, an objective that can say how good it is, and a solver that
improves it; nothing of networks, estimators or numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from .._core.interrupts import check_interrupts

_MIN_EPOCHS = 10  # after which it means something that no epoch was better than PCA
_SETTLING = 64  # steps after which numbers may have faded
_FEW = 32  # rows, enough to see parameters that overflow, now or in the next step
_SOME = 128  # rows, enough to see that a loss has fallen by a quarter


class Evaluation(Protocol):
    """An objective at whatever `theta` (K, P) holds, with the gradient going to `grad` (K, P)."""

    def sums(self, batch: Any) -> Tensor:
        """Sums over a batch (K, 3): the weighted loss, what to divide it by, and room.

        All three are written anew, and the gradient of the first overwrites `grad`. Sums, not
        means: they add over batches and devices.
        """


class Objective(Protocol):
    """A network, a loss and a penalty on one source of rows, for K models at once.

    Attributes
    ----------
    exact : bool
        Whether the sums over one epoch are the loss at the parameters the epoch began with:
        one batch, no noise.
    n_rows : int
        Rows in an epoch.
    shrunk : Tensor of shape (P,) or None
        How much weight decay acts on each parameter.
    """

    exact: bool
    n_rows: int
    shrunk: Tensor | None

    def start(self, generator: torch.Generator) -> Tensor:
        """Parameters (K, P) to start from."""

    def batches(self, epoch: int) -> Iterable[Any]:
        """The batches of an epoch: a pure function of the seed and `epoch`."""

    def bound(self, theta: Tensor, grad: Tensor | None = None) -> Evaluation:
        """Evaluations that look into `theta` and write into `grad`, for as long as it is held."""

    def steps(self, solver: Any, state: TrainingState, max_norm: float | None) -> Steps | None:
        """A faster way through the batches than one by one, if there is one for a solver."""

    def penalty(self, theta: Tensor, grad: Tensor, sums: Tensor) -> None:
        """Write the penalty into the room, ``sums[:, 2]``, and add its gradient to `grad`."""

    def evaluate(self, theta: Tensor, n_rows: int | None = None) -> float:
        """Mean loss over all rows, or about `n_rows` of them, without noise and penalty."""


class Steps(Protocol):
    """Steps of a solver through the batches of an epoch."""

    def parts(self, epoch: int) -> Iterable[Any]:
        """The batches, one or several at a time; of the first epoch the first one alone."""

    def take(self, part: Any, learning_rate: float, lost: float = 0.0) -> Tensor:
        """Go through a part; the total (1, 3) of the sums of its epoch so far.

        After each step, parameters on which weight decay acts lose the share `lost`.
        """


class Reporter(Protocol):
    """Who is told of the epochs."""

    def begin(self) -> None:
        """An epoch begins."""

    def end(self, state: TrainingState) -> bool:
        """An epoch has ended; true stops training."""


@dataclass
class TrainingState:
    """All that training changes: what partial_fit, warm start and resuming need.

    Attributes
    ----------
    theta, grad : Tensor of shape (K, P)
        Parameters and the gradient of the last evaluation.
    slots : dict
        The solver's memory.
    seed : int
        What all randomness of the fit is a function of.
    resumed : bool
        Whether it continues earlier training.
    epoch, step, seen : int
        Epochs and solver steps finished, rows seen.
    began : int
        The epoch at which this call of `train` began.
    converged : bool
        Set by a solver that can do no better.
    best_theta, best_loss
        The parameters with the lowest monitored loss, and that.
    first_loss, last_loss : float
        The training loss of the first batch before any step, and of the last epoch.
    batches_per_row : float
        In an epoch: a penalty is paid once a batch.
    rejected_loss, kept_loss : float
        The losses of the last parameters and of those kept in their place, if training was for
        the worse.
    lowest_loss, stale_epochs
        What the plateau rule has seen.
    loss_curve, validation_scores : list of float
        One entry an epoch; the second only with a validation objective.
    reason : str
        Why training ended: "max_iter", "plateau", "converged", "callback", "interrupted",
        "diverged", or "worse": what was better, the start perhaps, was kept in place of the last.
    """

    theta: Tensor
    grad: Tensor
    slots: dict = field(default_factory=dict)
    seed: int = 0
    resumed: bool = False
    epoch: int = 0
    step: int = 0
    seen: int = 0
    began: int = 0
    converged: bool = False
    best_theta: Tensor | None = None
    best_loss: float = math.inf
    first_loss: float = math.inf
    last_loss: float = math.inf
    batches_per_row: float = 0.0
    rejected_loss: float = math.nan
    kept_loss: float = math.nan
    lowest_loss: float = math.inf
    stale_epochs: int = 0
    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    reason: str = "max_iter"

    @classmethod
    def at(cls, theta: Tensor, **kwargs) -> TrainingState:
        """A state at `theta`."""
        return cls(theta=theta, grad=torch.zeros_like(theta), **kwargs)


@dataclass(frozen=True)
class Plateau:
    """Stop after `patience` epochs in a row without a relative improvement of more than `tol`."""

    tol: float
    patience: int

    def reached(self, state: TrainingState, loss: float) -> bool:
        """Count one more epoch, whose loss was `loss`."""
        lowest = state.lowest_loss
        stale = math.isfinite(lowest) and not loss < lowest - self.tol * abs(lowest)
        state.stale_epochs = state.stale_epochs + 1 if stale else 0
        state.lowest_loss = min(lowest, loss)
        return state.stale_epochs > self.patience


class StepByStep:
    """Steps of any solver, batch by batch."""

    def __init__(
        self, objective: Objective, solver: Any, state: TrainingState, max_norm: float | None
    ):
        self._objective, self._solver, self._state = objective, solver, state
        self._max_norm = max_norm
        self._evaluation = objective.bound(state.theta, state.grad)
        self._totals = state.theta.new_zeros(len(state.theta), 3)

    def parts(self, epoch: int) -> Iterable[Any]:
        """See `Steps`."""
        self._totals.zero_()
        return self._objective.batches(epoch)

    def take(self, part: Any, learning_rate: float, lost: float = 0.0) -> Tensor:
        """See `Steps`."""
        self._batch = part
        self._totals += self._solver.step(self._state, self._evaluate, learning_rate)
        if lost:
            theta = self._state.theta
            theta.addcmul_(theta, self._objective.shrunk, value=-lost)
        self._state.step += 1
        return self._totals

    def _evaluate(self) -> Tensor:
        theta, grad = self._state.theta, self._state.grad
        sums = self._evaluation.sums(self._batch)
        self._objective.penalty(theta, grad, sums)
        if self._max_norm is not None:  # of the mean, while `grad` is the sum
            norm = torch.linalg.vector_norm(grad, dim=1, keepdim=True)
            grad.mul_((sums[:, 1:2] * self._max_norm / norm).clamp_(max=1.0).nan_to_num_(1.0))
        return sums


def train(
    objective: Objective,
    solver,
    state: TrainingState,
    *,
    max_iter: int,
    learning_rate: Callable[[int], float],
    max_norm: float | None = None,
    decay: Callable[[TrainingState], float] | None = None,
    plateau: Plateau | None = None,
    validation: Objective | None = None,
    reporter: Reporter | None = None,
) -> None:
    """Train `state` in place for `max_iter` epochs, or until something says stop.

    Parameters
    ----------
    objective : Objective
    solver : object with ``step(state, evaluate, learning_rate)`` and ``settle(state)``
    state : TrainingState
    max_iter : int
        Epochs to add.
    learning_rate : callable
        The rate of an epoch.
    max_norm : float or None
        Largest norm of a step's gradient; longer ones are shortened to it.
    decay : callable or None
        The weight decay of an epoch, from the state that it begins with.
    plateau : Plateau or None
        When to stop early: by the validation loss if there is one, else by the training loss.
    validation : Objective or None
        Evaluated after each epoch.
    reporter : Reporter or None
        Told of every epoch. What it raises is raised, and leaves the state usable.
    """
    theta = state.theta
    if len(theta) != 1:
        raise NotImplementedError("Several models at once are evaluated, but not yet trained.")
    steps = objective.steps(solver, state, max_norm)
    if steps is None:
        steps = StepByStep(objective, solver, state, max_norm)
    # The loss of an exact epoch belongs to the parameters it began with.
    looks_back = objective.exact and validation is None
    candidate = torch.empty_like(theta) if looks_back else theta
    state.best_theta = theta.clone()
    state.began = state.epoch
    first = None
    settled = state.step
    try:
        for _ in range(max_iter):
            if reporter is not None:
                reporter.begin()
            rate = learning_rate(state.epoch)
            lost = 0.0 if decay is None else min(1.0, rate * decay(state))
            if looks_back:
                candidate.copy_(theta)
            for part in steps.parts(state.epoch):
                check_interrupts()
                totals = steps.take(part, rate, lost)
                if first is None:
                    first = totals.clone()
            if state.step - settled >= _SETTLING:
                solver.settle(state)
                settled = state.step
            [(data, count, penalty)] = totals.tolist()  # the epoch's one synchronisation
            loss = (data + penalty) / count
            monitored = data / count
            if state.epoch == state.began:
                data_of_first, count_of_first, penalty_of_first = first[0].tolist()
                state.first_loss = (data_of_first + penalty_of_first) / count_of_first
                state.batches_per_row = state.step / count
            state.last_loss = loss
            if validation is not None and math.isfinite(loss):
                monitored = validation.evaluate(theta)
            if not (math.isfinite(loss) and math.isfinite(monitored)):
                state.reason = "diverged"
                break
            state.epoch += 1
            state.seen += objective.n_rows
            state.loss_curve.append(loss)
            if validation is not None:
                state.validation_scores.append(-monitored)
                loss = monitored
            if monitored < state.best_loss:
                state.best_loss = monitored
                if looks_back:
                    state.best_theta, candidate = candidate, state.best_theta
                else:
                    state.best_theta.copy_(theta)
            stopped = reporter is not None and reporter.end(state)
            check_interrupts()
            if state.converged:
                state.reason = "converged"
            elif plateau is not None and plateau.reached(state, loss):
                state.reason = "plateau"
            elif stopped:
                state.reason = "callback"
            else:
                continue
            break
    except KeyboardInterrupt:
        if not state.step:
            raise
        state.reason = "interrupted"


def finish(
    objective: Objective,
    state: TrainingState,
    start: Tensor,
    *,
    keep_best: bool,
    validated: bool,
    may_rise: bool = False,
    start_loss: float | None = None,
    negligible: float = 5e-7,
) -> None:
    """Leave in ``state.theta`` the parameters to keep.

    Parameters
    ----------
    objective : Objective
    state : TrainingState
        After `train`.
    start : Tensor of shape (K, P)
        What training began with.
    keep_best : bool
        Keep the parameters with the lowest exact loss among start, best and last. Otherwise the
        last ones, unless they are worse than the start.
    validated : bool
        The best ones were found on validation rows: keep those.
    may_rise : bool
        The loss may end up to twice as high as at the start: an epoch of `partial_fit` is one of
        many, on rows of its own.
    start_loss : float or None
        The exact loss at the start, where it is known without a pass.
    negligible : float
        How much a loss may be above another without a word.
    """
    # From PCA the first few steps often go astray.
    trained = state.epoch - state.began >= _MIN_EPOCHS
    if validated:
        state.theta.copy_(state.best_theta)
        if trained or not (keep_best or torch.equal(state.theta, start)):
            _judge_validated(objective, state, start)
        return
    overflown = state.reason == "diverged"
    if not keep_best and not overflown:
        verdict = _verdict(objective, state, start, may_rise)
        if verdict == "better":
            return
        overflown = verdict == "overflown"
        if overflown:
            _explain(state, "diverged")
    candidates = {} if overflown else {"last": state.theta}
    if overflown or objective.exact or not torch.equal(state.best_theta, state.theta):
        candidates["best"] = state.best_theta
    known = {}
    if objective.exact and math.isfinite(state.best_loss):
        known["best"] = state.best_loss  # the start is among those it is the best of
    else:
        candidates["start"] = start
        if start_loss is not None:
            known["start"] = start_loss
    losses = {
        name: known[name] if name in known else objective.evaluate(theta)
        for name, theta in candidates.items()
        if name in known or name == "start" or _has_norm(theta)
    }
    best = min(losses, key=lambda name: losses[name] if math.isfinite(losses[name]) else math.inf)
    if best == "last":
        return
    state.theta.copy_(candidates[best])
    if overflown or (keep_best and not trained):
        return
    share = 1.0 if keep_best else 0.01
    last = losses.get("last", math.inf)
    if not _is_worse(last, losses[best], share, negligible):
        return
    if keep_best and not torch.equal(state.theta, start):
        # an epoch that comes back to the start may be below it by rounding
        begun = losses.get("start", start_loss)
        begun = objective.evaluate(start) if begun is None else begun
        if begun - losses[best] > negligible:
            return
    _call_worse(state, last, losses[best])


def _verdict(objective: Objective, state: TrainingState, start: Tensor, may_rise: bool) -> str:
    """What the last parameters are beside the start: "better", "worse" or "overflown".

    At little cost where it is clear.
    """
    known = objective.exact and math.isfinite(state.first_loss)
    n_rows = _FEW if known or may_rise else _SOME
    if objective.n_rows <= _SOME:  # some are no cheaper than all
        n_rows = None
    loss = partial(_penalised, objective, state)
    last = loss(state.theta, n_rows)
    if not (math.isfinite(last) and _has_norm(state.theta)):
        return "overflown"
    begun = state.first_loss if known else loss(start, n_rows)
    # the same rows tell more than some and all
    share = 1.0 if may_rise else -0.5 if known else -0.25
    if last <= begun + share * abs(begun) and state.last_loss <= max(state.first_loss, begun):
        return "better"
    if n_rows is not None:
        last, begun = loss(state.theta), begun if known else loss(start)
    bound = begun + abs(begun) if may_rise else begun
    return "better" if last <= bound else "worse"


def _judge_validated(objective: Objective, state: TrainingState, start: Tensor) -> None:
    """See whether validation rows say that training only ruined the start, or training rows do."""
    if torch.equal(state.theta, start):
        last = -state.validation_scores[-1] if state.validation_scores else state.best_loss
        if _is_worse(last, state.best_loss, 1.0):
            _call_worse(state, last, state.best_loss)
    elif state.last_loss > state.first_loss:
        # a few rows may be content with what ruins the others
        loss = partial(_penalised, objective, state)
        last, begun = loss(state.theta), loss(start)
        if _is_worse(last, begun, 0.01):
            _call_worse(state, last, begun)


def _penalised(
    objective: Objective, state: TrainingState, theta: Tensor, n_rows: int | None = None
) -> float:
    """Mean loss over all rows, or about `n_rows` of them, with the penalty an epoch pays."""
    sums = theta.new_zeros(1, 3)
    objective.penalty(theta, torch.zeros_like(theta), sums)
    return objective.evaluate(theta, n_rows) + float(sums[0, 2]) * state.batches_per_row


def _is_worse(last: float, best: float, share: float, negligible: float = 5e-7) -> bool:
    """Whether a loss is above the best by a share of it, and by more than rounding."""
    return not last <= best + max(share * abs(best), negligible)


def _call_worse(state: TrainingState, last: float, best: float) -> None:
    state.rejected_loss, state.kept_loss = last, best
    _explain(state, "worse")


def _explain(state: TrainingState, reason: str) -> None:
    """Say why other parameters than the last were kept, unless the user has stopped training."""
    if state.reason != "interrupted":
        state.reason = reason


def _has_norm(theta: Tensor) -> bool:
    """Whether the squares of the parameters have a finite sum, as penalties and solvers want."""
    return bool(theta.square().sum().isfinite())
