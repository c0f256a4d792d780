"""Moments of weighted rows, in float64, block by block, and the scalings made of them.

Pure torch, because numpy's BLAS threads beside torch's slow a fit down tenfold.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from .._core.device import precise
from .matrix import Counted, repeated, weighted
from .vectors import Rows


def _power_of_two(x: float) -> float:
    """The power of two just above |x|, so that dividing by it rounds nothing; 1 for zero."""
    if x == 0:
        return 1.0
    return math.ldexp(1.0, min(max(math.frexp(x)[1], -1021), 1023))


def moments(rows: Rows | Counted) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature, (F,) float64, safe from overflow.

    Three passes over the rows: for the largest value, whose power of two is the unit of the
    others, for the mean, and for the squared deviations from it.
    """
    dtype = precise(rows.X.device)
    blocks, n_rows = repeated(rows, dtype), len(rows)
    unit = _power_of_two(max(float(block.abs().max()) for block, _ in blocks()))
    mean = _added(weighted(block / unit, w).sum(0) for block, w in blocks()).div_(n_rows)
    squares = (weighted((block / unit).sub_(mean).square_(), w) for block, w in blocks())
    deviation = _added(square.sum(0) for square in squares).div_(n_rows).sqrt_()
    # rounding of the mean alone is no spread
    given = rows.X.dtype if rows.X.is_floating_point() else dtype
    spread = deviation > mean.abs().mul_(4 * torch.finfo(given).eps)
    if bool(spread.all()):
        return mean.mul_(unit), deviation.mul_(unit)
    # a constant feature is its own mean, to the bit
    constant = next(rows.blocks(dtype, 1))[0][0]
    return torch.where(spread, mean * unit, constant), torch.where(spread, deviation * unit, 0.0)


def _added(parts: Iterable[Tensor]) -> Tensor:
    """The sum of tensors, of which there may be one."""
    return functools.reduce(Tensor.add_, parts)


def global_scale(deviation: Tensor) -> Tensor:
    """One number for all features: the root of their mean variance; 1 if that is zero."""
    unit = _power_of_two(float(deviation.max()))
    scale = (deviation / unit).square().mean().sqrt() * unit
    return torch.where(scale > 0, scale, 1.0)


def feature_scales(deviation: Tensor) -> Tensor:
    """One number for each feature (F,): its standard deviation; 1 where that is zero."""
    return torch.where(deviation > 0, deviation, 1.0)


def units_in(
    mean: Tensor,
    scale: Tensor,
    rows: Rows | Counted,
    deviation: Tensor,
    dtype: torch.dtype,
    name: str,
) -> tuple[Tensor, Tensor]:
    """Mean and scale in the `dtype` that rows are scaled in; messages call these `name`.

    A scale below the smallest number that there is, is one of a constant.

    Raises
    ------
    ValueError
        If some number is further from its mean than numbers go.
    """
    largest = torch.finfo(dtype).max
    if float(deviation.max()) * len(rows) ** 0.5 > largest:  # else none is that far
        for block, _ in rows.blocks(precise(rows.X.device)):
            if not bool(((block - mean).abs() <= largest).all()):
                raise ValueError(
                    f"Input {name} contains values whose differences are too large for "
                    f"dtype('{str(dtype).removeprefix('torch.')}'). Divide it by a constant first."
                )
    mean, scale = mean.to(dtype), scale.to(dtype)
    return mean, torch.where(scale > 0, scale, 1.0)


SCALINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "global": global_scale,
    "standard": feature_scales,
}


def gaussian(mean: Tensor, covariance: Tensor, normal: Tensor) -> Tensor:
    """Draws (n, C) from a Gaussian, given standard normal numbers (n, C)."""
    covariance = covariance.nan_to_num()  # of codes that are finite and their squares are not
    unit = _power_of_two(float(covariance.abs().max()))
    variances, axes = torch.linalg.eigh(covariance / unit)
    deviations = variances.clamp(min=0).sqrt() * math.sqrt(unit)
    return mean + normal @ (axes * deviations).T


CODE_SAMPLE = 1024  # rows from which the moments of the codes are estimated


def weighted_moments(codes: Tensor, weight: Tensor, dtype: torch.dtype):
    """Mean (C,) and covariance (C, C) of `codes` (n, C), weighted by (n, 1), as arrays."""
    weight = weight / weight.sum()
    mean = (weight * codes).sum(0)
    codes = codes - mean
    covariance = (weight * codes).T @ codes
    return mean.to(dtype).cpu().numpy(), covariance.to(dtype).cpu().numpy()
