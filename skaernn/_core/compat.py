"""Private names of scikit-learn, and what versions before 1.9 lack. Nothing else imports them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    RealNotInt,
    StrOptions,
    make_constraint,
)
from sklearn.utils.validation import _check_feature_names as check_feature_names
from sklearn.utils.validation import _check_n_features as check_n_features
from sklearn.utils.validation import _check_sample_weight

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9: the methods are absent

    class CallbackSupportMixin:
        """Stand-in without methods."""


if TYPE_CHECKING:
    from typing_extensions import Self

    F = TypeVar("F", bound=Callable[..., Any])

    def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[F], F]:
        """scikit-learn's own says nothing of types."""

    def available_if(check: Callable[[Any], bool]) -> Callable[[F], F]:
        """scikit-learn's own says nothing of types."""
else:
    from sklearn.utils.metaestimators import available_if

    fit_context, Self = _fit_context, Any

__all__ = [
    "CallbackSupportMixin",
    "Constraint",
    "Interval",
    "InvalidParameterError",
    "RealNotInt",
    "Self",
    "StrOptions",
    "available_if",
    "check_feature_names",
    "check_n_features",
    "check_sample_weight",
    "fit_context",
    "make_constraint",
]


class Constraint(HasMethods):
    """Base for constraints of our own; of scikit-learn's open kinds the one with no options.

    Subclasses define ``is_satisfied_by(val)`` and ``__str__``.
    """

    def __init__(self):
        super().__init__([])


def check_sample_weight(sample_weight, X) -> np.ndarray:
    """Weights as a float64 array of shape (n_samples,), not negative and not all zero."""
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    if not np.isfinite(weights.sum()):
        raise ValueError("Sample weights are too large: their sum is infinite.")
    return weights
