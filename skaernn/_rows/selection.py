"""Which rows a fit sees, how much each counts, in which order: by their content alone.

A fit of up to `MERGED_ROWS` rows depends on the weighted set of its rows and on nothing else: rows
of weight zero are dropped, equal rows are merged and their weights added, and what is left is
sorted by a hash of its content. Validation rows are chosen by the same hash, so that equal rows
stay on one side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..networks import mix
from .content import Content

MERGED_ROWS = 10_000


class Selection(NamedTuple):
    """Rows of X, their weights, and hashes of their content.

    Attributes
    ----------
    index : ndarray of shape (m,), int64
    weight : ndarray of shape (m,), float64
    keys : ndarray of shape (m,), uint64, or None
    """

    index: np.ndarray
    weight: np.ndarray
    keys: np.ndarray | None


def _merge(content: Content, index: np.ndarray, weight: np.ndarray):
    """Sort rows by content and make one of equal ones: (index, weight).

    By a quick hash, then, where those agree, by a whole one. Weights of equal rows are added from
    the smallest up, whatever order they came in.
    """
    first = content.quick_hash(index)
    order = np.argsort(first)
    equal = first[order[1:]] == first[order[:-1]]
    if not equal.any():  # nothing to merge
        return index[order], weight[order]
    tied = order[np.flatnonzero(np.r_[equal, False] | np.r_[False, equal])]
    second = np.zeros(len(index), dtype=np.uint64)
    second[tied] = content.hash(index[tied])
    order = np.lexsort((weight, second, first))
    ranks = np.stack([first, second], axis=1)[order]
    same = (ranks[1:] == ranks[:-1]).all(axis=1)
    pairs = np.flatnonzero(same)
    if not content.same(index[order[pairs]], index[order[pairs + 1]]).all():
        # different rows of one hash: sort by content as well
        order = np.lexsort((weight, *content.sort_keys(index), second, first))
        same = content.same(index[order[:-1]], index[order[1:]])
    index, weight = index[order], weight[order]
    starts = np.flatnonzero(np.r_[True, ~same])
    return np.minimum.reduceat(index, starts), np.add.reduceat(weight, starts)


def select(
    content: Content,
    sample_weight: np.ndarray | None,
    *,
    keyed: bool = False,
    batch_size: int = 0,
    shuffle: bool = True,
    validation: tuple[float, int, np.ndarray | None] | None = None,
) -> list[Selection]:
    """Rows to train on and, if asked for, rows to validate on.

    Parameters
    ----------
    content : Content
        Of checked, finite rows.
    sample_weight : ndarray of shape (n,) or None
        Checked: finite, not negative, not all zero.
    keyed : bool
        Whether content hashes are needed afterwards.
    batch_size : int
        Rows that fit into one batch are merged and sorted whatever their number.
    shuffle : bool
        False: where there are several batches, they follow the order of X.
    validation : (fraction, seed, series) or None
        Share of the total weight to set aside: at random, or, where the number (n,) of the series
        that each row is a window of is given, from the end of each.

    Raises
    ------
    ValueError
        If there is nothing to set aside or nothing left.
    """
    index = np.arange(len(content))
    weight = np.ones(len(content)) if sample_weight is None else sample_weight.astype(np.float64)
    if not weight.all():
        index, weight = index[weight > 0], weight[weight > 0]
    if len(index) <= max(MERGED_ROWS, batch_size):
        index, weight = _merge(content, index, weight)
    hashes = content.hash(index) if keyed or validation else None

    def selection(chosen: np.ndarray) -> Selection:
        if not shuffle and len(chosen) > batch_size:
            chosen = chosen[np.argsort(index[chosen])]
        return Selection(index[chosen], weight[chosen], hashes[chosen] if keyed else None)

    if validation is None:
        return [selection(np.arange(len(index)))]
    fraction, seed, series = validation
    if series is None:
        held_out = _choose_validation(hashes, weight, fraction, seed)
    else:
        held_out = _choose_last(index, weight, fraction, series[index])
    return [selection(np.flatnonzero(~held_out)), selection(np.flatnonzero(held_out))]


def _choose_last(
    index: np.ndarray, weight: np.ndarray, fraction: float, series: np.ndarray
) -> np.ndarray:
    """Mask of the last rows of each series, up to `fraction` of its weight; the first stay."""
    order = np.lexsort((-index, series))  # series after series, the last row first
    begins = np.flatnonzero(np.r_[True, np.diff(series[order]) != 0])
    counts = np.diff(np.r_[begins, len(order)])
    summed = np.cumsum(weight[order])
    before = np.repeat(summed[begins] - weight[order][begins], counts)
    totals = np.repeat(np.add.reduceat(weight[order], begins), counts)
    held_out = np.zeros(len(index), dtype=bool)
    held_out[order] = summed - before <= fraction * totals * (1 + 1e-9)
    if not held_out.any():
        raise ValueError(
            f"The validation set is too small: no series of windows has {1 / fraction:.3g} of "
            "them. Choose a larger validation_fraction, or pass X_val."
        )
    return held_out


def _choose_validation(hashes, weight, fraction: float, seed: int) -> np.ndarray:
    """Mask of the rows with the smallest hash of (row, seed), up to `fraction` of the weight."""
    ranks = (hashes ^ np.uint64(mix(seed))) * np.uint64(0x94D049BB133111EB)
    ranks ^= ranks >> np.uint64(32)
    order = np.argsort(ranks, kind="stable")
    reached = np.cumsum(weight[order]) >= fraction * weight.sum() * (1 - 1e-12)
    threshold = ranks[order[int(np.argmax(reached))]]
    held_out = ranks <= threshold
    if held_out.all():
        n_distinct = len(np.unique(hashes))
        if n_distinct == 1:
            raise ValueError(
                "The validation set is too small: n_samples=1 distinct row cannot be split into "
                "training and validation rows. Set early_stopping=False or pass more rows."
            )
        held_out = ranks < threshold
    return held_out
