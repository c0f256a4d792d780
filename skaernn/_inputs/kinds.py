"""Kinds of data that NumPy would turn into numbers or text without a word."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from numbers import Number
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence

_DATES = "convert dates and durations to numbers first"
_INTERVALS = "intervals need their middle, .mid, or a column for each end, .left and .right"
_NESTED = "structured and nested data need a column for each value"

_NESTED_DTYPES = ("struct", "list", "large_list", "fixed_size_list", "array", "map")
_REFUSED_DTYPES = (  # how their names begin, the error, what to do; the first that fits counts
    (("interval",), TypeError, _INTERVALS),
    (
        ("datetime", "timedelta", "timestamp", "duration", "date", "time", "period"),
        TypeError,
        _DATES,
    ),
    (("void", "record", *_NESTED_DTYPES), ValueError, _NESTED),
    (
        ("str", "bytes", "utf8", "binary", "large_", "categor", "enum", "dictionary"),
        ValueError,
        "convert bytes/strings and categories to numbers explicitly",
    ),
    (("sparse",), TypeError, "make it dense first, with .sparse.to_dense()"),
)
_MOMENTS = (date, time, timedelta, np.datetime64, np.timedelta64)  # pandas' derive from these
_BYTES = (bytes, bytearray)
_PLAIN = {list, tuple, range, np.ndarray, torch.Tensor, int, float, np.int64, np.float64}


def check_dtype(dtype: Any, where: str) -> None:
    """Refuse dtypes that would be converted without a word."""
    text = str(getattr(dtype, "name", dtype)).lower()
    for beginnings, error, advice in _REFUSED_DTYPES:
        if text.startswith(beginnings):
            raise error(f"{where} has dtype {dtype}; {advice}.")


def refuse_nested(y: Any, name: str) -> None:
    """Refuse a series of structures or lists; NumPy would unfold some."""
    dtype = getattr(y, "dtype", None)
    if not isinstance(dtype, np.dtype) and str(dtype).lower().startswith(_NESTED_DTYPES):
        raise ValueError(f"{name} has dtype {dtype}; {_NESTED}.")


def check_cells(values: Iterable, where: str, nested: str = "") -> None:
    """Refuse Python objects that would be converted without a word, or in NumPy's words.

    Parameters
    ----------
    values : iterable
        Each is looked at by its type, of which there are few.
    where : str
        What messages call them.
    nested : str
        What to do about values that hold several numbers.
    """
    values = list(values)
    for kind in dict.fromkeys(map(type, values)):
        if issubclass(kind, (str, *_BYTES)):
            raise ValueError(
                f"{where} contains bytes/strings; convert them to numbers explicitly."
            )
        if issubclass(kind, (complex, np.complexfloating)):
            raise ValueError(f"Complex data not supported: {where} contains a {kind.__name__}.")
        if kind.__name__ == "NAType":  # of pandas, which need not be there
            raise ValueError(f"Input {where} contains NaN: a missing value, NA.")
        full_name = f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
        if issubclass(kind, _MOMENTS) or full_name == "pandas.Period":
            raise TypeError(f"{where} contains a {full_name}; {_DATES}.")
        if full_name == "pandas.Interval":
            raise TypeError(f"{where} contains a {full_name}; {_INTERVALS}.")
        if _holds_several(kind, values):
            raise ValueError(
                f"{where} contains a {kind.__name__} where a number should be{nested}."
            )
        if not _may_be_number(kind):
            raise TypeError(f"{where} contains a {kind.__name__} where a number should be.")


def _holds_several(kind: type, values: list) -> bool:
    if issubclass(kind, torch.Tensor):
        return any(value.ndim > 0 for value in values if type(value) is kind)
    return _defines(kind, "__len__") and not issubclass(kind, dict)


def _may_be_number(kind: type) -> bool:
    known = (Number, type(None), dict)  # scikit-learn refuses the last two, in words of its own
    return issubclass(kind, known) or _defines(kind, "__float__") or _defines(kind, "__index__")


def _defines(kind: type, method: str) -> bool:
    return any(method in vars(cls) for cls in kind.__mro__)  # not of its metaclass, as an Enum's


def holds_objects(X: Any) -> bool:
    """Whether X is one row of Python objects: arrays, perhaps."""
    if hasattr(type(X), "levels"):  # an index of several levels is one of labels
        return False
    return getattr(X, "ndim", 0) == 1 and str(getattr(X, "dtype", "")) == "object"


def is_list(X: Any) -> bool:
    """Whether X is a list, or as good as one: a tuple, a deque."""
    if isinstance(X, (list, tuple)):
        return True
    apart = (str, *_BYTES, memoryview)
    return isinstance(X, Sequence) and not isinstance(X, apart) and not hasattr(X, "__array__")


def is_missing(value: Any) -> bool:
    """Whether this marks a value that is not there: None, NaN, NaT or NA."""
    return value is None or type(value).__name__ == "NAType" or value != value


def is_table(X: Any) -> bool:
    """Whether X is a frame of pandas or polars, or a table of pyarrow."""
    return (hasattr(X, "columns") and hasattr(X, "dtypes")) or _is_arrow(X)


def _is_arrow(X: Any) -> bool:
    return hasattr(type(X), "column_names") and hasattr(type(X), "to_pandas")


def familiar(X: Any, name: str) -> Any:
    """X, but tables of pyarrow as frames, which keep their names, and ragged arrays as lists."""
    if _is_arrow(X):
        try:
            return X.to_pandas()
        except ImportError as error:
            raise TypeError(
                f"{name} is a {type(X).__name__} of pyarrow, whose names need pandas: install it, "
                f"for {name}.to_pandas(), or pass polars.from_arrow({name})."
            ) from error
    if hasattr(type(X), "to_list") and hasattr(type(X), "layout"):  # of awkward
        try:
            return np.asarray(X)
        except ValueError:
            return X.to_list()
    return X


def familiar_items(X: Iterable, name: str) -> list:
    """What a list holds, each as above."""
    items = list(X)
    if all_plain(items):
        return items
    return [familiar(item, f"{name}[{i}]") for i, item in enumerate(items)]


def all_plain(items: Iterable) -> bool:
    """Whether nothing in a list needs a look of its own: NumPy reads it as it is meant."""
    return set(map(type, items)) <= _PLAIN


def refuse_unread(X: Any, name: str) -> None:
    """Refuse what holds no data yet, or packed data."""
    if hasattr(type(X), "collect"):
        raise TypeError(
            f"{name} is a {type(X).__name__}, which holds no data yet; collect() first."
        )
    if isinstance(X, PackedSequence):
        raise TypeError(
            f"{name} is a PackedSequence; pass the sequences as a list, which "
            "torch.nn.utils.rnn.unpack_sequence gives."
        )


def refuse_no_array(X: Any, name: str, n_dims: int) -> None:
    """Refuse what holds no data, or other things than numbers."""
    refuse_unread(X, name)
    if _is_container(X) or _is_no_array(X):
        raise (TypeError if _is_container(X) else ValueError)(
            f"Expected {n_dims}D array, got {type(X).__name__} instead: pass {name} itself as a "
            f"NumPy array, a DataFrame or a tensor{_instead_of(X, name)}."
        )


def _instead_of(X: Any, name: str) -> str:
    """How to pass what is in X."""
    if hasattr(X, "to_dataframe"):
        return f", {name}.to_dataframe() perhaps"
    if isinstance(X, Mapping):
        return (
            f"; columns by name are pandas.DataFrame({name}), sequences by name are "
            f"list({name}.values())"
        )
    return f"; list({name}) holds what it yields" if isinstance(X, Iterator) else ""


def _is_container(X: Any) -> bool:
    data = sys.modules.get("torch.utils.data")
    wrappers = () if data is None else (data.Dataset, data.DataLoader)
    return isinstance(X, wrappers) or (isinstance(X, Mapping) and not hasattr(X, "toarray"))


def _is_no_array(X: Any) -> bool:
    if isinstance(X, (str, type, ModuleType)) or _is_bytes(X):
        return True
    kinds = ("__array__", "__array_interface__", "toarray", "dtype")
    return not isinstance(X, Sequence) and not any(hasattr(X, kind) for kind in kinds)


def _is_bytes(X: Any) -> bool:
    if isinstance(X, memoryview):
        return isinstance(X.obj, _BYTES) and X.format in ("B", "b", "c")
    return isinstance(X, _BYTES)


def refuse_bytes(row: Any, name: str) -> None:
    """Refuse bytes, which NumPy would read as small numbers."""
    if _is_bytes(row):
        raise ValueError(f"{name} contains bytes/strings; convert them to numbers explicitly.")


def refuse_scalars(rows: Any, name: str) -> None:
    """Refuse a list of pyarrow's scalars, of which NumPy sees the bytes."""
    while is_list(rows) and len(rows):
        rows = rows[0]
    if hasattr(type(rows), "as_py"):
        raise TypeError(
            f"{name} is a list of scalars of pyarrow; pass the array that they are from, or what "
            "its to_pylist() gives."
        )


def refuse_records(rows: Sequence, name: str) -> None:
    """Refuse a list of dicts."""
    if not any(issubclass(kind, Mapping) for kind in set(map(type, rows))):
        return
    for i, row in enumerate(rows):
        if isinstance(row, Mapping) and not hasattr(row, "toarray"):
            raise TypeError(
                f"{name}[{i}] is a {type(row).__name__}, whose names would be lost: pass records "
                f"as pandas.DataFrame({name}), and sequences as a list of arrays or frames."
            )


def refuse_mask(X: Any, name: str) -> None:
    """Refuse an array whose mask would be lost."""
    if isinstance(X, np.ma.MaskedArray):
        raise ValueError(
            f"Masked arrays are not supported, because the mask of {name} would be lost: fill or "
            "impute the masked values first."
        )


def refuse_steps_as_rows(X, name: str) -> None:
    """Refuse tables with a row for each step, whose rows would be read as sequences."""
    if type(X).__name__.endswith("GroupBy"):
        raise ValueError(
            f"Expected 2D array, got {type(X).__name__} instead: pass {name} as a list of its "
            f"groups, [part for _, part in {name}]."
        )
    if getattr(getattr(X, "index", None), "nlevels", 1) > 1:
        raise ValueError(
            f"{name} is a DataFrame with an index of {X.index.nlevels} levels, so that its rows "
            f"look like steps; a row of {name} is a sequence. For a sequence of each first level, "
            f"pass [part for _, part in {name}.sort_index().groupby(level=0)] (and y in that "
            f"order). If each row is a sequence, pass {name}.reset_index(drop=True)."
        )
