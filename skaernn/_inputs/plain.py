"""Arrays of which there is nothing to be said: floats, most often all of them finite.

scikit-learn's checks of a small array take as long as several steps of training, or as the answer
to a sequence: they look for every kind of table, and change the filters of warnings, which all
threads share. So they are not asked where they would find nothing to do or to say.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import sklearn.utils

from .._core.interrupts import interrupts_deferred

_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))  # in the order of bytes that is native


def is_plain(X: Any, n_dims: int | None = None) -> bool:
    """Whether X is an array of floats and nothing else: no subclass, no table, no list.

    With `n_dims`: of so many dimensions, too, and not empty.
    """
    if type(X) is not np.ndarray or X.dtype not in _FLOATS:
        return False
    return n_dims is None or (X.ndim == n_dims and X.size > 0)


def all_finite(X: np.ndarray) -> bool:
    """Whether the sum of floats says that all are finite; False where it cannot tell."""
    with interrupts_deferred(), np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(X.sum())


def check_array(
    X, *, dtype, ensure_2d: bool = True, allow_nd: bool = False, ensure_all_finite=True, **how
) -> np.ndarray:
    """As scikit-learn's."""
    dtypes = dtype if isinstance(dtype, list) else [dtype]
    if is_plain(X) and X.size > 0 and X.dtype in dtypes:
        fits = X.ndim == 2 or (X.ndim > 2 and allow_nd) or (X.ndim == 1 and not ensure_2d)
        if fits and (ensure_all_finite is False or all_finite(X)):
            return X
    return sklearn.utils.check_array(
        X,
        dtype=dtype,
        ensure_2d=ensure_2d,
        allow_nd=allow_nd,
        ensure_all_finite=ensure_all_finite,
        **how,
    )


def assert_all_finite(X, **how) -> None:
    """As scikit-learn's."""
    if not (is_plain(X) and all_finite(X)):
        sklearn.utils.assert_all_finite(X, **how)
