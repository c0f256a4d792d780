"""scikit-learn's checks of arrays, not asked where they would find nothing to do or to say.

Of a small array they take as long as several steps of training: they look for every kind of table,
and change the filters of warnings, which all threads share.
"""

from __future__ import annotations

import numpy as np
import sklearn.utils

_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))  # in the order of bytes that is native


def is_plain(X) -> bool:
    """Whether X is an array of floats and nothing else: no subclass, no table, no list."""
    return type(X) is np.ndarray and X.dtype in _FLOATS


def check_array(
    X, *, dtype, ensure_2d: bool = True, allow_nd: bool = False, ensure_all_finite=True, **how
) -> np.ndarray:
    """As scikit-learn's; to be called where overflow is no warning."""
    dtypes = dtype if isinstance(dtype, list) else [dtype]
    if is_plain(X) and X.size > 0 and X.dtype in dtypes:
        fits = X.ndim == 2 or (X.ndim > 2 and allow_nd) or (X.ndim == 1 and not ensure_2d)
        if fits and (ensure_all_finite is False or _is_finite(X)):
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
    """As scikit-learn's; to be called where overflow is no warning."""
    if not (is_plain(X) and _is_finite(X)):
        sklearn.utils.assert_all_finite(X, **how)


def _is_finite(X: np.ndarray) -> bool:
    """Whether all of X is; some sums of finite numbers are not."""
    return bool(np.isfinite(X.sum()))
