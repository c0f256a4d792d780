"""Every rule about input: what is taken, what is refused, and in which words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sized
from contextlib import contextmanager
from numbers import Number

import numpy as np
import torch

from .._core.compat import check_feature_names, check_n_features, check_sample_weight
from .._core.interrupts import interrupts_deferred
from .kinds import (
    all_plain,
    check_cells,
    check_dtype,
    familiar,
    holds_objects,
    is_list,
    is_table,
    refuse_bytes,
    refuse_mask,
    refuse_no_array,
    refuse_records,
    refuse_scalars,
    refuse_unread,
)
from .plain import all_finite, check_array, is_plain

FLOATS = [np.float64, np.float32]  # the first is what anything else becomes


def check_rows(
    estimator,
    X,
    *,
    reset: bool,
    name: str = "X",
    any_width: bool = False,
    finite: bool | Callable[[np.ndarray], None] = True,
) -> np.ndarray:
    """X as a finite float array of shape (n_samples, n_features); copied only to convert it.

    Parameters
    ----------
    estimator : estimator
        For messages, feature names and the number of features.
    X : array-like of shape (n_samples, n_features)
    reset : bool
        Whether to record the number and names of features, or to check against them.
    name : str
        What messages call X.
    any_width : bool
        Whether the number and names of features are nobody's concern.
    finite : bool or callable
        Whether all numbers must be, or what refuses those that must not. If not True, nor are
        they compared with what the network can hold.

    Raises
    ------
    TypeError
        For kinds of data that need a conversion only the user can choose.
    ValueError
        For wrong shapes, missing or infinite values, text.
    """
    if not reset and finite is True and _fits_as_it_is(X, estimator, any_width):
        return X
    X = to_array_like(X, name)
    if not any_width and not (is_plain(X) and not hasattr(estimator, "feature_names_in_")):
        check_feature_names(estimator, X, reset=reset)
    with too_large_refused(name):
        rows = check_array(
            X,
            dtype=_floats(X),
            ensure_all_finite=finite is True,
            estimator=estimator,
            input_name=name,
        )
    if callable(finite):
        finite(rows)
    if not any_width:
        check_n_features(estimator, rows, reset=reset)
    if not reset and finite is True:
        check_fits_network(lambda: rows, estimator, name)
    return rows


def _fits_as_it_is(X, estimator, any_width: bool) -> bool:
    """Whether a fitted estimator can read X without a further look."""
    if not is_plain(X, 2) or (X.dtype.char == "d" and _is_single(estimator)):
        return False
    if not any_width and (
        hasattr(estimator, "feature_names_in_") or X.shape[1] != estimator.n_features_in_
    ):
        return False
    return all_finite(X)


def check_codes(estimator, X) -> np.ndarray:
    """Codes as a finite float array of shape (n_samples, n_components_)."""
    X = to_array_like(X)
    with too_large_refused("X"):
        codes = check_array(X, dtype=_floats(X), estimator=estimator, input_name="X")
    expected = estimator.n_components_
    if codes.shape[1] != expected:
        raise ValueError(
            f"X has {codes.shape[1]} columns, but inverse_transform of "
            f"{type(estimator).__name__} expected {expected} components."
        )
    check_fits_network(lambda: codes, estimator, "X")
    return codes


def check_weights(sample_weight, X: Sized) -> np.ndarray | None:
    """Weights as an array of shape (n_samples,), or None; a scalar is the weight of every row."""
    if sample_weight is None:
        return None
    name = "sample_weight"
    if isinstance(sample_weight, Number):
        weights = np.asarray(sample_weight)
    else:
        weights = to_array_like(sample_weight, name, n_dims=1)
    if weights.shape == ():
        weights = np.full(len(X), weights)
    with too_large_refused(name):
        return check_sample_weight(weights, X)


def _floats(X) -> list:
    """What X may be; scikit-learn does not see the dtypes of a polars frame."""
    single = hasattr(X, "columns") and {str(dtype) for dtype in X.dtypes} == {"Float32"}
    return FLOATS[1:] if single else FLOATS


@contextmanager
def too_large_refused(name: str):
    """A number beyond float64 is a ValueError, and neither it nor a large sum is a warning."""
    try:
        with interrupts_deferred(), np.errstate(over="ignore", invalid="ignore"):
            yield
    except OverflowError as error:
        raise ValueError(
            f"Input {name} contains a value too large for dtype('float64'): {error}."
        ) from error


def check_validation_inputs(early_stopping: bool, inputs: dict | None) -> dict | None:
    """Arguments of `fit` for validation, or None; those that nothing would be done with refused.

    Parameters
    ----------
    early_stopping : bool
    inputs : dict or None
        X and what goes with it, each None if not passed.
    """
    passed = [name for name, value in (inputs or {}).items() if value is not None]
    if not passed:
        return None
    if "X" not in passed:
        raise ValueError(f"{passed[0]}_val was passed to fit without X_val.")
    if not early_stopping:
        raise ValueError(
            "X_val was passed to fit, but early_stopping is False, so that nothing would be done "
            "with it. Set early_stopping=True, or leave X_val out."
        )
    return inputs


def to_tensor(X: np.ndarray, device: torch.device) -> torch.Tensor:
    """`X` on the device, sharing its memory on the CPU; it is never written to."""
    if any(stride < 0 or stride % X.itemsize for stride in X.strides):  # not for torch
        X = np.ascontiguousarray(X)
    if not X.flags.writeable:
        X = np.asarray(_Readable(X))
    return torch.from_numpy(X).to(device)


class _Readable:
    """A read-only array announced as writeable: torch warns of such arrays, and has no flag."""

    def __init__(self, array: np.ndarray):
        self._array = array
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def check_fits_dtype(X: np.ndarray, dtype: torch.dtype, name: str = "X") -> None:
    """Refuse values that `dtype` cannot hold."""
    narrower = X.dtype == np.float64 and dtype == torch.float32
    if narrower and max(X.max(), -X.min()) > torch.finfo(dtype).max:
        raise ValueError(f"Input {name} contains a value too large for dtype('float32').")


def check_fits_network(numbers: Callable[[], np.ndarray], estimator, name: str) -> None:
    """As above, for the network that is there; validation rows of a first fit come before it."""
    if _is_single(estimator):
        check_fits_dtype(numbers(), torch.float32, name)


def _is_single(estimator) -> bool:
    """Whether there is a network, in float32."""
    return hasattr(estimator, "module_") and estimator.module_.dtype == torch.float32


def to_array_like(X, name: str = "X", n_dims: int = 2):
    """Refuse or convert what scikit-learn's own validation would misread."""
    if is_plain(X):
        return X
    if isinstance(X, torch.Tensor):
        return _from_torch(X, name)
    refuse_no_array(X, name, n_dims)
    X = familiar(X, name)
    if is_table(X):
        _check_frame(X, name)
        return X
    if is_list(X) or holds_objects(X):
        X = _from_list(X, name)
    if not hasattr(X, "dtype"):
        X = np.asarray(X)
    refuse_mask(X, name)
    check_dtype(X.dtype, name)
    if X.dtype == object:
        check_cells(np.asarray(X, dtype=object).flat, name)
    return X


def _from_torch(X: torch.Tensor, name: str) -> np.ndarray:
    if X.device.type not in ("cpu", "meta"):
        raise TypeError(
            f"{name} is a tensor on {X.device}; pass {name}.cpu(). The estimator moves batches to "
            "its own device."
        )
    kinds = {"meta": X.is_meta, "quantized": X.is_quantized, "nested": X.is_nested}
    kinds["sparse"] = X.layout != torch.strided
    for kind, is_one in kinds.items():
        if is_one:
            raise TypeError(f"{name} is a {kind} tensor; pass dense numbers, as a strided tensor.")
    if X.is_complex():
        raise ValueError(f"Complex data not supported: {name} is a tensor of {X.dtype}.")
    X = X.detach().resolve_neg()
    is_short = X.is_floating_point() and X.itemsize <= 2  # not all of these exist in NumPy
    return (X.double() if is_short else X).numpy()


def _from_list(X, name: str) -> np.ndarray:
    rows = [_from_torch(row, name) if isinstance(row, torch.Tensor) else row for row in X]
    rows = _checked_rows(rows, name)
    try:
        return np.asarray(rows)
    except ValueError as error:
        lengths = sorted({len(row) if np.iterable(row) else 1 for row in rows})
        if len(lengths) == 1:  # it may be what is in them
            cells = [cell for row in rows for cell in (row if isinstance(row, list) else [row])]
            check_cells((c for c in cells if not isinstance(c, (list, tuple, np.ndarray))), name)
        raise ValueError(
            f"{name} is a list of rows of unequal lengths or depths (lengths {lengths[0]} to "
            f"{lengths[-1]}); all rows need the same number of features."
        ) from error


def _checked_rows(rows: list, name: str) -> list:
    """Rows that NumPy reads as they are meant; most need no look of their own."""
    refuse_scalars(rows, name)
    if all_plain(rows):
        return rows
    refuse_records(rows, name)
    for i, row in enumerate(rows):
        refuse_unread(row, f"{name}[{i}]")
        refuse_mask(row, name)
        refuse_bytes(row, name)
        if is_table(row):
            raise ValueError(
                f"{name}[{i}] is a table where a row of numbers should be: pass one table, which "
                f"pandas.concat({name}) or polars.concat({name}) makes of several."
            )
        if not isinstance(getattr(row, "dtype", None), (np.dtype, type(None))):
            check_dtype(row.dtype, f"{name}[{i}]")
        rows[i] = familiar(row, f"{name}[{i}]")
    return rows


def _check_frame(X, name: str) -> None:
    """Refuse columns of a pandas or polars frame that would be converted without a word."""
    columns = list(X.columns)
    if not columns:
        raise ValueError(f"{name} is a DataFrame with 0 feature(s), that is, without columns.")
    repeated = sorted(str(column) for column, count in Counter(columns).items() if count > 1)
    if repeated:
        raise ValueError(f"{name} has duplicate column names: {', '.join(repeated)}.")
    for column, dtype in zip(columns, list(X.dtypes), strict=True):
        where = f"Column {column!r} of {name}"
        check_dtype(dtype, where)
        if str(dtype).lower() == "object":
            cells = f"np.column_stack(row) for row in {name}.to_numpy()"
            advice = f"; of a table of sequences, pass the sequences: [{cells}]"
            check_cells(X[column], where, nested=advice)
