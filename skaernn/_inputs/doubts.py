"""Sequences that can be read as they are, but were probably meant otherwise."""

from __future__ import annotations

import numpy as np

from .._core.warn import warn_user
from .sequences import Sequences

_FEW_ZEROS = 0.01  # share of the steps before the end that are zero, in padded sequences
_MANY_PADDED = 0.1  # share of the sequences that end in zeros
_MANY_VALUES = 20  # of tokens; pixels of few shades have less
_LARGEST = 1e7  # number of a token; whole numbers beyond may be floats that have no fractions
_ROUGH = 0.5  # mean squared step of a series, over that of the same numbers in any order
_SAMPLE = 10_000  # values, enough to see what they are


def warn_of_doubts(
    sequences: Sequences, lengths, scaling: str | None, name: str, *, embeds: bool = False
) -> None:
    """Warn where the first sequences of a fit look like something else.

    Parameters
    ----------
    sequences : Sequences
    lengths : array-like or None
        As it was passed with them.
    scaling : str or None
        Of the estimator.
    name : str
        What messages call X.
    embeds : bool
        Whether the estimator has an `embedding_size`.
    """
    if lengths is None and sequences.n_steps is not None and not sequences.on_rows:
        _warn_of_padding(sequences, name)
        _warn_of_one_step(sequences, name)
    if scaling is not None and sequences.n_channels == 1 and not sequences.of_tokens:
        _warn_of_tokens(sequences.steps[:_SAMPLE, 0], name, embeds)


def _warn_of_padding(sequences: Sequences, name: str) -> None:
    """Zeros behind the end, as other libraries pad."""
    if int(sequences.lengths.min()) < sequences.n_steps:  # NaN has told
        return
    last = sequences.steps[sequences.starts + sequences.n_steps - 1]
    ends = ~last.any(axis=1)
    if not max(2, _MANY_PADDED * len(ends)) <= ends.sum() < len(ends):
        return
    places = sequences.starts[:, None] + np.arange(sequences.n_steps)
    there = sequences.steps.any(axis=1)[places]  # (n, T)
    found = there.any(axis=1)
    reach = np.where(found, sequences.n_steps - there[:, ::-1].argmax(axis=1), 0)
    zeros_before = 1 - there.sum() / max(1, reach.sum())
    n_padded = int((ends & found).sum())
    if zeros_before < _FEW_ZEROS and n_padded >= 2:
        warn_user(
            f"{n_padded} of {len(ends)} sequences of {name} end in zeros, which are read as "
            "steps. If they are padding, say so: pass lengths, the number of steps of each "
            "sequence, or NaN in all channels in place of the zeros, or the sequences as a list."
        )


def _warn_of_one_step(sequences: Sequences, name: str) -> None:
    """(n, channels, steps) of a single channel, as other libraries have it."""
    if sequences.n_steps == 1 and sequences.n_channels > 1:
        n, channels = len(sequences), sequences.n_channels
        warn_user(
            f"{name} of shape {(n, 1, channels)} is read as sequences of one step of {channels} "
            "channels. If it is (n_samples, n_channels, n_steps), pass "
            f"skaernn.channels_last({name})."
        )


def _warn_of_tokens(values: np.ndarray, name: str, embeds: bool) -> None:
    """Numbers of words or categories, taken for quantities."""
    if (values[:64] != np.floor(values[:64])).any() or (values != np.floor(values)).any():
        return
    different = len(np.unique(values))
    if different < _MANY_VALUES or values.min() < 0 or values.max() > _LARGEST:
        return
    wide = values.astype(np.float64)
    rough = np.square(np.diff(wide)).mean() > _ROUGH * 2 * wide.var()
    if rough:
        remedy = "make a channel of each, np.eye(n_tokens)[x] of a sequence x of ints"
        if embeds:
            remedy = f"set embedding_size, 16 say, which makes a vector of each; or {remedy}"
        warn_user(
            f"{name} has one channel of whole numbers, {different} different ones that follow "
            "each other at random. If they number tokens or categories, they are no quantities: "
            f"{remedy}. (If they are quantities, all is well.)"
        )
