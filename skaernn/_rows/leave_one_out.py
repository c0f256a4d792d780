"""Ridge regression judged by the error of each row when it is left out, in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

_STRENGTHS = [10.0 ** (k / 2) for k in range(-4, 5)]  # 0.01 to 100


def ridge_strength(features: Tensor, targets: Tensor, weight: Tensor) -> float | None:
    """The strength of an L2 penalty with which the features foretell the targets best.

    What ridge regression with an intercept foretells of a row that is not among those it learns
    from is known without leaving any out (Allen 1974; Golub, Heath & Wahba 1979): the residual
    over one minus the leverage.

    Parameters
    ----------
    features : Tensor of shape (n, H)
    targets : Tensor of shape (n, T)
    weight : Tensor of shape (n, 1)
        Of the rows. A row is left out with all its weight.

    Returns
    -------
    strength : float or None
        Of 0.5 strength |W|^2 beside 0.5 w |error|^2, summed over rows, for weights w of mean 1:
        the best of some from 0.01 to 100. None: the mean foretells the targets better than any.
    """
    share = weight / weight.sum()
    root = (share * len(weight)).sqrt()
    features = root * (features - (share * features).sum(0))
    targets = root * (targets - (share * targets).sum(0))
    left, squares = _left_singular(features)
    explained = left.T @ targets  # (R, T)
    along, among = targets @ explained.T, explained @ explained.T  # (n, R), (R, R)
    own = targets.square().sum(1)

    def error(kept: Tensor) -> float:
        part = left * kept
        residual = own - (part * along).sum(1).mul_(2) + (part @ among).mul_(part).sum(1)
        rest = 1 - share[:, 0] - (part * left).sum(1)  # one minus the leverage
        return float((residual.clamp_min_(0) / rest.clamp_min_(1e-9).square_()).sum())

    errors = {strength: error(squares / (squares + strength)) for strength in _STRENGTHS}
    best = min(errors, key=errors.__getitem__)
    return best if errors[best] < error(torch.zeros_like(squares)) else None


def _left_singular(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Left singular vectors (n, R) of a matrix (n, H), and the squares of its singular values."""
    tall = matrix.shape[0] > matrix.shape[1]
    squares, vectors = torch.linalg.eigh(matrix.T @ matrix if tall else matrix @ matrix.T)
    some = squares > 1e-12 * squares[-1]
    squares, vectors = squares[some], vectors[:, some]
    return (matrix @ vectors) / squares.sqrt() if tall else vectors, squares
