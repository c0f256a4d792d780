"""Codes of whatever is encoded: what they are called, and new ones."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.utils import Tags, check_random_state

from .._core.constraints import check_count
from .._core.interrupts import interrupts_deferred
from .._inputs.memory import check_fits_memory
from .._rows.moments import gaussian


def code_tags(tags: Tags) -> Tags:
    """Tags of a transformer that answers in X's own type."""
    tags.transformer_tags.preserves_dtype = ["float64", "float32"]
    return tags


def standard_normal(
    n_samples: int,
    n_components: int,
    random_state: int | np.random.RandomState | None,
    size: int,
) -> np.ndarray:
    """Numbers (n_samples, n_components), float64, from N(0, 1).

    None are drawn where memory cannot hold what is to become of them, `size` numbers a sample.
    """
    n_samples = check_count(n_samples, "n_samples")
    needed = n_samples * (n_components + size)
    check_fits_memory("n_samples", f"{n_samples} samples", needed)
    return check_random_state(random_state).standard_normal((n_samples, n_components))


def spread_like(mean: np.ndarray, covariance: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Codes (n, C) from a Gaussian of these moments, in their type, of standard normal numbers."""
    # copies: what comes from a memory-mapped file cannot be written to, and torch minds
    centre, spread = (torch.from_numpy(np.array(m, dtype=np.float64)) for m in (mean, covariance))
    codes = gaussian(centre, spread, torch.from_numpy(normal)).numpy()
    with interrupts_deferred(), np.errstate(over="ignore"):  # of codes beyond float32
        return codes.astype(mean.dtype)
