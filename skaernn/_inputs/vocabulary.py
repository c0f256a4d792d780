"""Numbers of tokens: found in lists of tokens, or given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from functools import partial
from itertools import repeat
from numbers import Integral
from typing import Any

import numpy as np

from .kinds import is_missing

UNKNOWN = "<unknown>"  # the name of number 0: a token that is called so has this number

Vocabulary = dict[Hashable, int]


def learnt(
    rows: Iterable[list], min_df: float, max_features: int | None
) -> tuple[Vocabulary, list[np.ndarray]]:
    """Number the tokens that are frequent enough.

    Parameters
    ----------
    rows : iterable of list
        Gone through once; only numbers are kept of it.
    min_df : int or float
    max_features : int or None

    Returns
    -------
    vocabulary : dict
        Tokens and their numbers, from 1 on.
    numbers : list of ndarray of shape (n_tokens,), int64
    """
    found = _Found({UNKNOWN: 0})
    numbers = _numbered(rows, partial(map, found.__getitem__))
    if len(found) == 1:
        raise ValueError(
            "empty vocabulary; perhaps the documents are empty, or token_pattern fits nothing in "
            "them"
        )
    kept = _frequent(found, numbers, min_df, max_features)
    vocabulary = {token: number for number, token in enumerate(kept, 1)}
    renumber = np.array([vocabulary.get(token, 0) for token in found], dtype=np.int64)
    return vocabulary, [renumber[row] for row in numbers]


def looked_up(rows: Iterable[list], vocabulary: Vocabulary) -> list[np.ndarray]:
    """Numbers of tokens, 0 for those that the vocabulary lacks."""
    return _numbered(rows, lambda row: map(vocabulary.get, row, repeat(0)))


class _Found(dict):
    """Tokens and numbers in the order of first appearance."""

    def __missing__(self, token: Hashable) -> int:
        if is_missing(token):
            return 0
        self[token] = number = len(self)
        return number


def _numbered(rows: Iterable[list], number: Callable[[list], Iterable[int]]) -> list[np.ndarray]:
    numbers = []
    for i, row in enumerate(rows):
        try:
            found = np.fromiter(number(row), dtype=np.int64, count=len(row))
        except TypeError:
            _refuse_unhashable(row, f"X[{i}]")
            raise
        if not found.all():
            _refuse_missing(row, found, f"X[{i}]")
        numbers.append(found if len(row) else np.zeros(1, dtype=np.int64))
    return numbers


def _refuse_unhashable(row: list, name: str) -> None:
    for at, token in enumerate(row):
        try:
            hash(token)
        except TypeError as error:
            raise TypeError(
                f"{name} has a {type(token).__name__} at position {at}; tokens must be hashable, "
                "such as str, int or tuples of them."
            ) from error


def _refuse_missing(row: list, numbers: np.ndarray, name: str) -> None:
    for at in np.flatnonzero(numbers == 0):
        if is_missing(row[at]):
            raise ValueError(
                f"Input X contains NaN: {name} has {row[at]!r} at position {at}, where a token "
                "should be."
            )


def _frequent(
    found: Vocabulary, numbers: list[np.ndarray], min_df: float, max_features: int | None
) -> list[Hashable]:
    """Tokens to keep, in order."""
    documents = np.zeros(len(found), dtype=np.int64)
    for row in numbers:
        documents[row] += 1  # once, however often the row has the number
    least = min_df if isinstance(min_df, Integral) else min_df * len(numbers)
    kept = [token for token in _in_order(found) if documents[found[token]] >= least]
    if max_features is not None and len(kept) > max_features:
        totals = np.bincount(np.concatenate(numbers), minlength=len(found))
        # of equally frequent ones the first remain: sorting is stable
        chosen = set(sorted(kept, key=lambda token: -totals[found[token]])[:max_features])
        kept = [token for token in kept if token in chosen]
    if not kept:
        raise ValueError("After pruning, no terms remain. Try a lower min_df.")
    return kept


def _in_order(found: Vocabulary) -> list[Hashable]:
    tokens: list[Any] = [token for token, number in found.items() if number]
    try:
        return sorted(tokens)
    except TypeError:  # of mixed types, say: in the order of first appearance
        return tokens


def given(vocabulary: Mapping | Collection, *, of_texts: bool) -> Vocabulary:
    """Check a vocabulary of the user's own.

    Parameters
    ----------
    vocabulary : mapping or collection
        Terms and their numbers, or terms in order.
    of_texts : bool
        Whether its terms are to be found in texts.

    Returns
    -------
    vocabulary : dict
        In the order of its numbers, which are 1, 2 and so on.
    """
    terms = _terms_of(vocabulary)
    _check_terms(terms, of_texts)
    if isinstance(vocabulary, Mapping):
        return _by_number(vocabulary)
    for term, n_times in Counter(terms).items():
        if n_times > 1:
            raise ValueError(f"Duplicate term in vocabulary: {term!r}")
    return {term: number for number, term in enumerate(terms, 1)}


def _terms_of(vocabulary: Collection) -> list:
    if hasattr(vocabulary, "tolist"):  # of NumPy and pandas
        return vocabulary.tolist()
    if not isinstance(vocabulary, (set, frozenset)):
        return list(vocabulary)
    try:
        return sorted(vocabulary)
    except TypeError as error:
        raise ValueError(
            "vocabulary is a set of terms that cannot be sorted; pass them as a list."
        ) from error


def _check_terms(terms: list, of_texts: bool) -> None:
    if not terms:
        raise ValueError("empty vocabulary passed to fit")
    for at, term in enumerate(terms):
        try:
            hash(term)
        except TypeError as error:
            raise TypeError(
                f"vocabulary has a {type(term).__name__} at position {at}; terms must be hashable."
            ) from error
        if is_missing(term):
            raise ValueError(f"vocabulary has {term!r} at position {at}, where a term should be.")
        if of_texts and not isinstance(term, str):
            raise ValueError(
                f"vocabulary has the term {term!r} at position {at}; terms of texts are str."
            )
        if term == UNKNOWN:
            raise ValueError(
                f"vocabulary has the term {UNKNOWN!r}, which is the name of number 0; leave it "
                "out, as get_feature_names_out()[1:] does."
            )


def _by_number(vocabulary: Mapping) -> Vocabulary:
    """In the order of its numbers, which are checked."""
    for term, number in vocabulary.items():
        if isinstance(number, bool) or not isinstance(number, Integral) or number < 1:
            raise ValueError(
                f"vocabulary gives {term!r} the number {number!r}; numbers are ints from 1 on, "
                "and 0 is that of unknown tokens."
            )
    numbers = {int(number) for number in vocabulary.values()}
    if len(numbers) < len(vocabulary):
        raise ValueError("Vocabulary contains repeated indices.")
    for number in range(1, len(vocabulary) + 1):
        if number not in numbers:
            raise ValueError(
                f"Vocabulary of size {len(vocabulary)} doesn't contain index {number}; its "
                "numbers must be 1, 2 and so on without a gap."
            )
    by_number = sorted(vocabulary.items(), key=lambda item: item[1])
    return {term: int(number) for term, number in by_number}
