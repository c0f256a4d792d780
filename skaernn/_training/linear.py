"""The affine map that stands beside a recurrent network, and what it starts as.

Ridge regression (Hoerl & Kennard 1970) for squared error and its kin, else the minimum of the loss
itself with the same penalty: logistic regression for classes. In float64, by singular vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .._core.device import precise
from .._losses.loss import Gradient, Loss
from .._losses.reconstruction import AbsoluteError, BinaryCrossEntropy, Poisson
from .._losses.targets import CrossEntropy, Gaussian, Quantile
from .._rows.batch import Batch
from .._rows.moments import feature_scales
from .._rows.principal import triangle
from .._rows.sequences import SequenceRows
from ..networks import OwnRecurrentNetwork, RecurrentNetwork
from .loop import TrainingState
from .solvers import LBFGS

STRETCHES = 5  # of a series, each left out once
_BLOCK = 1 << 22  # numbers of a block
_MOST = 1 << 24  # numbers that a minimum is looked for on
_STRENGTHS = 10.0 ** torch.arange(-16.0, 1.25, 0.5, dtype=torch.float64, device="cpu")
_LEAST_SHARE = 0.01  # of a direction, after shrinkage, to be trained
_ROWS_A_WEIGHT = 5  # that it takes to train the map, too
# Curvature of a cross-entropy where probabilities end up, beside that at the mean: of 1, .1 and
# .01 the best in the mean over twenty sets of labelled series.
_FLATTER = 0.1
_MINIMISED = 50  # steps
_LEAST_LEFT = 1e-8  # of a row that its own weight leaves to others; below, digits are missing
_NEGLIGIBLE = 1e-3  # of the targets' variance: of less, be it rounding, nothing is made
_ROUNDINGS = 2.0  # of a number in the sum that a map is


@dataclass(frozen=True)
class LinearPath:
    """An affine map to the outputs of a network.

    Attributes
    ----------
    weight : Tensor of shape (D + 1, O)
        What it starts as: weights, and the bias.
    basis : Tensor of shape (D + 1, r) or None
        Directions of what is read, alike in variance, along which the map is trained. They are
        uncorrelated: along them a solver of the first order learns as fast as any, where
        neighbouring steps of a sequence would stand in each other's way. None: the map is
        trained as it is.
    drift : float
        How many times as large its squared errors are in a stretch of a series that it has not
        seen as in single rows that it has not seen, or as what is negligible; 1 if rows are no
        windows of series.
    """

    weight: Tensor
    basis: Tensor | None = None
    drift: float = 1.0


class _Block(NamedTuple):
    """Features (b, D), targets and their numbers (b, k) and (b, O), weights (b, 1).

    And the stretch of a series (b,) that a row comes from; all 0, if rows are no windows of one.
    """

    x: Tensor
    target: Tensor
    y: Tensor
    weight: Tensor
    stretch: Tensor


_Blocks = Callable[[], Iterable[_Block]]


class _Directions(NamedTuple):
    """Principal directions of weighted features, each in its own standard deviation."""

    mean: Tensor  # (D,)
    scale: Tensor  # (D,)
    axes: Tensor  # (D, R), orthonormal
    singular: Tensor  # (R,)
    total: float  # of all weights

    def along(self, x: Tensor) -> Tensor:
        """Standardised features along them (b, R)."""
        return ((x - self.mean) / self.scale) @ self.axes

    def orthonormal(self, x: Tensor, weight: Tensor) -> Tensor:
        """Weighted features along them (b, R), whose columns are orthonormal over all rows."""
        return self.along(x) * (weight.sqrt() / self.singular)

    def back(self, weight: Tensor) -> Tensor:
        """Weights (D, O) of the features from those along the directions (R, O)."""
        return (self.axes @ weight) / self.scale[:, None]


class _Ridge(NamedTuple):
    """The solution for the strength whose errors of what is left out are least."""

    strength: float
    weight: Tensor  # (D, O)
    mean: Tensor  # (O,), of the targets
    error: Tensor  # (O,), mean square of the errors of what is left out
    drift: float  # see LinearPath


def linear_start(
    network: RecurrentNetwork | OwnRecurrentNetwork,
    loss: Loss,
    rows: SequenceRows,
    n_steps: int,
    stretches: np.ndarray | None = None,
) -> LinearPath:
    """Where the linear path of a network starts, on scaled rows.

    Parameters
    ----------
    network : RecurrentNetwork or OwnRecurrentNetwork
        With a linear path.
    loss : Loss
    rows : SequenceRows
    n_steps : int
        Of a window, if that is what it reads.
    stretches : ndarray of shape (n,), int64, or None
        Which stretch of a series, below `STRETCHES`, each sequence comes from, if all are windows
        of series.
    """
    if stretches is None:
        stretches = np.zeros(len(rows.starts), dtype=np.int64)
    stretch = torch.from_numpy(stretches).to(rows.device)
    blocks = _once(lambda: _blocks(network, loss, rows, n_steps, stretch))
    directions, mean = _directions(blocks, rows.n_steps is not None, _least(rows.dtype))
    ridge = _ridge(blocks, directions, mean, rows.dtype)
    weight, bias = _STARTS.get(type(loss), _least_squares)(loss, blocks, directions, ridge)
    start = torch.cat([weight, (bias - directions.mean @ weight)[None]])
    if not network.reads_window:
        return LinearPath(start.to(rows.dtype), None, ridge.drift)
    basis = _trained(directions, ridge.strength, len(rows), network.n_outputs)
    basis = torch.cat([basis, -directions.mean[None] @ basis])
    return LinearPath(start.to(rows.dtype), basis.to(rows.dtype), ridge.drift)


def _trained(directions: _Directions, strength: float, n_rows: int, n_outputs: int) -> Tensor:
    """Directions to train the map along, (D, r): none where there are too few rows for that."""
    squares = directions.singular.square()
    kept = squares > _LEAST_SHARE * strength
    if _ROWS_A_WEIGHT * int(kept.sum()) * n_outputs > n_rows:
        kept[:] = False
    # Adam's first steps are as long along each: together they are not to ruin the start. Of powers
    # 0, 1/4, 1/2 and 1 this was the best for 2 to 336 directions.
    shorter = max(1, int(kept.sum())) ** 0.25
    scale = (directions.total / (squares[kept] + strength)).sqrt() / shorter
    return (directions.axes[:, kept] * scale) / directions.scale[:, None]


def _blocks(
    network: RecurrentNetwork | OwnRecurrentNetwork,
    loss: Loss,
    rows: SequenceRows,
    n_steps: int,
    stretch: Tensor,
) -> Iterable[_Block]:
    """All rows, some at a time."""
    rows = replace(rows, dtype=precise(rows.device))
    n_channels = rows.inputs.X.shape[1]
    longest = max(n_steps, int(rows.lengths[rows.index].max()))
    everything = Batch(rows.index, rows.weight, None, 0)
    for part in everything.split(max(1, _BLOCK // (longest * n_channels))):
        batch = rows.sorted(part)
        packing = rows.packing(batch)
        x = torch.empty(packing.size, n_channels, dtype=rows.dtype, device=rows.device)
        target, weight = rows.take(batch, rows.places(packing), x)
        if network.reads_window:
            x = rows.windows(batch.index, n_steps, rows.dtype)[:, :-1]
        else:  # attention begins as the mean
            query = {"query": x.new_empty(0, 1)}
            pool = network.pool.passes(query, None, packing, x[:, :0], x, None, 1)
            pool.forward()
            x = pool.out[:, :-1]
        weight = x.new_ones(len(x), 1) if weight is None else weight.to(x)
        y = target.to(x)
        if isinstance(loss, CrossEntropy):
            y = functional.one_hot(target[:, 0], network.n_outputs).to(x)
            if loss.class_weight is not None:
                weight = weight * y @ y.new_tensor(loss.class_weight)[:, None]
        yield _Block(x, target, y, weight, stretch[batch.index])


def _once(blocks: _Blocks) -> _Blocks:
    """The same; one that is all there is, is made once."""
    made = iter(blocks())
    first = next(made)
    return blocks if next(made, None) is not None else lambda: (first,)


def _least(dtype: torch.dtype) -> float:
    """A deviation that weights in a type can still make one of."""
    limits = torch.finfo(dtype)
    return limits.tiny / limits.eps


def _directions(blocks: _Blocks, standardise: bool, least: float) -> tuple[_Directions, Tensor]:
    """Principal directions of the features, and the mean of the targets."""
    total = sum(float(block.weight.sum()) for block in blocks())
    mean_x = sum(block.weight.T @ block.x for block in blocks())[0] / total
    mean_y = sum(block.weight.T @ block.y for block in blocks())[0] / total
    squares = sum(block.weight.T @ (block.x - mean_x).square() for block in blocks())[0]
    deviation = (squares / total).sqrt()
    scale = feature_scales(deviation) if standardise else torch.ones_like(deviation)
    # weights of what is next to nothing would be next to infinite
    scale = torch.where(deviation > least, scale, torch.inf)
    parts = ((x - mean_x) / scale * weight.sqrt() for x, _, _, weight, _ in blocks())
    matrix = triangle(parts)
    _, singular, axes = torch.linalg.svd(matrix, full_matrices=False)
    limits = torch.finfo(matrix.dtype)
    known = singular > max(matrix.shape) * limits.eps * singular[0]
    known &= singular.square() > limits.tiny
    axes, singular = axes[known].T.to(mean_x), singular[known].to(mean_x)
    return _Directions(mean_x, scale, axes, singular, total), mean_y


def _ridge(blocks: _Blocks, directions: _Directions, mean: Tensor, dtype: torch.dtype) -> _Ridge:
    """Ridge regression; the strength is chosen by leaving out each row, in closed form.

    Or each stretch of a series: a window that is left out has neighbours that nearly are it. What
    is left out of account there, and added, is how large weights are rounded in `dtype`: of a
    smooth series the best ones are thousands that nearly cancel.
    """
    squares = directions.singular.square()
    largest = float(squares[0]) if len(squares) else 1.0
    strengths = (largest * _STRENGTHS).to(squares)
    shrinkage = squares[:, None] / (squares[:, None] + strengths)  # (R, strengths)
    along = sum(directions.along(x).T @ (weight * (y - mean)) for x, _, y, weight, _ in blocks())
    along = along / directions.singular[:, None]  # (R, O)
    errors, drift = _rows_left_out(blocks, directions, mean, shrinkage, along), 1.0
    if any(bool(block.stretch.any()) for block in blocks()):
        spread = sum((weight * (y - mean).square()).sum() for _, _, y, weight, _ in blocks())
        least = torch.maximum(errors.sum(1).min(), _NEGLIGIBLE * spread)
        errors = _stretches_left_out(blocks, directions, mean, strengths)
        drift = float(errors.sum(1).min() / least)
    gains = directions.singular[:, None] / (squares[:, None] + strengths)
    lengths = gains.square().T @ along.square()  # of weights, squared (strengths, O)
    rounded = directions.total * (_ROUNDINGS * torch.finfo(dtype).eps) ** 2 * lengths
    best = len(strengths) - 1 - int((errors + rounded).sum(1).flip(0).argmin())
    weight = directions.back(gains[:, best, None] * along)
    return _Ridge(float(strengths[best]), weight, mean, errors[best] / directions.total, drift)


def _rows_left_out(
    blocks: _Blocks, directions: _Directions, mean: Tensor, shrinkage: Tensor, along: Tensor
) -> Tensor:
    """Squared errors (strengths, O) in rows that are left out one by one, in closed form."""
    errors = mean.new_zeros(shrinkage.shape[1], len(mean))
    known = torch.ones_like(errors[:, 0], dtype=torch.bool)
    for x, _, y, weight, _ in blocks():
        u = directions.orthonormal(x, weight)
        left = 1 - u.square() @ shrinkage - weight / directions.total
        found = u @ (shrinkage[:, :, None] * along[:, None]).flatten(1)
        found = (weight.sqrt() * (y - mean))[:, None] - found.view(len(x), *errors.shape)
        known &= (left > _LEAST_LEFT).all(0)
        found /= left.clamp_min(_LEAST_LEFT)[:, :, None]
        errors += found.square().sum(0)
    errors[~known] = torch.inf
    return errors


def _stretches_left_out(
    blocks: _Blocks, directions: _Directions, mean: Tensor, strengths: Tensor
) -> Tensor:
    """Squared errors (strengths, O) in stretches of series that are left out one by one.

    In coordinates in which all rows U, and the constant, are orthonormal. Without the rows U_k of
    a stretch the normal equations are (I + a S^-2 - U_k' U_k) v = U' y - U_k' y_k.
    """

    def parts(block: _Block):
        """Coordinates and targets of the rows of each stretch."""
        u = directions.orthonormal(block.x, block.weight)
        u = torch.cat([u, (block.weight / directions.total).sqrt()], dim=1)
        y = block.weight.sqrt() * (block.y - mean)
        return [(u[rows], y[rows]) for rows in (block.stretch == k for k in range(STRETCHES))]

    pull = functional.pad(directions.singular.square().reciprocal(), (0, 1))
    width, n_outputs = len(pull), len(mean)
    gram = pull.new_zeros(STRETCHES, width, width)
    moment = pull.new_zeros(STRETCHES, width, n_outputs)
    for block in blocks():
        for k, (u, y) in enumerate(parts(block)):
            gram[k].addmm_(u.T, u)
            moment[k].addmm_(u.T, y)
    errors = pull.new_zeros(len(strengths), n_outputs)
    without = torch.eye(width).to(pull) - gram
    found = pull.new_empty(STRETCHES, width, len(strengths), n_outputs)
    for i, strength in enumerate(strengths):
        factor, failed = torch.linalg.cholesky_ex(without + torch.diag(strength * pull))
        if bool(failed.any()):  # a direction that the others know nothing of
            errors[i] = torch.inf
        found[:, :, i] = torch.cholesky_solve(moment.sum(0) - moment, factor)
    for block in blocks():
        for (u, y), v in zip(parts(block), found, strict=True):
            left = y[:, None] - (u @ v.flatten(1)).view(len(y), *errors.shape)
            errors += left.square().sum(0)
    return errors.nan_to_num(torch.inf, torch.inf)


def _least_squares(
    loss: Loss, blocks: _Blocks, directions: _Directions, ridge: _Ridge
) -> tuple[Tensor, Tensor]:
    return ridge.weight, ridge.mean


def _quantiles(
    loss: Loss, blocks: _Blocks, directions: _Directions, ridge: _Ridge
) -> tuple[Tensor, Tensor]:
    """Ridge regression moved to the quantile of what it leaves over."""
    q = loss.q if isinstance(loss, Quantile) else 0.5
    over = [y - (x - directions.mean) @ ridge.weight for x, _, y, _, _ in blocks()]
    weight = torch.cat([block.weight for block in blocks()])
    over, order = torch.cat(over).sort(dim=0)
    reached = weight[:, 0][order].cumsum(0) >= q * directions.total  # (n, O)
    first = reached.int().argmax(0, keepdim=True)
    # between two rows: at one of them rounding would say which way the loss falls
    between = over.gather(0, first) + over.gather(0, (first + 1).clamp(max=len(over) - 1))
    return ridge.weight, 0.5 * between[0]


def _gaussian(
    loss: Loss, blocks: _Blocks, directions: _Directions, ridge: _Ridge
) -> tuple[Tensor, Tensor]:
    """Ridge regression for means, and one deviation each: that of the errors left out."""
    weight = torch.cat([ridge.weight, torch.zeros_like(ridge.weight)], dim=1)
    return weight, loss.link(ridge.mean, ridge.error.sqrt())


def _minimised(
    loss: Loss, blocks: _Blocks, directions: _Directions, ridge: _Ridge
) -> tuple[Tensor, Tensor]:
    """The minimum of the loss, penalised as ridge regression found best.

    Where the loss has the curvature c, a strength a of ridge regression is one of c a.
    """
    scale = (directions.total / (directions.singular.square() + ridge.strength)).sqrt()
    rows = _some(blocks, max(1, _MOST // (1 + len(scale))))
    read = functional.pad(directions.along(rows.x) * scale, (0, 1), value=1.0)[None]
    n_outputs = len(ridge.mean)
    state = TrainingState.at(read.new_zeros(1, read.shape[2] * n_outputs))
    theta, grad = (part.view(read.shape[2], n_outputs) for part in (state.theta, state.grad))
    theta[-1] = loss.link(ridge.mean, ridge.error.sqrt())
    share = float(rows.weight.sum()) / directions.total
    pull = share * ridge.strength * _curvature(loss, ridge.mean) * scale.square()[:, None]
    output = read.new_empty(1, len(rows.x), n_outputs)
    gradient, value = Gradient.of(torch.empty_like(output)), read.new_empty(1, 1, 1)
    sums = read.new_tensor([[0.0, float(rows.weight.sum()), 0.0]])
    target = rows.target[None] if isinstance(loss, CrossEntropy) else rows.y[None]
    own = replace(loss, class_weight=None) if isinstance(loss, CrossEntropy) else loss

    def evaluate() -> Tensor:
        torch.matmul(read, theta, out=output)
        own.value_and_gradient(output, target, rows.weight, gradient, value)
        torch.mm(read[0].T, gradient.full[0], out=grad)
        grad[:-1] += pull * theta[:-1]
        sums[0, 0], sums[0, 2] = value[0, 0, 0], 0.5 * (pull * theta[:-1].square()).sum()
        return sums

    solver = LBFGS()
    for _ in range(_MINIMISED):
        solver.step(state, evaluate, 1.0)
        if state.converged:
            break
    return directions.back(scale[:, None] * theta[:-1]), theta[-1]


def _some(blocks: _Blocks, most: int) -> _Block:
    """All rows, or at most so many, evenly spaced."""
    n_rows = sum(len(block.x) for block in blocks())
    step = -(-n_rows // most)
    parts = [_Block(*(part[::step] for part in block)) for block in blocks()]
    return parts[0] if len(parts) == 1 else _Block(*map(torch.cat, zip(*parts, strict=True)))


def _curvature(loss: Loss, mean: Tensor) -> Tensor:
    """Second derivative of the loss at the mean (O,) of the targets, about."""
    if isinstance(loss, Poisson):
        return mean.clamp_min(1e-6)
    return _FLATTER * (mean * (1 - mean)).mean().clamp_min(1e-6)


_STARTS = {
    AbsoluteError: _quantiles,
    BinaryCrossEntropy: _minimised,
    CrossEntropy: _minimised,
    Gaussian: _gaussian,
    Poisson: _minimised,
    Quantile: _quantiles,
}
