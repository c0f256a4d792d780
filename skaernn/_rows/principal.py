"""Principal components of weighted rows, in float64, block by block, in pure torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from numbers import Integral

import torch
from torch import Tensor

from .._core.device import precise
from .leading import leading, pays
from .matrix import repeated, weighted
from .moments import _power_of_two
from .vectors import _BLOCK, Rows

LEAST_NOISE = 1e-6  # variance of normal noise, relative to the mean variance
# Eigenvalues of a covariance are off by the rounding of the largest. What is left out has ten
# digits where it is no smaller than this beside it.
_LEAST_LEFT = 1e-5
_ROWS_A_FEATURE = 2  # of a block that is factored: fewer repeat work, more fill memory


@dataclass(frozen=True)
class PrincipalComponents:
    """Principal components of rows.

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
    rest : float
        Variance along all others, where not all have been looked for, in the same units.
    """

    mean: Tensor
    components: Tensor
    variances: Tensor
    unit: float
    rest: float = 0.0

    @property
    def total(self) -> float:
        """Variance along all there are."""
        return float(self.variances.sum()) + self.rest

    def left(self, n: int) -> float:
        """Variance left out by the first `n` components, in units of `unit` squared."""
        return float(self.variances[n:].sum()) + self.rest

    def ratios(self, n: int) -> Tensor:
        """Share of the total variance along each of the first `n` components."""
        total = self.total
        shares = self.variances[:n] / (total if total > 0 else 1.0)
        return torch.nn.functional.pad(shares, (0, n - len(shares)))

    def count_for(self, share: float) -> int:
        """Smallest number of components that explain more than `share` of the variance.

        Of components of which all have been looked for.
        """
        if not self.total > 0:
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
        noise = self.left(n) / max(1, n_features - n)
        noise = max(noise, LEAST_NOISE * self.total / n_features)
        spare = (variances - noise).clamp_(min=0)
        known = variances.clamp_min(noise)  # a component that is all noise tells nothing
        known = torch.where(known > 0, known, 1.0)
        log_variance = torch.where(spare > 0, (noise / known).log(), 0.0)
        return spare.sqrt() * self.unit, spare.sqrt() / known / self.unit, log_variance

    def discarded(self, n: int) -> float:
        """Variance left out by the first `n` components: PCA's squared error per row."""
        return self.left(n) * self.unit * self.unit  # may be infinite


def principal_components(
    rows: Rows, n_components: int | float | None = None
) -> PrincipalComponents:
    """Principal components of scaled rows.

    By the eigenvectors of the covariance where there are as many rows as features, and where its
    squares keep enough of the digits of what is asked; else by the singular vectors of the rows
    themselves, which takes a few times as long.

    Parameters
    ----------
    rows : Rows
    n_components : int, float or None
        How many will be used: a number, or a share of the variance. These are precise, and so is
        what they leave out; of thousands, no others may have been looked for. None: all, and
        each is precise.
    """
    blocks = repeated(rows, precise(rows.X.device))
    mean, unit = _centre(blocks, len(rows))

    def centred(size: int | None = None) -> Iterator[Tensor]:
        for block, w in blocks() if size is None else rows.blocks(mean.dtype, size):
            yield (block - mean).div_(unit).mul_(w**0.5)

    if len(rows) < rows.n_features:
        matrix = _solvable(torch.cat([*centred()]))
    else:
        covariance = mean.new_zeros(rows.n_features, rows.n_features)
        for block in centred():
            covariance.addmm_(block.T, block)
        found = _signed(
            mean, unit, *_eigenvectors(_solvable(covariance / len(rows)), n_components)
        )
        if _is_precise(found, n_components):
            return found
        size = max(_BLOCK // rows.n_features, _ROWS_A_FEATURE * rows.n_features)
        matrix = triangle(centred(size))
    _, singular, components = torch.linalg.svd(matrix, full_matrices=False)
    return _signed(mean, unit, singular.square() / len(rows), components.T)


def _centre(
    blocks: Callable[[], Iterable[tuple[Tensor, Tensor | float]]], n_rows: int
) -> tuple[Tensor, float]:
    """Mean (F,), as precise as can be, and a power of two just above the largest number."""
    mean, largest = 0.0, 0.0
    for block, w in blocks():
        mean = mean + weighted(block / n_rows, w).sum(0)
        largest = max(largest, float(block.abs().max()))
    return mean, _power_of_two(largest)


def _eigenvectors(
    covariance: Tensor, n_components: int | float | None
) -> tuple[Tensor, Tensor, float]:
    """Variances, falling, components, and the variance along all others."""
    if isinstance(n_components, Integral) and pays(len(covariance), int(n_components)):
        found = leading(covariance, int(n_components))
        if found is not None:
            variances, components = found
            return variances, components, float(covariance.trace() - variances.sum())
    variances, components = torch.linalg.eigh(covariance)
    return variances.flip(0), components.flip(1), 0.0


def _is_precise(found: PrincipalComponents, n_components: int | float | None) -> bool:
    """Whether the eigenvectors of a covariance are good enough for so many components.

    They are off by the rounding of the largest variance. That is nothing in a share of the total;
    in what is left out, the loss that training is to beat, it is a matter of how little that is.
    Where nothing is left out, nothing is lost.
    """
    n_features = len(found.components)
    n = n_features - 1 if n_components is None else n_components
    n = int(n) if isinstance(n, Integral) else found.count_for(n)
    return n >= n_features or found.left(n) >= _LEAST_LEFT * float(found.variances[0])


def triangle(blocks: Iterable[Tensor]) -> Tensor:
    """R (F, F) of the QR decomposition of rows, which has their singular values and vectors.

    Nothing is squared, and no more than a block is held.
    """
    found = None
    for block in map(_solvable, blocks):
        stacked = block if found is None else torch.cat([found, block])
        found = torch.linalg.qr(stacked, mode="r").R
    return found


def _signed(
    mean: Tensor, unit: float, variances: Tensor, components: Tensor, rest: float = 0.0
) -> PrincipalComponents:
    """Principal components with the signs that they have however they were found."""
    variances, components = variances.to(mean), components.to(mean)
    largest = components.gather(0, components.abs().argmax(0, keepdim=True))
    components = components * torch.where(largest < 0, -1.0, 1.0)
    return PrincipalComponents(mean, components, variances.clamp_(min=0), unit, rest)


def _solvable(matrix: Tensor) -> Tensor:
    """The matrix where torch.linalg works: on the CPU instead of Apple's GPUs."""
    return matrix.cpu().double() if matrix.device.type == "mps" else matrix
