"""Moments and principal components of weighted rows, in float64, block by block.

Pure torch, because numpy's BLAS threads beside torch's slow a fit down tenfold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ._device import precise
from ._rows import Rows
from ._sequence_rows import Counted

LEAST_NOISE = 1e-6  # variance of normal noise, relative to the mean variance
_COVARIANCE_RATIO = 10  # rows per feature from which on the covariance is used, not the rows


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
    unit = _power_of_two(max(float(block.abs().max()) for block, _ in rows.blocks(dtype)))
    mean = sum((w * (block / unit)).sum(0) for block, w in rows.blocks(dtype)) / len(rows)
    spread = sum(
        (w * (block / unit - mean).square_()).sum(0) for block, w in rows.blocks(dtype)
    ) / len(rows)
    deviation = spread.sqrt()
    # rounding of the mean alone is no spread
    given = rows.X.dtype if rows.X.is_floating_point() else dtype
    noise = 4 * torch.finfo(given).eps * mean.abs()
    deviation = torch.where(deviation > noise, deviation, 0.0)
    # and a constant feature is its own mean, to the bit
    constant = next(rows.blocks(dtype, 1))[0][0]
    return torch.where(deviation > 0, mean * unit, constant), deviation * unit


def global_scale(deviation: Tensor) -> Tensor:
    """One number for all features: the root of their mean variance; 1 if that is zero."""
    unit = _power_of_two(float(deviation.max()))
    scale = (deviation / unit).square().mean().sqrt() * unit
    return torch.where(scale > 0, scale, 1.0)


def feature_scales(deviation: Tensor) -> Tensor:
    """One number for each feature (F,): its standard deviation; 1 where that is zero."""
    return torch.where(deviation > 0, deviation, 1.0)


SCALINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "global": global_scale,
    "standard": feature_scales,
}


@dataclass(frozen=True)
class PrincipalComponents:
    """Principal components of rows, all that there are.

    Attributes
    ----------
    mean : Tensor of shape (F,)
    components : Tensor of shape (F, R)
        Orthonormal columns, by falling variance; in each the largest entry is positive.
        After `first` only some of the R.
    variances : Tensor of shape (R,)
        Variance along each, in units of `unit` squared.
    unit : float
        A power of two that keeps the variances from overflowing.
    """

    mean: Tensor
    components: Tensor
    variances: Tensor
    unit: float

    def ratios(self, n: int) -> Tensor:
        """Share of the total variance along each of the first `n` components."""
        total = float(self.variances.sum())
        shares = self.variances[:n] / (total if total > 0 else 1.0)
        return torch.nn.functional.pad(shares, (0, n - len(shares)))

    def count_for(self, share: float) -> int:
        """Smallest number of components that explain more than `share` of the variance."""
        if not float(self.variances.sum()) > 0:
            return 1
        explained = self.ratios(len(self.variances)).cpu().cumsum(0)
        return min(int((explained <= share).sum()) + 1, len(self.variances))

    def first(self, n: int) -> PrincipalComponents:
        """The first `n` components, with all variances."""
        return replace(self, components=self.components[:, :n].clone())

    def probabilistic(self, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Probabilistic PCA (Tipping & Bishop 1999) along the first `n` components.

        With noise of the mean discarded variance s in all directions, components of variance v
        have the loadings (v - s)^(1/2), and codes the posterior mean (v - s)^(1/2) / v times the
        score, and the posterior variance s / v.

        Returns
        -------
        gain, shrinkage, log_variance : Tensor of shape (min(n, R),)
        """
        n_features, variances = len(self.components), self.variances[:n]
        total = float(self.variances.sum())
        noise = float(self.variances[n:].sum()) / max(1, n_features - n)
        noise = max(noise, LEAST_NOISE * total / n_features)
        spare = (variances - noise).clamp_(min=0)
        known = variances.clamp_min(noise)  # a component that is all noise tells nothing
        known = torch.where(known > 0, known, 1.0)
        log_variance = torch.where(spare > 0, (noise / known).log(), 0.0)
        return spare.sqrt() * self.unit, spare.sqrt() / known / self.unit, log_variance

    def discarded(self, n: int) -> float:
        """Variance left out by the first `n` components: PCA's squared error per row."""
        return float(self.variances[n:].sum()) * self.unit * self.unit  # may be infinite


def principal_components(rows: Rows) -> PrincipalComponents:
    """Principal components of scaled rows.

    By the eigenvectors of the covariance where there are ten rows a feature or more, else by the
    singular vectors of the rows themselves, which is slower and more precise.
    """
    dtype = precise(rows.X.device)
    n_samples, n_features = len(rows), rows.n_features
    mean, largest = 0.0, 0.0
    for block, w in rows.blocks(dtype):
        mean = mean + (w * (block / n_samples)).sum(0)
        largest = max(largest, float(block.abs().max()))
    unit = _power_of_two(largest)
    centred = ((block - mean).div_(unit).mul_(w**0.5) for block, w in rows.blocks(dtype))
    if n_samples >= _COVARIANCE_RATIO * n_features:
        covariance = mean.new_zeros(n_features, n_features)
        for block in centred:
            covariance.addmm_(block.T, block)
        variances, components = torch.linalg.eigh(_solvable(covariance / n_samples))
        variances, components = variances.flip(0), components.flip(1)
    else:
        matrix = _solvable(torch.cat([*centred]))
        _, singular, components = torch.linalg.svd(matrix, full_matrices=False)
        variances, components = singular.square() / n_samples, components.T
    variances, components = variances.to(mean), components.to(mean)
    largest = components.gather(0, components.abs().argmax(0, keepdim=True))
    components = components * torch.where(largest < 0, -1.0, 1.0)
    return PrincipalComponents(mean, components, variances.clamp_(min=0), unit)


def _solvable(matrix: Tensor) -> Tensor:
    """The matrix where torch.linalg works: on the CPU instead of Apple's GPUs."""
    return matrix.cpu().double() if matrix.device.type == "mps" else matrix


def gaussian(mean: Tensor, covariance: Tensor, normal: Tensor) -> Tensor:
    """Draws (n, C) from a Gaussian, given standard normal numbers (n, C)."""
    covariance = covariance.nan_to_num()  # of codes that are finite and their squares are not
    unit = _power_of_two(float(covariance.abs().max()))
    variances, axes = torch.linalg.eigh(covariance / unit)
    deviations = variances.clamp(min=0).sqrt() * math.sqrt(unit)
    return mean + normal @ (axes * deviations).T
