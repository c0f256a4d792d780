"""Every rule about numbers of tokens as input, where a network embeds them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..networks import UNKNOWN
from .sequences import Sequences

_MANY = 1 << 20  # rows of a table that are no question
_SPARSE = 100  # rows of a larger one for each that is used, at most
_NUMBERED = "SequenceVectorizer numbers them one after the other"


def as_tokens(sequences: Sequences, known: np.ndarray | None, name: str) -> Sequences:
    """Sequences of one channel as those of tokens, whose steps are int64.

    Parameters
    ----------
    sequences : Sequences
        Of finite numbers.
    known : ndarray of bool of shape (n_tokens,) or None
        Which tokens there may be. None: any.
    name : str
        What messages call X.
    """
    if sequences.n_channels != 1:
        raise ValueError(
            f"{name} has {sequences.n_channels} channels, and with embedding_size a step is one "
            "token. Pass the numbers of a sequence as a 1-D array, all of them in a list."
        )
    # what is in no sequence may be anything
    where = sequences.content.positions(np.arange(len(sequences)))[0]
    values = sequences.steps[where, 0]
    whole = (values >= 0) & (values == np.floor(values))
    if not whole.all():
        value, place = _first(sequences, values, ~whole)
        raise ValueError(
            f"{name} has {value} {place}; with embedding_size it holds numbers of tokens, which "
            f"are whole and not negative. {_NUMBERED}."
        )
    if known is None:
        _check_dense(sequences, values, name)
    else:
        check_known(sequences, values, known, name)
    steps = np.zeros((len(sequences.steps), 1), dtype=np.int64)
    steps[where, 0] = values
    return replace(sequences, steps=steps)


def check_known(sequences: Sequences, values: np.ndarray, known: np.ndarray, name: str) -> None:
    """Refuse tokens, one a valid step, that have no vector."""
    new = values >= len(known)
    new |= ~known[np.where(new, UNKNOWN, values).astype(np.int64)]
    if new.any():
        value, place = _first(sequences, values, new)
        raise ValueError(
            f"{name} has the token {value} {place}, which was not there in fit. Put {UNKNOWN} for "
            "tokens that are not known, as a SequenceVectorizer does that is fitted with the "
            "model, in a pipeline."
        )


def tokens_in(sequences: Sequences, weight: np.ndarray | None) -> np.ndarray:
    """Which tokens there are (n_tokens,), the unknown one among them in any case.

    Sequences of `weight` (n,) zero are not there.
    """
    rows = np.arange(len(sequences)) if weight is None else np.flatnonzero(weight)
    values = sequences.steps[sequences.content.positions(rows)[0], 0]
    seen = np.zeros(int(values.max()) + 1, dtype=bool)
    seen[values] = True
    seen[UNKNOWN] = True
    return seen


def _check_dense(sequences: Sequences, values: np.ndarray, name: str) -> None:
    """Refuse numbers so large that a table with a row for each below them would be absurd."""
    if values.max() < _MANY:
        return
    n_different = len(np.unique(values))
    if values.max() >= _SPARSE * n_different:
        value, place = _first(sequences, values, values == values.max())
        raise ValueError(
            f"{name} has the token {value} {place}, and there are {n_different} different ones: a "
            f"table of all numbers up to it would be nearly empty. {_NUMBERED}."
        )


def _first(sequences: Sequences, values: np.ndarray, bad: np.ndarray) -> tuple[str, str]:
    """The first bad one of values, one a valid step, and where it is."""
    i = int(np.argmax(bad))
    row, t = (places[i] for places in sequences.places())
    value = values[i].item()
    short = float(value).is_integer() and value < 1e16
    return str(int(value) if short else value), f"in sequence {row}, step {t}"
