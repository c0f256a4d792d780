"""Every rule about input: what is taken, what is refused, and in which words."""

from __future__ import annotations

import os
import sys
from collections import Counter
from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_array

from ._compat import Constraint, check_sample_weight, validate_data
from ._device import DEVICE_TYPES

FLOATS = [np.float64, np.float32]  # the first is what anything else becomes


class LayerSizes(Constraint):
    """Zero or more positive ints."""

    def is_satisfied_by(self, val):
        """Whether `val` is one."""
        if isinstance(val, Integral):
            return val >= 1
        if not isinstance(val, (tuple, list, np.ndarray)):
            return False
        return all(isinstance(width, Integral) and width >= 1 for width in val)

    def __str__(self):
        return "a tuple of ints in the range [1, inf)"


class Device(Constraint):
    """The name of a torch device, or a torch device."""

    def is_satisfied_by(self, val):
        """Whether `val` is one, available or not."""
        if isinstance(val, torch.device):
            return True
        if not isinstance(val, str):
            return False
        if val == "auto":
            return True
        try:
            torch.device(val)
        except RuntimeError:
            return False
        return True

    def __str__(self):
        names = ", ".join(repr(name) for name in DEVICE_TYPES)
        return f"a torch device such as 'auto', {names} or 'cuda:0'"


def check_rows(estimator, X, *, reset: bool) -> np.ndarray:
    """X as a finite float array of shape (n_samples, n_features); copied only to convert it.

    Parameters
    ----------
    estimator : estimator
        For messages, feature names and the number of features.
    X : array-like of shape (n_samples, n_features)
    reset : bool
        Whether to record the number and names of features, or to check against them.

    Raises
    ------
    TypeError
        For kinds of data that need a conversion only the user can choose.
    ValueError
        For wrong shapes, missing or infinite values, text.
    """
    try:
        return validate_data(estimator, to_array_like(X), dtype=FLOATS, reset=reset)
    except OverflowError as error:
        raise ValueError(
            f"Input X contains a value too large for dtype('float64'): {error}."
        ) from error


def check_codes(estimator, X) -> np.ndarray:
    """Codes as a finite float array of shape (n_samples, n_components_)."""
    codes = check_array(to_array_like(X), dtype=FLOATS, estimator=estimator, input_name="X")
    expected = estimator.n_components_
    if codes.shape[1] != expected:
        raise ValueError(
            f"X has {codes.shape[1]} columns, but inverse_transform of "
            f"{type(estimator).__name__} expected {expected} components."
        )
    return codes


def check_weights(sample_weight, X: np.ndarray) -> np.ndarray | None:
    """Weights as an array of shape (n_samples,), or None."""
    return None if sample_weight is None else check_sample_weight(sample_weight, X)


def check_unit_interval(X: np.ndarray, loss: str) -> None:
    """Refuse values outside [0, 1], which `loss` has no meaning for."""
    low, high = X.min(), X.max()
    if low < 0 or high > 1:
        raise ValueError(
            f"loss={loss!r} needs X in [0, 1], but X lies in [{low:.6g}, {high:.6g}]; "
            "rescale it, with MinMaxScaler say, or choose another loss."
        )


def to_tensor(X: np.ndarray, device: torch.device) -> torch.Tensor:
    """`X` on the device, sharing its memory on the CPU; it is never written to."""
    if any(stride < 0 for stride in X.strides):
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


def check_fits_dtype(X: np.ndarray, dtype: torch.dtype) -> None:
    """Refuse values that `dtype` cannot hold."""
    largest = torch.finfo(dtype).max
    if X.dtype == np.float64 and dtype == torch.float32 and np.abs(X).max() > largest:
        raise ValueError("Input X contains a value too large for dtype('float32').")


def check_memory(n_parameters: int, dtype: torch.dtype, layer_sizes) -> None:
    """Refuse a network that cannot fit into this machine's memory, before allocating any of it.

    Training needs seven vectors of parameters: weights, gradient, two moments, the best weights,
    a candidate and the module.
    """
    needed = 7 * n_parameters * dtype.itemsize
    try:
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not every system says
        available = sys.maxsize
    if needed > available:
        raise MemoryError(
            f"A network with layer sizes {tuple(layer_sizes)} has {n_parameters:.3g} parameters; "
            f"training it needs {needed / 2**30:.3g} GiB of memory, and this machine has "
            f"{available / 2**30:.3g} GiB. Choose smaller hidden_layer_sizes."
        )


def to_array_like(X):
    """Refuse or convert what scikit-learn's own validation would misread."""
    if isinstance(X, torch.Tensor):
        return _from_torch(X)
    if _is_container(X):
        raise TypeError(
            f"Expected an array of shape (n_samples, n_features), got {type(X).__name__}; pass "
            "the data itself as a NumPy array, a DataFrame or a tensor."
        )
    if X is None or isinstance(X, (str, bytes, set, frozenset)) or hasattr(X, "__next__"):
        raise ValueError(
            f"Expected 2D array, got {type(X).__name__} instead: pass an array-like of shape "
            "(n_samples, n_features)."
        )
    if isinstance(X, np.ma.MaskedArray):
        raise ValueError(
            "Masked arrays are not supported, because their masks would be lost: fill or impute "
            "the masked values first."
        )
    if hasattr(X, "collect") and not hasattr(X, "dtype"):
        raise TypeError(f"X is a {type(X).__name__}, which holds no data yet; collect() first.")
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        _check_frame(X)
        return X
    if isinstance(X, (list, tuple)):
        X = _from_list(X)
    if hasattr(X, "dtype"):
        _check_dtype(X)
    return X


def _from_torch(X: torch.Tensor) -> np.ndarray:
    if X.layout != torch.strided or X.is_meta:
        kind = "meta" if X.is_meta else "sparse"
        raise TypeError(f"{kind} tensors hold no dense data; pass X.to_dense() or real data.")
    if X.device.type != "cpu":
        raise TypeError(
            f"X is a tensor on {X.device}; pass X.cpu(). The estimator moves batches to its own "
            "device."
        )
    X = X.detach().resolve_conj().resolve_neg()
    return (X.double() if X.dtype == torch.bfloat16 else X).numpy()


def _is_container(X) -> bool:
    data = sys.modules.get("torch.utils.data")
    wrappers = () if data is None else (data.Dataset, data.DataLoader)
    return isinstance(X, wrappers) or (isinstance(X, dict) and not hasattr(X, "toarray"))


def _from_list(X) -> np.ndarray | list:
    lengths = {len(row) for row in X if isinstance(row, (list, tuple, np.ndarray))}
    if len(lengths) > 1:
        raise ValueError(
            f"X is a list of rows of unequal lengths, {min(lengths)} to {max(lengths)}; "
            "all rows need the same number of features."
        )
    return np.asarray(X)


def _check_dtype(X) -> None:
    """Refuse dtypes that would be converted without a word."""
    dtype = X.dtype
    kind = getattr(dtype, "kind", "")
    if getattr(dtype, "names", None):
        raise ValueError(
            f"Structured arrays are not supported (fields {', '.join(dtype.names)}); pass a 2D "
            "array with one column a field."
        )
    if kind in ("M", "m"):
        raise TypeError(f"X has dtype {dtype}; convert dates and durations to numbers first.")
    if kind in ("S", "U", "T"):
        raise ValueError("X has a dtype of bytes/strings; convert it to numbers explicitly.")
    if kind == "O" and isinstance(X, np.ndarray):
        if any(isinstance(value, (str, bytes)) for value in X.flat):
            raise ValueError("X contains bytes/strings; convert it to numbers explicitly.")


def _check_frame(X) -> None:
    """Refuse columns of a pandas or polars frame that would be converted without a word."""
    columns = list(X.columns)
    repeated = sorted(str(name) for name, count in Counter(columns).items() if count > 1)
    if repeated:
        raise ValueError(f"X has duplicate column names: {', '.join(repeated)}.")
    dtypes = list(X.dtypes)
    for name, dtype in zip(columns, dtypes, strict=True):
        text = str(dtype).lower()
        if text.startswith(("datetime", "timedelta", "duration", "date", "time", "period")):
            raise TypeError(
                f"Column {name!r} has dtype {dtype}; convert dates and durations to numbers first."
            )
        if text.startswith(("category", "categorical", "enum", "str", "utf8", "binary")):
            raise ValueError(
                f"Column {name!r} has dtype {dtype}; encode text and categories as numbers first."
            )
        if text == "object" and any(isinstance(v, (str, bytes)) for v in X[name]):
            raise ValueError(f"Column {name!r} contains bytes/strings; convert it to numbers.")
