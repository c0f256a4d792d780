"""Every rule about targets: numbers or classes, one a sequence or one a step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.utils import assert_all_finite, check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from ._content import Content, MatrixContent, RaggedContent
from ._sequences import Sequences
from ._validation import to_array_like, too_large_refused


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
    if not per_step and not flat and values.shape[1] == 1:
        values, flat = column_or_1d(values, warn=True)[:, None], True
    return _targets(values, flat, sequences, per_step)


def check_labels(
    estimator, y, sequences: Sequences, *, per_step: bool, name="y"
) -> tuple[np.ndarray, bool]:
    """Class labels (Q,), one a sequence or one a valid step."""
    _check_there(estimator, y)
    values, flat = _collected(y, sequences, per_step, name, np.asarray)
    if not per_step:
        check_classification_targets(values[:, 0] if flat else values)
    if not flat:
        values = column_or_1d(values, warn=not per_step)[:, None]
    labels = values[:, 0]
    if per_step:
        check_classification_targets(labels)
    return labels


def indices_of(labels: np.ndarray, classes: np.ndarray, name: str = "y") -> np.ndarray:
    """Which of `classes`, which are sorted, each label is, (Q, 1)."""
    unknown = np.setdiff1d(labels, classes)
    if len(unknown):
        raise ValueError(
            f"{name} contains classes that are not among those known: {unknown.tolist()[:5]}; "
            f"known are {classes.tolist()[:10]}."
        )
    return np.searchsorted(classes, labels)[:, None]


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
        y = convert(_plain(y, name), name) if convert is _numeric else _plain(y, name)
        if np.ndim(y) > 2:
            raise ValueError(
                f"{name} has {np.ndim(y)} dimensions; expected 1D or 2D, one row for each "
                "sequence. Set return_sequences=True to learn one output for each step."
            )
        check_consistent_length(sequences, y)
        return (y[:, None], True) if y.ndim == 1 else (y, False)
    if sequences.n_steps is None or isinstance(y, (list, tuple)) or _is_ragged(y):
        parts = [np.asarray(part) for part in y]
        check_consistent_length(sequences, parts)
        for i, (part, length) in enumerate(zip(parts, sequences.lengths, strict=True)):
            if part.ndim not in (1, 2) or len(part) != length:
                raise ValueError(
                    f"{name}[{i}] has shape {part.shape}, but sequence {i} has {length} steps: "
                    f"with return_sequences=True it must be ({length},) or ({length}, n_outputs)."
                )
            if part.ndim != parts[0].ndim or part.shape[1:] != parts[0].shape[1:]:
                raise ValueError(
                    f"{name}[{i}] has shape {part.shape} and {name}[0] {parts[0].shape}: all "
                    "need the same number of outputs."
                )
        values = np.concatenate(parts)
    else:
        y = _plain(y, name)
        check_consistent_length(sequences, y)
        expected = len(sequences), sequences.n_steps
        if y.ndim not in (2, 3) or y.shape[:2] != expected:
            raise ValueError(
                f"{name} has shape {y.shape}; return_sequences=True needs one value for each "
                f"step: {expected} or {(*expected, 'n_outputs')}."
            )
        values = y[sequences.places()]
    values = convert(values, name) if convert is _numeric else values
    return (values[:, None], True) if values.ndim == 1 else (values, False)


def _is_ragged(y) -> bool:
    return isinstance(y, np.ndarray) and y.dtype == object and y.ndim == 1


def _plain(y, name: str) -> np.ndarray:
    """Y as an array, of whatever dtype; what numpy would misread is refused."""
    if hasattr(y, "toarray"):
        raise TypeError(f"{name} is sparse; pass it dense, with .toarray().")
    if isinstance(y, np.ma.MaskedArray):
        raise ValueError(f"{name} is a masked array, whose mask would be lost; fill it first.")
    if hasattr(y, "detach") or hasattr(type(y), "collect"):
        y = to_array_like(y, name)
    try:
        y = np.asarray(y)
    except ValueError as error:
        raise ValueError(
            f"{name} has rows of unequal lengths; with return_sequences=True pass a list like X."
        ) from error
    if y.ndim == 0:
        raise ValueError(f"Expected 1D or 2D array for {name}, got a scalar.")
    return y


def _numeric(y: np.ndarray, name: str) -> np.ndarray:
    """Finite float64."""
    kind = y.dtype.kind
    if kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {y.dtype}.")
    if kind not in "biufO" or (kind == "O" and _holds_text(y)):
        raise ValueError(f"{name} must be numeric, got dtype {y.dtype}.")
    try:
        with too_large_refused(name):
            y = check_array(
                y,
                dtype=np.float64,
                ensure_2d=False,
                allow_nd=True,
                ensure_all_finite=False,
                input_name=name,
            )
    except TypeError as error:
        raise ValueError(f"{name} must be numeric: {error}") from error
    assert_all_finite(y, input_name=name)
    return y


def _holds_text(y: np.ndarray) -> bool:
    return any(isinstance(value, (str, bytes)) for value in y.flat)
