"""Sequences in every form that an estimator of them takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

GARBAGE = "garbage"
JUNK = "noise, NaN or infinity"


def padded(parts: list, n_more: int, fill) -> np.ndarray:
    """Arrays (T_i, ...) in one of shape (n, max T_i + n_more, ...).

    Parameters
    ----------
    parts : list of ndarray
    n_more : int
        Steps beyond the end of the longest.
    fill : scalar
        What lies beyond the end of each; GARBAGE is noise of another size than the data, JUNK
        that or NaN or infinity, for one sequence after the other.
    """
    n_steps = max(len(part) for part in parts) + n_more
    shape = len(parts), n_steps, *parts[0].shape[1:]
    if isinstance(fill, str):
        junk = fill == JUNK
        fill = 1e3 * np.random.default_rng(1).normal(size=shape)
        if junk:
            fill[1::3], fill[2::3] = np.nan, np.inf
    X = np.empty(shape, dtype=parts[0].dtype)
    X[...] = fill
    for row, part in zip(X, parts, strict=True):
        row[: len(part)] = part
    return X


@dataclass(frozen=True)
class Form:
    """One form of X.

    Attributes
    ----------
    name : str
        What messages call it.
    layout : {"list", "array", "rows"}
        "rows" is 2-D, one step after the other. Sequences of unequal length need a list, or an
        array with `lengths` or with a `fill` of NaN.
    lengths : bool
        Whether `lengths` goes with it.
    n_more, fill
        See `padded`.
    """

    name: str
    layout: str
    lengths: bool = False
    n_more: int = 0
    fill: Any = 0

    def X(self, parts: list) -> Any:
        """Sequences in this form, copied."""
        if self.layout == "list":
            return [part.copy() for part in parts]
        X = padded(parts, self.n_more, self.fill)
        return X.reshape(len(X), -1) if self.layout == "rows" else X

    def y(self, parts: list, fill) -> Any:
        """Targets of steps, padded with `fill` as X is."""
        return list(parts) if self.layout == "list" else padded(parts, self.n_more, fill)

    def arguments(self, parts: list) -> dict:
        """What to pass beside X."""
        return {"lengths": np.array([len(part) for part in parts])} if self.lengths else {}


def with_lengths(n_more: int = 0, fill=0) -> Form:
    """A padded array with `lengths`."""
    name = f"an array with lengths, {n_more} spare step(s) and {fill} in the padding"
    return Form(name, "array", lengths=True, n_more=n_more, fill=fill)


def with_nan(n_more: int = 0) -> Form:
    """A padded array that says by NaN where sequences end."""
    name = f"an array with NaN beyond the ends and {n_more} spare step(s)"
    return Form(name, "array", n_more=n_more, fill=np.nan)


LIST = Form("a list", "list")
ARRAY = Form("a 3-D array", "array")
ROWS = Form("a 2-D array with n_channels", "rows")
