"""Windows of long series, and what follows each: X and y for learning to forecast."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from sklearn.utils import check_array

from .._core.compat import InvalidParameterError
from .arrays import FLOATS, to_array_like, too_large_refused
from .kinds import familiar_items, holds_objects, is_list, refuse_no_array, refuse_records


def sliding_windows(
    series: ArrayLike | Sequence[ArrayLike], window: int, horizon: int = 1, *, step: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Cut series into windows of equal length, and say what follows each.

    Window i of a series s is ``s[i * step : i * step + window]``; its target is the `horizon`
    values after that. A series of n steps gives ``(n - window - horizon) // step + 1`` windows.

    Parameters
    ----------
    series : array-like of shape (n_steps,) or (n_steps, n_channels), or a list of such
        One series, or several, which may be of unequal length but have the same channels; no
        window reaches from one series into the next. An index is not looked at: steps count as
        equally far apart.

        - An array, tensor, Series, DataFrame or (nested) list of numbers is one series.
        - A list, tuple or object array of arrays, tensors, Series or DataFrames is several.
    window : int
        Steps in a window, at least 1.
    horizon : int, default=1
        Steps to forecast, at least 1.
    step : int, default=1
        Steps from the start of a window to the start of the next, at least 1.

    Returns
    -------
    X : ndarray of shape (n_windows, window, n_channels)
        The windows, float32 if all series are, else float64. Those of one series after those of
        the one before. Read-only: windows overlap, and those of a single series share memory, so
        that they take no more of it than the series. They are views of a copy; changing `series`
        later does not change them. ``X.copy()`` can be written to.
    y : ndarray of shape (n_windows, horizon * n_channels) or (n_windows,)
        What follows each window, of X's dtype: all channels of the first step, then all of the
        second, and so on. One-dimensional if that is one number. ``y.reshape(-1, horizon,
        n_channels)`` has steps and channels apart.

    Raises
    ------
    InvalidParameterError
        A ValueError and TypeError, if `window`, `horizon` or `step` is no positive int.
    ValueError
        If a series, also one among many, is shorter than ``window + horizon``, if channels
        differ, or if there are missing, infinite, complex or masked values or text.
    TypeError
        For kinds of data that need a conversion only the user can choose, such as dates.

    Notes
    -----
    Neighbouring windows share most of their values, so a test set drawn at random has been seen
    in training. Cut the series in time first, and make windows of each part.

    The window to forecast the future from has no target yet, and so is not in X: it is
    ``series[-window:]``, as an array of shape (1, window, n_channels).

    A gap need not be filled: cut the series there and pass the parts as a list.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from skaernn import sliding_windows
    >>> series = np.sin(np.arange(200) / 5)
    >>> X, y = sliding_windows(series[:150], window=12, horizon=2)
    >>> X.shape, y.shape
    ((137, 12, 1), (137, 2))
    >>> model = LinearRegression().fit(X[..., 0], y)
    >>> X_test, y_test = sliding_windows(series[150:], window=12, horizon=2)
    >>> round(model.score(X_test[..., 0], y_test), 3)
    1.0

    Several series, of two channels each:

    >>> X, y = sliding_windows([np.zeros((10, 2)), np.ones((7, 2))], window=4)
    >>> X.shape, y.shape
    ((9, 4, 2), (9, 2))
    """
    window = _check_count("window", window)
    horizon, step = _check_count("horizon", horizon), _check_count("step", step)
    parts = _check_series(series)
    _check_lengths(parts, window, horizon)
    pairs = [_cut(part, window, horizon, step) for part in parts.values()]
    X, y = pairs[0] if len(pairs) == 1 else map(np.concatenate, zip(*pairs, strict=True))
    X.flags.writeable = False  # for several series too: what works with many works with one
    return X, y.ravel() if y.shape[1] == 1 else y


def _cut(
    series: np.ndarray, window: int, horizon: int, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Windows of one series (T, C) as a view (m, window, C), targets as a copy (m, horizon·C)."""
    # (T, C) -> (T - window - horizon + 1, C, window + horizon) -> (m, window + horizon, C)
    both = sliding_window_view(series, window + horizon, axis=0)[::step].swapaxes(1, 2)
    return both[:, :window], both[:, window:].copy().reshape(len(both), -1)


def _check_count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise InvalidParameterError(
            f"The {name!r} parameter of sliding_windows must be an int in the range [1, inf). "
            f"Got {value!r} instead."
        )
    return int(value)  # sums of numpy's small ints would wrap round


def _check_series(series: Any) -> dict[str, np.ndarray]:
    """The series, as copies of shape (T, C) of our own, by what messages call them."""
    refuse_no_array(series, "series", 1)
    if is_list(series) or holds_objects(series):
        series = familiar_items(series, "series")
    if not _is_several(series):
        return {"series": _check_one(series, "series")}
    parts = {f"series[{i}]": _check_one(one, f"series[{i}]") for i, one in enumerate(series)}
    first = parts["series[0]"]
    for name, part in parts.items():
        if part.shape[1] != first.shape[1]:
            raise ValueError(
                f"{name} has {part.shape[1]} channels, but series[0] has {first.shape[1]}; all "
                "series need the same channels."
            )
    named = [list(one.columns) for one in series if hasattr(one, "columns")]
    for columns in named:
        if columns != named[0]:
            raise ValueError(
                f"series is a list of DataFrames with columns {named[0]} and {columns}; all "
                "series need the same channels, in the same order."
            )
    return parts


def _is_several(series: Any) -> bool:
    """Whether this is a list of arrays, rather than one series written as a list."""
    if not isinstance(series, list) or set(map(type, series)) <= {int, float}:
        return False
    refuse_records(series, "series")
    if any(len(getattr(one, "shape", ())) > 0 for one in series):
        return True
    if len({len(one) for one in series if is_list(one)}) > 1:
        raise ValueError(
            "series is a list of lists of unequal lengths; pass several series as a list of "
            "arrays, with np.asarray of each."
        )
    return False


def _check_one(series: Any, name: str) -> np.ndarray:
    """One series as a finite float array (T, C) of its own, C-contiguous."""
    array = to_array_like(series, name, n_dims=1)
    shape = tuple(array.shape)
    if len(shape) not in (1, 2):
        raise ValueError(
            f"Expected {name} of shape (n_steps,) or (n_steps, n_channels), got shape {shape} "
            "instead; pass several series as a list of arrays."
        )
    dtypes = {str(d) for d in (array.dtypes if hasattr(array, "columns") else [array.dtype])}
    if any(dtype.startswith("complex") for dtype in dtypes):
        raise ValueError(
            f"Complex data not supported: {name} has complex numbers; pass real and imaginary "
            "parts as two channels."
        )
    with too_large_refused(name):
        array = check_array(
            array,
            dtype=FLOATS[1:] if dtypes == {"Float32"} else FLOATS,  # of pandas and polars
            order="C",
            copy=True,
            ensure_2d=False,
            ensure_all_finite=False,
            input_name=name,
        )
    _check_finite(array, name)
    return array.reshape(len(array), -1)  # (T,) -> (T, 1)


def _check_finite(array: np.ndarray, name: str) -> None:
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if finite.all():
        return
    at = int(finite.argmin())
    if np.isnan(array[at]).any():
        raise ValueError(
            f"Input {name} contains NaN, first at step {at}: fill gaps before, or cut the series "
            "there and pass the parts as a list."
        )
    raise ValueError(
        f"Input {name} contains infinity or a value too large for {array.dtype!r}, first at step "
        f"{at}: replace it, or cut the series there and pass the parts as a list."
    )


def _check_lengths(parts: dict[str, np.ndarray], window: int, horizon: int) -> None:
    needed = window + horizon
    short = {name: len(part) for name, part in parts.items() if len(part) < needed}
    if not short:
        return
    name, length = next(iter(short.items()))
    others = f" ({len(short)} of {len(parts)} series are too short)" if len(parts) > 1 else ""
    advice = "leave such series out, or " if len(parts) > 1 else ""
    raise ValueError(
        f"{name} has {length} steps, but window={window} and horizon={horizon} need at least "
        f"{needed}{others}; {advice}choose a smaller window or horizon."
    )
