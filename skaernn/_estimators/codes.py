"""What autoencoders have in common, whatever they encode."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._core.constraints import check_count
from .._rows.moments import gaussian


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
