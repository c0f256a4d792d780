"""Warnings that name the user's line, however deep in the package they are made."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

import sklearn.base

# scikit-learn's wrapper around `fit` stands between a user and the package
_INSIDE = (str(Path(__file__).parents[1]), sklearn.base.__file__)


class Held(NamedTuple):
    """A warning that was not given."""

    message: str
    category: type[Warning]
    cause: str


_held: ContextVar[list[Held] | None] = ContextVar("held", default=None)


@contextmanager
def warnings_held() -> Iterator[list[Held]]:
    """Context in which `warn_user` adds to a list, for somebody to warn of later."""
    found: list[Held] = []
    token = _held.set(found)
    try:
        yield found
    finally:
        _held.reset(token)


def warn_user(
    message: str, category: type[Warning] = UserWarning, cause: str | None = None
) -> None:
    """Warn at the line that called the package.

    Parameters
    ----------
    message : str
    category : type
    cause : str or None
        What another warning may share that has other numbers in it. None: the message.
    """
    held = _held.get()
    if held is not None:
        held.append(Held(message, category, cause or message))
        return
    frame, level = sys._getframe(1), 2
    while frame is not None and frame.f_code.co_filename.startswith(_INSIDE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
