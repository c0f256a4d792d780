"""Warnings that name the user's line, however deep in the package they are made."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import sklearn.base

# scikit-learn's wrapper around `fit` stands between a user and the package
_INSIDE = (str(Path(__file__).parents[1]), sklearn.base.__file__)


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called the package."""
    frame, level = sys._getframe(1), 2
    while frame is not None and frame.f_code.co_filename.startswith(_INSIDE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
