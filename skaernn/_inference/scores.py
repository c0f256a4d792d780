"""How good answers are: shares of variance explained, and scores of sequences or their steps."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from .._core.device import exact_inference
from .._inputs.arrays import check_weights
from .._inputs.sequences import Sequences
from .._inputs.targets import check_labels, check_numbers, check_same_kind
from .._rows.matrix import Counted, weighted
from .._rows.moments import global_scale, moments
from .._rows.vectors import Rows
from ..networks import AutoencoderModule


def explained_share(
    rows: Rows | Counted,
    differences: Iterable[tuple[Tensor, Tensor | float]],
    unit: Tensor | float = 1.0,
    scale: Tensor | float = 1.0,
) -> float:
    """Share of the variance of unscaled `rows` that their reconstruction explains.

    Both sums are taken in units of the root mean variance, so that nothing overflows.

    Parameters
    ----------
    rows : Rows or Counted
    differences : iterable of (Tensor of shape (B, F), weights of shape (B, 1) or 1.0)
        Between rows and reconstructions, block by block, with weights of mean 1.
    unit : Tensor of shape (F,) or float
        What features count in; one number for all changes nothing.
    scale : Tensor of shape (F,) or float
        What differences are to be multiplied with, to be in these units.
    """
    mean, deviation = (moment / unit for moment in moments(rows))
    unit = global_scale(deviation).clamp_min(torch.finfo(deviation.dtype).tiny)
    total = float((deviation / unit).square().sum())
    residual = sum(
        float(weighted((difference * (scale / unit)).square(), weight).sum())
        for difference, weight in differences
    ) / len(rows)
    if total > 0:
        return 1.0 - residual / total
    rounding = float((4 * torch.finfo(rows.X.dtype).eps * mean / unit).square().sum())
    return 1.0 if residual <= rounding else 0.0


def explained_variance(module: AutoencoderModule, rows: Rows) -> float:
    """Share of the variance of `rows` (unscaled) that their reconstruction explains.

    Features count as they do in the loss: with a scale of its own, each in that.
    """
    one_scale = module.scale is not None and module.scale.dim() == 0
    unit = 1.0 if module.scale is None or one_scale else module.scale

    def differences():
        for block, weight in rows.blocks(rows.dtype, 1024):
            scaled = module.to_scaled(block)
            output = module.within(module.decoder(module.code(scaled)))
            yield (output - scaled).to(rows.dtype), weight

    with exact_inference(rows.X.device):
        return explained_share(rows, differences(), unit, module.scale if one_scale else 1.0)


def _weights(sample_weight, sequences: Sequences, per_step: bool) -> np.ndarray | None:
    weight = check_weights(sample_weight, sequences)
    return np.repeat(weight, sequences.lengths) if per_step and weight is not None else weight


def r2_of(
    estimator, sequences: Sequences, output: np.ndarray, y, sample_weight, *, per_step: bool
) -> float:
    """R^2 of `output`; `estimator` is named in messages."""
    targets = check_numbers(estimator, y, sequences, per_step=per_step)
    weight = _weights(sample_weight, sequences, per_step)
    # by a power of two, which rounds nothing: squares of very large and small targets are no more
    exponents = -np.frexp(np.abs(targets.values).max(axis=0))[1]
    with np.errstate(over="ignore", under="ignore"):  # what is infinite is refused
        values = [np.ldexp(part, exponents) for part in (targets.values, output)]
    return _r2(*values, weight)


def _r2(y: np.ndarray, output: np.ndarray, weight: np.ndarray | None) -> float:
    """What `r2_score` gives, whose checks take ten times as long as the sums of a small search.

    It is asked where there is more to it: weights, constant targets, what is not finite.
    """
    if weight is None and len(y) > 1:
        output = output.astype(np.float64, copy=False)
        with np.errstate(over="ignore", invalid="ignore"):
            residual = ((y - output) ** 2).sum(axis=0)
            total = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
        if np.isfinite(residual).all() and residual.all() and total.all():
            return float(np.mean(1 - residual / total))
    from sklearn.metrics import r2_score  # as scikit-learn's own `score`: on use

    return float(r2_score(y, output, sample_weight=weight))


def accuracy_of(
    estimator, sequences: Sequences, output: np.ndarray, y, sample_weight, *, per_step: bool
) -> float:
    """Share of rows of `output` whose largest column is the right one of ``classes_``."""
    labels = check_labels(estimator, y, sequences, per_step=per_step)
    weight = _weights(sample_weight, sequences, per_step)
    check_same_kind(labels, estimator.classes_)
    right = estimator.classes_[output.argmax(axis=1)] == labels
    return float(np.average(right, weights=weight))
