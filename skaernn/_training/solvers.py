"""Optimizers on one flat vector, and learning rate schedules.

A solver is handed `evaluate`, which fills ``state.grad`` with the gradient of the summed loss and
returns (K, 3): the summed loss, what to divide it by, and the penalty. Its `step` changes
``state.theta`` in place and returns the evaluation at the point it started from.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from .loop import TrainingState

Evaluate = Callable[[], Tensor]


class Solver(ABC):
    """An optimizer on one flat vector.

    Parameters
    ----------
    momentum : float
        Read by `SGD`.

    Attributes
    ----------
    full_batch : bool
        Whether it needs all rows in one batch and the same loss at every evaluation.
    """

    full_batch = False

    def __init__(self, momentum: float = 0.9):
        self.momentum = momentum

    def prepare(self, state: TrainingState) -> None:  # noqa: B027 - L-BFGS needs a gradient first
        """Give a new state the solver's memory."""

    @abstractmethod
    def step(self, state: TrainingState, evaluate: Evaluate, learning_rate: float) -> Tensor:
        """Improve ``state.theta`` in place; return the evaluation it started from."""

    def settle(self, state: TrainingState) -> None:
        """Make zeros of numbers that are about to become subnormal.

        Weights that nothing but the L2 penalty acts on fade, and arithmetic with subnormal
        numbers takes ten times as long. The processor could take them for zeros, but threads that
        begin meanwhile would inherit that and keep it.
        """
        limits = torch.finfo(state.theta.dtype)
        moments = (slot for slot in state.slots.values() if slot.dim())
        for numbers in (state.theta, *moments):
            numbers.masked_fill_(numbers.abs() < limits.tiny / limits.eps, 0.0)


class Adam(Solver):
    """Adam (Kingma & Ba 2015), with its defaults: beta 0.9 and 0.999, epsilon 1e-8.

    torch's fused kernel does a step in one pass over memory; its gradient scale is the division
    by the batch's count. `torch.optim` is not used: importing it takes about a second.
    """

    beta_1, beta_2, epsilon = 0.9, 0.999, 1e-8
    _one: Tensor | None = None  # adding a tensor costs a third of adding a number

    def prepare(self, state: TrainingState) -> None:
        """Give a new state its moments."""
        if not state.slots:
            zeros = torch.zeros_like
            state.slots.update(
                mean=zeros(state.theta),
                square=zeros(state.theta),
                step=torch.zeros((), device=state.theta.device, dtype=torch.float32),
            )

    def step(self, state: TrainingState, evaluate: Evaluate, learning_rate: float) -> Tensor:
        """One evaluation, one update."""
        sums = evaluate()
        self.prepare(state)
        slots = state.slots
        if self._one is None:
            self._one = torch.ones_like(slots["step"])
        slots["step"].add_(self._one)
        count = sums[:, 1].float()  # a whole number; the kernel takes no other type
        if sums.shape[0] > 1 or not (sums.is_cpu or sums.is_cuda):
            # the kernel takes one scale for all, and on other devices none
            state.grad.div_(sums[:, 1:2])
            count = None
        torch._fused_adam_(
            [state.theta],
            [state.grad],
            [slots["mean"]],
            [slots["square"]],
            [],
            [slots["step"]],
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            weight_decay=0.0,
            eps=self.epsilon,
            amsgrad=False,
            maximize=False,
            grad_scale=count,
            found_inf=None,
        )
        return sums


class SGD(Solver):
    """Stochastic gradient descent with momentum (Polyak 1964): v = momentum v + g, θ -= η v."""

    def prepare(self, state: TrainingState) -> None:
        """Give a new state its velocity."""
        if not state.slots:
            state.slots["velocity"] = torch.zeros_like(state.theta)

    def step(self, state: TrainingState, evaluate: Evaluate, learning_rate: float) -> Tensor:
        """One evaluation, one update."""
        sums = evaluate()
        self.prepare(state)
        velocity = state.slots["velocity"]
        velocity.mul_(self.momentum).addcdiv_(state.grad, sums[:, 1:2])
        rate = min(learning_rate, torch.finfo(state.theta.dtype).max)  # torch takes no more
        state.theta.add_(velocity, alpha=-rate)
        return sums


class LBFGS(Solver):
    """Limited-memory BFGS (Liu & Nocedal 1989) with a strong Wolfe line search.

    For one model (K = 1) and all rows in one batch. The two-loop recursion is algorithm 7.4 of
    Nocedal & Wright (2006), the line search algorithms 3.5 and 3.6 with cubic interpolation.
    """

    full_batch = True
    memory = 10
    max_evaluations = 25  # in one line search
    decrease, curvature = 1e-4, 0.9  # c1 and c2 of the Wolfe conditions

    def settle(self, state: TrainingState) -> None:
        """Leave everything, for gradients and steps kept belong to just these parameters."""

    def step(self, state: TrainingState, evaluate: Evaluate, learning_rate: float) -> Tensor:
        """One direction, one line search; sets ``state.converged`` when no step helps."""
        del learning_rate  # the line search finds the length
        slots = state.slots
        if "sums" not in slots:
            slots.update(sums=evaluate().clone(), pairs=[])
            slots["gradient"] = state.grad / slots["sums"][:, 1:2]
        sums, gradient = slots["sums"], slots["gradient"][0]
        direction = self._direction(gradient, slots["pairs"])
        slope = float(gradient @ direction)
        if not slope < 0:  # the memory went stale, or the gradient is zero
            slots["pairs"].clear()
            direction = -gradient
            slope = -float(gradient @ gradient)
        first = 1.0 if slots["pairs"] else min(1.0, 1.0 / float(gradient.abs().sum() or 1.0))
        start = state.theta.clone()
        found = None
        try:
            if math.isfinite(slope) and slope < 0:
                found = self._search(state, evaluate, start, direction, slope, sums, first)
        except BaseException:  # interrupted at a point that was only tried
            state.theta.copy_(start)
            raise
        if found is None:
            state.theta.copy_(start)
            state.converged = not slots["pairs"]  # a fresh start from here may still help
            slots["pairs"].clear()
            return sums
        slots["sums"], new_gradient = found
        self._remember(slots["pairs"], (state.theta - start)[0], new_gradient - gradient)
        slots["gradient"] = new_gradient[None]
        return sums

    def _direction(self, gradient: Tensor, pairs: list) -> Tensor:
        q = -gradient
        weights = []
        for s, y, rho in reversed(pairs):
            weights.append(rho * (s @ q))
            q = q - weights[-1] * y
        if pairs:
            s, y, rho = pairs[-1]
            q = q / (rho * (y @ y))
        for (s, y, rho), weight in zip(pairs, reversed(weights), strict=True):
            q = q + (weight - rho * (y @ q)) * s
        return q

    def _remember(self, pairs: list, s: Tensor, y: Tensor) -> None:
        product = s @ y
        if float(product) > torch.finfo(s.dtype).eps * float(y @ y):
            pairs.append((s, y, 1.0 / product))
            del pairs[: -self.memory]

    def _search(self, state, evaluate, start, direction, slope, sums, length):
        """Leave theta at a point of sufficient decrease; (sums, gradient) there, or None."""
        value = _mean(sums)
        low, high = (0.0, value, slope), None
        for _ in range(self.max_evaluations):
            torch.add(start, direction, alpha=length, out=state.theta)
            new_sums = evaluate().clone()
            gradient = (state.grad / new_sums[:, 1:2])[0]
            new = _mean(new_sums)
            new_slope = float(gradient @ direction)
            # written so that a value that is not a number counts as too far
            too_far = not (new <= value + self.decrease * length * slope and new <= low[1])
            if not too_far and abs(new_slope) <= -self.curvature * slope:
                return new_sums, gradient
            if too_far:
                high = (length, new, new_slope)
            else:
                if new_slope * ((high[0] if high else math.inf) - low[0]) >= 0:
                    high = low
                low = (length, new, new_slope)
            length = 2 * length if high is None else _between(low, high)
            if high is not None and abs(high[0] - low[0]) < 1e-12 * abs(low[0] + high[0]):
                break
        if low[0] == 0.0:
            return None
        torch.add(start, direction, alpha=low[0], out=state.theta)
        new_sums = evaluate().clone()
        return new_sums, (state.grad / new_sums[:, 1:2])[0]


def _mean(sums: Tensor) -> float:
    total, count, penalty = sums[0].tolist()
    return (total + penalty) / count


def _between(low: tuple, high: tuple) -> float:
    """Minimiser of the cubic through two points with slopes, kept away from both ends."""
    (x1, f1, g1), (x2, f2, g2) = low, high
    width = x2 - x1
    guess = x1 + 0.5 * width
    if math.isfinite(f2) and math.isfinite(g2):
        d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
        inside = d1 * d1 - g1 * g2
        if inside >= 0:
            d2 = math.copysign(math.sqrt(inside), width)
            denominator = g2 - g1 + 2 * d2
            if denominator:
                guess = x2 - width * (g2 + d2 - d1) / denominator
    nearest, farthest = sorted((x1 + 0.1 * width, x1 + 0.9 * width))
    return min(max(guess, nearest), farthest)


SOLVERS: dict[str, type[Solver]] = {"adam": Adam, "sgd": SGD, "lbfgs": LBFGS}


def _cosine(learning_rate: float, epoch: int, max_iter: int) -> float:
    """Half a cosine from `learning_rate` to zero (Loshchilov & Hutter 2017, no restarts)."""
    return 0.5 * learning_rate * (1 + math.cos(math.pi * epoch / max_iter))


def _constant(learning_rate: float, epoch: int, max_iter: int) -> float:
    return learning_rate


SCHEDULES = {"cosine": _cosine, "constant": _constant}
