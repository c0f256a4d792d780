"""Principal components of weighted rows, in float64, block by block, in pure torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .._core.device import precise
from .matrix import repeated, weighted
from .moments import _power_of_two
from .vectors import Rows

LEAST_NOISE = 1e-6  # variance of normal noise, relative to the mean variance
_COVARIANCE_RATIO = 10  # rows per feature from which on the covariance is used, not the rows


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
    blocks = repeated(rows, dtype)
    for block, w in blocks():
        mean = mean + weighted(block / n_samples, w).sum(0)
        largest = max(largest, float(block.abs().max()))
    unit = _power_of_two(largest)
    centred = ((block - mean).div_(unit).mul_(w**0.5) for block, w in blocks())
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
