"""Arrays of which there is nothing to be said: floats as they should be, all of them finite.

For one row the checks of anything else take longer than the network does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def is_plain(X: Any, n_dims: int) -> bool:
    """Whether X is an array of floats, of so many dimensions and not empty."""
    return (
        type(X) is np.ndarray
        and X.dtype.char in "fd"
        and X.dtype.isnative
        and X.ndim == n_dims
        and X.size > 0
    )


def all_finite(X: np.ndarray) -> bool:
    """Whether the sum of floats says that all are finite; False where it cannot tell."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(X.sum())
