"""Kinds of values that scikit-learn has no constraint for."""

from __future__ import annotations

import re
from collections.abc import Collection
from numbers import Integral, Real

import numpy as np
import torch

from .compat import Constraint
from .device import DEVICE_TYPES


def check_count(value, name: str) -> int:
    """An argument of a method that is to be a positive int."""
    if not isinstance(value, Integral) or value is True or value < 1:
        raise ValueError(f"{name} must be a positive int, got {value!r}.")
    return int(value)


class LayerSizes(Constraint):
    """Zero or more positive ints."""

    def is_satisfied_by(self, val):
        """Whether `val` is one."""
        if isinstance(val, Integral):
            return val >= 1
        if not isinstance(val, (tuple, list, np.ndarray)) or np.shape(val) == ():
            return False
        return all(isinstance(width, Integral) and width >= 1 for width in val)

    def __str__(self):
        return "a tuple of ints in the range [1, inf)"


class ImageShape(Constraint):
    """Height and width, and perhaps the number of channels: positive ints."""

    def is_satisfied_by(self, val):
        """Whether `val` is one."""
        if not isinstance(val, (tuple, list, np.ndarray)) or np.shape(val) not in ((2,), (3,)):
            return False
        return all(isinstance(size, Integral) and size >= 1 for size in val)

    def __str__(self):
        return "a tuple (height, width[, channels]) of ints in the range [1, inf)"


class Ends(Constraint):
    """A smallest and a larger number."""

    def is_satisfied_by(self, val):
        """Whether `val` is one."""
        if not isinstance(val, (tuple, list, np.ndarray)) or np.shape(val) != (2,):
            return False
        return all(isinstance(end, Real) for end in val) and bool(val[0] < val[1])

    def __str__(self):
        return "a tuple (low, high) of numbers, low below high"


class Pattern(Constraint):
    """A regular expression, of which no more than one group is captured."""

    def is_satisfied_by(self, val):
        """Whether `val` is one."""
        if not isinstance(val, str):
            return False
        try:
            return re.compile(val).groups <= 1
        except re.error:
            return False

    def __str__(self):
        return "a regular expression with at most one capturing group"


class Terms(Constraint):
    """Terms, with numbers of theirs or in order; no text, which is a collection of letters."""

    def is_satisfied_by(self, val):
        """Whether `val` is one."""
        return isinstance(val, Collection) and not isinstance(val, (str, bytes))

    def __str__(self):
        return "a mapping of terms to numbers, a list or another collection of terms"


class Device(Constraint):
    """The name of a torch device, or a torch device."""

    options = DEVICE_TYPES  # for suggestions

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
