"""The bag of words beside a recurrent network of tokens, and what it starts as.

A row of numbers for each token, whose mean over a sequence is added to the output: the minimum of
the loss with a penalty on their squares, so ridge regression for squared error and logistic
regression for classes, as strong as a fifth of the data that is held out finds best. All takes
time linear in the number of tokens of the data.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .._core.device import precise
from .._core.interrupts import check_interrupts
from .._losses.loss import Gradient, Loss
from .._rows.moments import moments
from .._rows.sequences import SequenceRows
from ..networks import EmbeddedNetwork
from .linear import LinearPath
from .loop import TrainingState
from .solvers import LBFGS

_MOST = 1 << 22  # tokens that the minimum is looked for on
_STRENGTHS = [10.0 ** (1 - i / 2) for i in range(11)]  # of a mean squared row
_FOLDS, _FEWEST = 5, 10  # answers, to hold some out
_PATIENCE = 2  # weaker penalties that are worse, one after the other
_STEPS, _ENOUGH = 50, 1e-6  # of a minimisation, and what the last one gains at least; and,
_LAST_STEPS, _LAST_ENOUGH = 200, 1e-10  # where the strength is known


class _Bags(NamedTuple):
    """Which tokens each of N answers reads, and which answers each token is read by."""

    tokens: Tensor  # (V,), those of answer after answer
    begins: Tensor  # (N,), where those of an answer begin
    share: Tensor  # (V,), of each in its answer
    order: Tensor  # (V,), by token
    owners: Tensor  # (V,), the answers, by token
    first: Tensor  # (n_tokens,), where those of a token begin

    @classmethod
    def of(cls, rows: SequenceRows, n_tokens: int, dtype: torch.dtype) -> _Bags:
        """Those of all sequences, or of their steps."""
        lengths = rows.lengths[rows.index]
        begins = lengths.cumsum(0) - lengths
        where = (rows.starts[rows.index] - begins).repeat_interleave(lengths)
        where += torch.arange(len(where), device=where.device)
        tokens = rows.inputs.X[where, 0]
        if rows.per_step:
            begins = torch.arange(len(where), device=where.device)
            lengths = torch.ones_like(where)
        owners = torch.arange(len(lengths), device=where.device).repeat_interleave(lengths)
        order = tokens.argsort(stable=True)
        counts = torch.bincount(tokens, minlength=n_tokens)
        share = lengths.to(dtype).reciprocal()[owners]
        return cls(tokens, begins, share, order, owners[order], counts.cumsum(0) - counts)

    def read(self, table: Tensor) -> Tensor:
        """Mean rows of a table (n_tokens, O) for each answer, (N, O)."""
        return functional.embedding_bag(
            self.tokens, table, self.begins, mode="sum", per_sample_weights=self.share
        )

    def back(self, delta: Tensor) -> Tensor:
        """The gradient of a table from that of what is read (N, O)."""
        share = self.share[self.order]
        return functional.embedding_bag(
            self.owners, delta, self.first, mode="sum", per_sample_weights=share
        )


def bag_start(network: EmbeddedNetwork, loss: Loss, rows: SequenceRows) -> LinearPath:
    """The table that training begins with and, in its last row, the bias; on scaled rows."""
    n_tokens, dtype = network.n_tokens, precise(rows.device)
    total = int(rows.lengths[rows.index].sum())
    mean, deviation = moments(rows.answers)
    if total > _MOST:
        rows = rows.sample(max(2, len(rows) * _MOST // total))
    problem = _Problem(loss, rows, _Bags.of(rows, n_tokens, dtype))
    theta = torch.zeros(n_tokens + 1, network.n_outputs, dtype=dtype, device=rows.device)
    theta[-1] = loss.link(mean, deviation)
    theta = problem.minimum(theta, problem.strength(theta))
    return LinearPath(theta.to(rows.dtype))


class _Problem:
    """The loss of a bag of words, with a penalty."""

    def __init__(self, loss: Loss, rows: SequenceRows, bags: _Bags):
        self._loss, self._bags = loss, bags
        targets, weights = [], []
        for target, weight in rows.answers.blocks(bags.share.dtype):
            targets.append(target)
            weights.append(torch.ones_like(target[:, :1]) * weight)
        target, self._weight = torch.cat(targets), torch.cat(weights)
        self._target = target if rows.targets.X.is_floating_point() else target.long()
        squares = bags.share[bags.begins]  # of n tokens, a share 1 / n of each
        self._unit = float((squares @ self._weight)[0] / self._weight.sum())

    def strength(self, theta: Tensor) -> float:
        """How strong a penalty is best for what is held out; ties and doubts go to strong ones."""
        n = len(self._weight)
        if n < _FEWEST:
            return self._unit
        held = (torch.arange(n, device=theta.device) % _FOLDS == _FOLDS - 1)[:, None]
        seen, unseen = self._weight * ~held, self._weight * held
        best, least, worse = _STRENGTHS[0], torch.inf, 0
        for strength in _STRENGTHS:
            theta = self.minimum(theta, strength * self._unit, seen)
            value = self._value(theta, unseen)[0]
            if value < least:
                best, least, worse = strength, value, 0
            else:
                worse += 1
            if worse == _PATIENCE:
                break
        return best * self._unit

    def minimum(self, start: Tensor, strength: float, weight: Tensor | None = None) -> Tensor:
        """Where the loss is least, of answers of these weights or, exactly, of all."""
        steps, enough = (_LAST_STEPS, _LAST_ENOUGH) if weight is None else (_STEPS, _ENOUGH)
        weight = self._weight if weight is None else weight
        state = TrainingState.at(start.reshape(1, -1).clone())
        theta, grad = (part.view(start.shape) for part in (state.theta, state.grad))
        total = float(weight.sum())
        pull, sums = strength * total, theta.new_tensor([[0.0, total, 0.0]])

        def evaluate() -> Tensor:
            value, delta = self._value(theta, weight)
            grad[:-1] = self._bags.back(delta) + pull * theta[:-1]
            grad[-1] = delta.sum(0)
            sums[0, 0], sums[0, 2] = value, 0.5 * pull * theta[:-1].square().sum()
            return sums

        solver, before = LBFGS(), torch.inf
        for _ in range(steps):
            check_interrupts()
            found = solver.step(state, evaluate, 1.0)
            now = float(found[0, 0] + found[0, 2])
            if state.converged or not before - now > enough * abs(now):
                break
            before = now
        return theta

    def _value(self, theta: Tensor, weight: Tensor) -> tuple[float, Tensor]:
        """The summed loss, and its gradient with respect to the output (N, O)."""
        output = (self._bags.read(theta[:-1]) + theta[-1])[None]
        gradient, value = Gradient.of(torch.empty_like(output)), output.new_empty(1, 1, 1)
        self._loss.value_and_gradient(output, self._target[None], weight, gradient, value)
        return float(value), gradient.full[0]
