"""Every rule about targets: numbers or classes, one a sequence or one a step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from .._core.interrupts import interrupts_deferred
from .._rows.content import Content, MatrixContent, RaggedContent
from .arrays import to_array_like, too_large_refused
from .kinds import (
    check_cells,
    familiar,
    holds_objects,
    is_list,
    is_missing,
    is_table,
    refuse_bytes,
    refuse_mask,
    refuse_nested,
    refuse_no_array,
    refuse_scalars,
)
from .plain import assert_all_finite, check_array
from .sequences import Sequences


@dataclass(frozen=True)
class Targets:
    """Targets of sequences.

    Attributes
    ----------
    values : ndarray of shape (Q, k)
        A row a sequence, or a row a valid step, sequence after sequence.
    starts : ndarray of shape (n,), int64
        Where those of a sequence begin.
    per_step : bool
    flat : bool
        Whether one answer is a number, not a vector.
    """

    values: np.ndarray
    starts: np.ndarray
    per_step: bool
    flat: bool

    def content(self, sequences: Sequences) -> Content:
        """What they add to the content of the sequences."""
        if self.per_step:
            return RaggedContent(self.values, self.starts, sequences.lengths)
        return MatrixContent(self.values)


def check_numbers(estimator, y, sequences: Sequences, *, per_step: bool, name="y") -> Targets:
    """Numeric targets, finite where there is a step."""
    _check_there(estimator, y)
    values, flat = _collected(y, sequences, per_step, name, _numeric)
    if not values.shape[1]:
        raise ValueError(f"{name} has 0 outputs.")
    if not per_step and not flat and values.shape[1] == 1:
        values, flat = column_or_1d(values, warn=True)[:, None], True
    return _targets(values, flat, sequences, per_step)


def check_labels(estimator, y, sequences: Sequences, *, per_step: bool, name="y") -> np.ndarray:
    """Class labels (Q,), one a sequence or one a valid step."""
    _check_there(estimator, y)
    values, flat = _collected(y, sequences, per_step, name, _label)
    if per_step and values.shape[1] != 1:
        raise ValueError(
            f"{name} has {values.shape[1]} values for each step; a classifier needs one class."
        )
    labels = values[:, 0] if flat or per_step else values
    _check_uniform(labels.ravel(), name)
    with interrupts_deferred(), np.errstate(over="ignore", invalid="ignore"):
        try:
            check_classification_targets(labels)
        except TypeError as error:  # from sorting them
            raise ValueError(_not_uniform(labels.ravel(), name)) from error
    return column_or_1d(labels, warn=True)


def indices_of(labels: np.ndarray, classes: np.ndarray, name: str = "y") -> np.ndarray:
    """Which of `classes`, which are sorted, each label is, (Q, 1)."""
    check_same_kind(labels, classes, name)
    unknown = np.setdiff1d(labels, classes)
    if len(unknown):
        raise ValueError(
            f"{name} contains classes that are not among those known: {unknown.tolist()[:5]}; "
            f"known are {classes.tolist()[:10]}."
        )
    return np.searchsorted(classes, labels)[:, None]


def classes_of(labels, name: str = "y") -> np.ndarray:
    """The different labels, sorted."""
    labels = np.asarray(labels) if not isinstance(labels, (list, tuple)) else labels
    if np.ndim(labels) != 1:
        raise ValueError(f"{name} must be a 1D array or list of classes, got {labels!r}.")
    if not len(labels):
        raise ValueError(f"{name} is empty.")
    _check_uniform(labels, name)
    return np.unique(labels)


def _check_uniform(labels, name: str) -> None:
    """Refuse labels that are names here and numbers there, or missing."""
    if hasattr(labels, "dtype") and not holds_objects(labels):
        return
    for label in labels:
        if isinstance(label, (list, tuple, set, dict, np.ndarray)):
            raise ValueError(f"{name} contains a {type(label).__name__} where a class should be.")
    kinds = {"text" if isinstance(label, (str, bytes)) else "number" for label in labels}
    if len(kinds) > 1 or any(is_missing(label) for label in labels):
        raise ValueError(_not_uniform(labels, name))


def _not_uniform(labels, name: str) -> str:
    found = list(dict.fromkeys(type(label).__name__ for label in labels))
    return (
        f"{name} must hold uniformly strings or numbers, got {list(labels)[:5]}, in which there "
        f"are {' and '.join(found)}; convert them with str, or leave missing ones out."
    )


def check_same_kind(labels: np.ndarray, classes: np.ndarray, name: str = "y") -> None:
    """Refuse to compare numbers with names."""
    text = [isinstance(part[0], (str, bytes)) for part in (labels, classes)]
    if text[0] != text[1]:
        kinds = ["strings" if is_text else "numbers" for is_text in text]
        raise ValueError(
            f"{name} holds {kinds[0]}, but the classes are {kinds[1]}: {classes.tolist()[:10]}."
        )


def as_targets(indices: np.ndarray, sequences: Sequences, per_step: bool) -> Targets:
    """Indices of classes as targets."""
    return _targets(indices, True, sequences, per_step)


def _targets(values, flat: bool, sequences: Sequences, per_step: bool) -> Targets:
    counts = sequences.lengths if per_step else np.ones(len(sequences), dtype=np.int64)
    return Targets(values, np.cumsum(counts) - counts, per_step, flat)


def _check_there(estimator, y) -> None:
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None."
        )


def _collected(y, sequences: Sequences, per_step: bool, name: str, convert):
    """Values (Q, k) that belong to a sequence or to a step, and whether k is no axis of y."""
    if not per_step:
        y = convert(y, name)
        if y.ndim > 2:
            raise ValueError(
                f"{name} has {y.ndim} dimensions; expected 1D or 2D, one row for each sequence. "
                "Set return_sequences=True to learn one output for each step."
            )
        if len(y) != len(sequences):
            check_consistent_length(sequences, y)  # which says so
        return (y[:, None], True) if y.ndim == 1 else (y, False)
    if sequences.n_steps is None or isinstance(y, (list, tuple)) or holds_objects(y):
        values = _joined(y, sequences, name, convert)
    else:
        y = _plain(y, name)
        check_consistent_length(sequences, y)
        expected = len(sequences), sequences.n_steps
        if y.ndim not in (2, 3) or y.shape[:2] != expected:
            raise ValueError(
                f"{name} has shape {y.shape}; return_sequences=True needs one value for each "
                f"step: {expected} or ({expected[0]}, {expected[1]}, n_outputs)."
            )
        values = convert(y[sequences.places()], name)
    return (values[:, None], True) if values.ndim == 1 else (values, False)


def _joined(y, sequences: Sequences, name: str, convert) -> np.ndarray:
    """Targets of the steps of all sequences, from a list with an item for each sequence."""
    refuse_no_array(y, name, 1)
    if hasattr(y, "dtype") and np.ndim(y) == 0:
        raise ValueError(f"Expected a list for {name} like X, with an array for each sequence.")
    check_consistent_length(sequences, y)
    parts = [convert(part, f"{name}[{i}]") for i, part in enumerate(y)]
    for i, (part, length) in enumerate(zip(parts, sequences.lengths, strict=True)):
        if part.ndim not in (1, 2) or len(part) != length:
            raise ValueError(
                f"{name}[{i}] has shape {part.shape}, but sequence {i} has {length} steps: with "
                f"return_sequences=True it must be ({length},) or ({length}, n_outputs)."
            )
        if part.ndim != parts[0].ndim or part.shape[1:] != parts[0].shape[1:]:
            raise ValueError(
                f"{name}[{i}] has shape {part.shape} and {name}[0] {parts[0].shape}: all need the "
                "same number of outputs."
            )
    if len({part.dtype.kind in "US" for part in parts}) > 1:
        raise ValueError(f"{name} must hold uniformly strings or numbers.")
    return np.concatenate(parts)


def _plain(y, name: str) -> np.ndarray:
    """Y as an array, of whatever dtype; what numpy would misread is refused."""
    if hasattr(y, "toarray"):
        raise TypeError(f"{name} is sparse; pass it dense, with .toarray().")
    if isinstance(y, torch.Tensor):
        return to_array_like(y, name)
    refuse_no_array(y, name, 1)
    refuse_mask(y, name)
    refuse_nested(y, name)
    y = y if is_table(y) else familiar(y, name)
    if is_list(y):
        refuse_scalars(y, name)
        for part in y:
            refuse_mask(part, name)
            if isinstance(part, (bytearray, memoryview)):  # bytes are no numbers here anyway
                refuse_bytes(part, name)
    try:
        y = np.asarray(y)
    except ValueError as error:
        raise ValueError(
            f"{name} has rows of unequal lengths; with return_sequences=True pass a list like X."
        ) from error
    if y.ndim == 0:
        raise ValueError(f"Expected 1D or 2D array for {name}, got a scalar.")
    return y


def _numeric(y, name: str) -> np.ndarray:
    """Finite float64."""
    y = _plain(y, name)
    kind = y.dtype.kind
    if kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {y.dtype}.")
    if kind not in "biufO" or (kind == "O" and _holds_text(y)):
        raise ValueError(f"{name} must be numeric, got dtype {y.dtype}.")
    try:
        if kind == "O":
            check_cells(y.flat, name)
        with too_large_refused(name):
            y = check_array(
                y,
                dtype=np.float64,
                ensure_2d=False,
                allow_nd=True,
                ensure_all_finite=False,
                ensure_min_samples=0,
                ensure_min_features=0,
                input_name=name,
            )
            assert_all_finite(y, input_name=name)
    except TypeError as error:
        raise ValueError(f"{name} must be numeric: {error}") from error
    return y


def _label(y, name: str) -> np.ndarray:
    """Anything that can name a class."""
    given, y = y, _plain(y, name)
    if y.dtype.kind in "cV":
        raise ValueError(f"{name} has dtype {y.dtype}, which names no classes.")
    if y.dtype.kind == "T":  # text of variable width, which scikit-learn does not know
        y = y.astype(object)
    labels: Iterable = y.flat if y.dtype == object else ()
    if y.dtype.kind in "US" and is_list(given):  # NumPy makes text of what is among text
        labels = list(_leaves(given))
    of_bytes = any(isinstance(label, bytes) for label in labels)
    if y.dtype.kind == "S" or of_bytes:
        raise TypeError(
            f"{name} of labels represented as bytes is not supported; convert them to text or "
            "integers."
        )
    if y.dtype.kind == "U":
        _check_uniform(labels, name)
    if y.dtype.kind in "mM" and np.isnat(y).any():
        raise ValueError(f"Input {name} contains NaN: a missing date, NaT.")
    if y.dtype.kind == "f":
        with too_large_refused(name):
            y = y.astype(np.float64) if y.itemsize > 8 else y
            assert_all_finite(y, input_name=name)
    return y


def _leaves(y) -> Iterator:
    """What lists of lists hold."""
    if is_list(y):
        for part in y:
            yield from _leaves(part)
    elif hasattr(y, "__array__"):
        yield from np.asarray(y).ravel().tolist()
    else:
        yield y


def _holds_text(y: np.ndarray) -> bool:
    return any(isinstance(value, (str, bytes)) for value in y.flat)
