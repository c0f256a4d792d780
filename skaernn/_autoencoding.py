"""What autoencoders have in common, whatever they encode."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ._constraints import check_count
from ._principal import gaussian, global_scale, moments
from ._rows import Rows
from ._sequence_rows import Counted

CODE_SAMPLE = 1024  # rows from which the moments of the codes are estimated


class AutoencodingMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Codes: their type, their names, new ones."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self):
        """For `get_feature_names_out`."""
        return self.n_components_

    def _draw_codes(self, n_samples, random_state) -> np.ndarray:
        """Codes (n_samples, n_components_), from a Gaussian."""
        check_is_fitted(self)
        shape = check_count(n_samples, "n_samples"), self.n_components_
        normal = check_random_state(random_state).standard_normal(shape)
        with np.errstate(over="ignore"):  # of codes beyond float32
            return self._spread(normal).astype(self.code_mean_.dtype)

    def _spread(self, normal: np.ndarray) -> np.ndarray:
        """Codes (n, C) as the training codes are distributed, of standard normal numbers."""
        # copies: what comes from a memory-mapped file cannot be written to, and torch minds
        mean, covariance = (
            torch.from_numpy(np.array(moment, dtype=np.float64))
            for moment in (self.code_mean_, self.code_covariance_)
        )
        return gaussian(mean, covariance, torch.from_numpy(normal)).numpy()


def weighted_moments(codes: Tensor, weight: Tensor, dtype: torch.dtype):
    """Mean (C,) and covariance (C, C) of `codes` (n, C), weighted by (n, 1), as arrays."""
    weight = weight / weight.sum()
    mean = (weight * codes).sum(0)
    codes = codes - mean
    covariance = (weight * codes).T @ codes
    return mean.to(dtype).cpu().numpy(), covariance.to(dtype).cpu().numpy()


def explained_share(
    rows: Rows | Counted,
    differences: Iterable[tuple[Tensor, Tensor | float]],
    scale: Tensor | float = 1.0,
) -> float:
    """Share of the variance of unscaled `rows` that their reconstruction explains.

    Both sums are taken in units of the root mean variance, so that nothing overflows.

    Parameters
    ----------
    rows : Rows or Counted
    differences : iterable of (Tensor of shape (B, F), weights of shape (B, 1) or 1.0)
        Between rows and reconstructions, block by block, with weights of mean 1.
    scale : Tensor of shape (F,) or float
        What differences are to be multiplied with, to be in the units of `rows`.
    """
    mean, deviation = moments(rows)
    unit = global_scale(deviation)
    total = float((deviation / unit).square().sum())
    residual = sum(
        float((weight * (difference * (scale / unit)).square()).sum())
        for difference, weight in differences
    ) / len(rows)
    if total > 0:
        return 1.0 - residual / total
    rounding = float((4 * torch.finfo(rows.X.dtype).eps * mean / unit).square().sum())
    return 1.0 if residual <= rounding else 0.0
