"""Every rule about texts, lists of tokens, and numbers that are to become tokens again."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Set
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.feature_extraction.text import CountVectorizer

from .kinds import is_list, is_missing, is_table, refuse_mask, refuse_unread

TOKEN_PATTERN = r"\w+|[^\w\s]"

Split = Callable[[Any], list[Hashable]]


class Documents(NamedTuple):
    """Texts, or lists of tokens.

    Attributes
    ----------
    items : list of str, or list of list
    of_tokens : bool
        Whether they are lists of tokens.
    """

    items: list
    of_tokens: bool


class Analyzer(NamedTuple):
    """A way to split texts.

    Attributes
    ----------
    build : callable
        From a CountVectorizer, which has the parameters, to a function of one text.
    between : str
        What stands between tokens that become a text again.
    """

    build: Callable[[CountVectorizer], Split]
    between: str


def _characters(vectorizer: CountVectorizer) -> Split:
    # CountVectorizer's own makes one blank of all white space, so that no line would end again
    preprocess = vectorizer.build_preprocessor()
    return lambda text: list(preprocess(text))


ANALYZERS = {
    "word": Analyzer(CountVectorizer.build_analyzer, " "),
    "char": Analyzer(_characters, ""),
}


def split_by(analyze: Callable[[Any], Iterable[Hashable]]) -> Split:
    """A function of the user's own, whose tokens come as a list."""

    def split(document: Any) -> list[Hashable]:
        tokens = analyze(document)
        if isinstance(tokens, (str, bytes)) or not isinstance(tokens, Iterable):
            raise TypeError(
                f"analyzer returned {reprlib.repr(tokens)} for {reprlib.repr(document)}; it must "
                "return a list of tokens."
            )
        return list(tokens)

    return split


def check_documents(X: Any) -> Documents:
    """X as a list of texts, or as a list of lists of tokens."""
    if isinstance(X, str):
        raise ValueError(
            "Iterable over raw text documents expected, string object received; pass [X] for one "
            "text."
        )
    items = _check_rows(X)
    if all(issubclass(kind, str) for kind in set(map(type, items))):
        return Documents(items, of_tokens=False)
    of_tokens = not isinstance(items[0], str)
    for i, item in enumerate(items):
        if not isinstance(item, str):
            items[i] = _check_tokens(item, f"X[{i}]")
        if isinstance(item, str) is of_tokens:
            kinds = ("a list of tokens", "a text") if of_tokens else ("a text", "a list of tokens")
            raise ValueError(
                f"X[0] is {kinds[0]} and X[{i}] is {kinds[1]}; pass texts or lists of tokens, not "
                "both."
            )
    return Documents(items, of_tokens)


def check_numbers(X: Any, n_tokens: int) -> list[np.ndarray]:
    """Sequences of whole numbers below `n_tokens`, as arrays of int64."""
    refuse_mask(X, "X")
    if is_table(X):
        raise TypeError(f"X is a {type(X).__name__}; pass its numbers as an array.")
    is_array = isinstance(X, (np.ndarray, torch.Tensor))
    rows = _check_rows(list(X) if is_array and X.ndim > 1 else X)
    return [_check_sequence(row, f"X[{i}]", n_tokens) for i, row in enumerate(rows)]


def _check_rows(X: Any) -> list:
    """What X holds, as a new list of at least one."""
    refuse_unread(X, "X")
    if is_table(X):
        first = next(iter(getattr(X, "column_names", None) or X.columns), "text")
        raise TypeError(f"X is a {type(X).__name__}; pass one column of it, such as X[{first!r}].")
    if hasattr(X, "toarray"):
        raise TypeError(f"X is sparse ({type(X).__name__}); pass a list of rows.")
    shape = tuple(getattr(X, "shape", ()))
    if len(shape) > 1:
        advice = "texts as X.ravel()" if shape[1:] == (1,) else "rows of tokens as list(X)"
        raise ValueError(f"Expected X of one dimension, got shape {shape}; pass {advice}.")
    items = _listed(X)
    if items is None:
        raise TypeError(
            f"X is a {type(X).__name__}; pass a list, an array of one dimension or a "
            f"Series{_instead_of(X)}."
        )
    if not items:
        raise ValueError(
            "Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required."
        )
    return items


def _instead_of(X: Any) -> str:
    """How to pass what is in X."""
    if isinstance(X, Mapping):
        return "; list(X.values()) perhaps"
    if isinstance(X, Set):
        return ", for a set has no order"
    return "; list(X) holds what it yields" if isinstance(X, Iterator) else ""


def _listed(X: Any) -> list | None:
    """A new list of what X holds, or None if it is nothing like a list."""
    if is_list(X):
        return list(X)
    if hasattr(type(X), "shape") and not X.shape:  # a scalar of NumPy
        return None
    for method in ("tolist", "to_list", "to_pylist"):  # of NumPy and pandas, polars, pyarrow
        if hasattr(type(X), method):
            return getattr(X, method)()
    return _listed(np.asarray(X)) if hasattr(type(X), "__array__") else None


def _check_tokens(item: Any, name: str) -> list:
    shape = tuple(getattr(item, "shape", ()))
    if len(shape) > 1:
        raise ValueError(f"{name} has shape {shape}; a list of tokens has one dimension.")
    tokens = _listed(item)
    if tokens is not None:
        return tokens
    if isinstance(item, (bytes, bytearray)):
        raise TypeError(f"{name} is {type(item).__name__}; decode it to a text, a str.")
    if is_missing(item):
        raise ValueError(
            f"Input X contains NaN: {name} is {item!r}, an invalid document; leave it out, or "
            "fill it with an empty text."
        )
    kind = type(item).__name__
    alone = " For one list of tokens, pass [X]." if isinstance(item, Real) else ""
    raise TypeError(f"{name} is a {kind}, neither a text (str) nor a list of tokens.{alone}")


def _check_sequence(row: Any, name: str, n_tokens: int) -> np.ndarray:
    refuse_mask(row, name)
    try:
        numbers = np.asarray(row)
    except ValueError:  # lists of unequal lengths
        numbers = np.empty((1, 0))
    if numbers.ndim != 1:
        alone = " For one sequence, pass [X]." if isinstance(row, Real) else ""
        raise ValueError(
            f"{name} is no sequence of numbers: a list, or an array of one dimension.{alone}"
        )
    right = _are_of_tokens(numbers, n_tokens)
    if not right.all():
        at = int(right.argmin())
        raise ValueError(
            f"{name} has {numbers.tolist()[at]!r} at position {at}; numbers of tokens are whole "
            f"and go from 0 to {n_tokens - 1}."
        )
    return numbers.astype(np.int64)


def _are_of_tokens(numbers: np.ndarray, n_tokens: int) -> np.ndarray:
    """Which of the numbers (T,) are those of tokens."""
    kind = numbers.dtype.kind
    if kind in "iuf":
        return (numbers >= 0) & (numbers < n_tokens) & (numbers == np.floor(numbers))
    found = [
        kind == "O" and isinstance(value, Real) and 0 <= value < n_tokens and value == int(value)
        for value in numbers
    ]
    return np.array(found, dtype=bool)
