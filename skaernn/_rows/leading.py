"""Leading eigenvectors of a large covariance matrix, where few of many are wanted."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SMALLEST, _FOR_EACH = 2000, 50  # rows of the matrix from which on it pays, and of each column
_EXTRA = 8  # columns beside the wanted ones
_DEPTH = 6  # powers of the matrix between restarts
_MOST = 10  # restarts: a third of the time that all eigenvectors take
_RESIDUAL = 1e-13  # relative to the largest eigenvalue: some hundred times its rounding


def pays(size: int, n: int) -> bool:
    """Whether `leading` is at least worth a try for `n` eigenvectors of so many."""
    return size >= max(_SMALLEST, _FOR_EACH * (n + _EXTRA))


def leading(matrix: Tensor, n: int) -> tuple[Tensor, Tensor] | None:
    """The `n` largest eigenvalues of a symmetric matrix (F, F), falling, and their eigenvectors.

    Block Krylov with restarts: Rayleigh-Ritz in the span of X, A X, ..., A^5 X, whose best
    vectors are the next X (Golub & Underwood 1977). It ends where all residuals are rounding,
    so that nobody can tell the result from that of a full decomposition, or else with None: where
    eigenvalues lie close, as those of noise do, it would take too long, which shows early.

    The first X is drawn, always the same. It has more columns than are wanted, so that no
    eigenvalue is found fewer times than it is there.
    """
    generator = torch.Generator("cpu").manual_seed(0)
    shape = len(matrix), n + _EXTRA
    draw = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")
    start, last = _orthonormal(draw.to(matrix)), math.inf
    for restart in range(1, _MOST + 1):
        basis, images = _krylov(matrix, start)
        small = basis.T @ images
        values, inner = torch.linalg.eigh((small + small.T) / 2)
        values, inner = values.flip(0)[: n + _EXTRA], inner.flip(1)[:, : n + _EXTRA]
        start = basis @ inner
        residuals = torch.linalg.vector_norm((images @ inner - start * values)[:, :n], dim=0)
        worst = float(residuals.max() / values[0]) if values[0] > 0 else 0.0
        if worst <= _RESIDUAL:
            return values[:n], start[:, :n].contiguous()
        if restart > 2:  # the first one has yet to find the directions
            pace = math.log(last / worst) if worst < last else 0.0
            if pace * (_MOST - restart) < math.log(worst / _RESIDUAL):
                return None
        last = worst
    return None


def _krylov(matrix: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """An orthonormal basis of the powers' span, (F, depth B), and what the matrix makes of it."""
    basis, images = start, matrix @ start
    for _ in range(_DEPTH - 1):
        new = images[:, -start.shape[1] :]
        for _ in range(2):  # once leaves the rounding of what was taken away
            new = _orthonormal(new - basis @ (basis.T @ new))
        basis, images = torch.cat([basis, new], 1), torch.cat([images, matrix @ new], 1)
    return basis, images


def _orthonormal(columns: Tensor) -> Tensor:
    return torch.linalg.qr(columns).Q
