"""Windows of long series, told by what they hold: whoever cut them, and whatever copied them."""

from __future__ import annotations

import numpy as np

from .._core.warn import warn_user
from .._rows.content import RaggedContent
from .sequences import Sequences
from .targets import Targets

_SEEN = 8  # sequences looked at, enough to see what all are
_COMPARED = 4_000_000  # numbers that each is compared with
_CANDIDATES = 64  # places where one may begin within another
_LINKED = 0.8  # share of neighbours that overlap, if sequences are windows in order
_NUMBERS = 4  # different ones that must agree at least: fewer may do so by chance
_FEWEST = 10  # windows a stretch
_HASHED = 1 << 20  # numbers at a time


def series_of(sequences: Sequences) -> np.ndarray | None:
    """Which series (n,) each sequence is a window of, if they are windows, in order.

    Windows in another order are warned of: what is held out of them at random has been seen.
    """
    if len(sequences) < 3 or not _are_even(sequences):
        return None
    sequences = _as_numbers(sequences)
    hop = _hop(sequences)
    if hop is not None:
        linked = _overlap(sequences, np.arange(len(sequences) - 1), 1, hop)
        if linked.mean() >= _LINKED:
            return np.cumsum(np.r_[True, ~linked])
    if any(_links(sequences)):
        warn_user(
            "X holds overlapping windows, but not in the order of time, so that rows held out at "
            "random for early stopping are much like others that are trained on. Pass X_val: "
            "windows of a later part of the series."
        )
    return None


def stretches_of(sequences: Sequences, index: np.ndarray, n_stretches: int) -> np.ndarray | None:
    """Which stretch of their series windows come from, told by what they hold, in any order.

    Parameters
    ----------
    sequences : Sequences
    index : ndarray of int
        Those that are asked about; others are not looked at.
    n_stretches : int

    Returns
    -------
    ndarray of shape (n,), int64, or None
        For each of `index` a number below `n_stretches`, for others 0. Stretches have as many
        different windows. None: these are no windows of series, or too few.
    """
    if not _are_even(sequences):
        return None
    numbers = _as_numbers(sequences)
    starts, lengths = numbers.starts[index], numbers.lengths[index]
    numbers = Sequences(numbers.steps, starts, lengths, None)
    hop = min((hop for *_, hop in _links(numbers)), default=None)
    if hop is None:
        return None
    places = _places(numbers, hop)
    if places is None or places.max() + 1 < _FEWEST * n_stretches:
        return None
    answer = np.zeros(len(sequences), dtype=np.int64)
    answer[index] = places * n_stretches // (places.max() + 1)
    return answer


def follows(sequences: Sequences, targets: Targets) -> bool | None:
    """Whether the targets of sequences are the next values of all their channels.

    None: nothing in the sequences says so, for they do not overlap.
    """
    n_channels, n_outputs = sequences.n_channels, targets.values.shape[1]
    if n_outputs % n_channels:
        return False
    if targets.per_step:
        return _follows_by_step(sequences, targets) if n_outputs == n_channels else None
    if not _are_even(sequences):
        return None
    known, sequences = None, _as_numbers(sequences)
    for row, other, hop in _links(sequences):
        end = sequences.starts[other] + sequences.lengths[other]
        new = sequences.steps[end - hop : end, 0][:n_outputs]
        if not np.array_equal(targets.values[row, : len(new)].astype(new.dtype), new):
            return False
        known = True
    return known


def _follows_by_step(sequences: Sequences, targets: Targets) -> bool | None:
    known = None
    for row in _some(len(sequences)):
        length, start = int(sequences.lengths[row]), sequences.starts[row]
        if length > 1:
            steps = sequences.steps[start : start + length]
            values = targets.values[targets.starts[row] :][: length - 1]
            if not np.array_equal(values.astype(steps.dtype), steps[1:]):
                return False
            known = True
    return known


def _are_even(sequences: Sequences) -> bool:
    """Whether all are equally long, and longer than one step."""
    n_steps = int(sequences.lengths[0])
    return n_steps > 1 and bool((sequences.lengths == n_steps).all())


def _as_numbers(sequences: Sequences) -> Sequences:
    """The numbers of all channels one after the other: a step of 52 channels may be a year."""
    n_channels, steps = sequences.n_channels, sequences.steps.reshape(-1, 1)
    starts, lengths = sequences.starts * n_channels, sequences.lengths * n_channels
    return Sequences(steps, starts, lengths, None)


def _some(n: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, _SEEN).astype(int))


def _hop(sequences: Sequences) -> int | None:
    """How many steps a sequence begins behind the one before, as far as two or three pairs say."""
    for row in _some(len(sequences) - 1):
        for hop in _hops(sequences, row, np.array([row + 1]))[1]:
            if _overlap(sequences, np.array([row]), 1, hop)[0]:
                return int(hop)
    return None


def _links(sequences: Sequences):
    """Some pairs of windows that overlap: (row, other, hop), `other` beginning `hop` later."""
    n_others = max(2, _COMPARED // int(sequences.lengths[0]))
    others = np.arange(min(len(sequences), n_others))
    for row in _some(len(others)):
        for other, hop in zip(*_hops(sequences, row, others), strict=True):
            if other != row and _overlap(sequences, np.array([row]), other - row, hop)[0]:
                yield int(row), int(other), int(hop)
                break


def _hops(sequences: Sequences, row: int, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sequences whose first number is a later one of `row`, and how much later, a few."""
    numbers = sequences.steps[:, 0]
    own = numbers[sequences.starts[row] :][: sequences.lengths[row]]
    hop, other = np.nonzero(own[1:, None] == numbers[sequences.starts[others]])
    return others[other[:_CANDIDATES]], 1 + hop[:_CANDIDATES]


def _overlap(sequences: Sequences, rows: np.ndarray, ahead: int, hop: int) -> np.ndarray:
    """Whether each of `rows` goes on, `hop` steps later, as the sequence `ahead` of it begins."""
    n_numbers, numbers = int(sequences.lengths[0]), sequences.steps[:, 0]
    common = n_numbers - hop
    if common < _NUMBERS:
        return np.zeros(len(rows), dtype=bool)
    earlier, later = sequences.starts[rows], sequences.starts[rows + ahead]
    answer = np.empty(len(rows), dtype=bool)
    size = max(1, (1 << 20) // common)
    for begin in range(0, len(rows), size):
        part = slice(begin, begin + size)
        tail = numbers[earlier[part, None] + np.arange(hop, n_numbers)]
        head = numbers[later[part, None] + np.arange(common)]
        different = 1 + (np.diff(np.sort(head, axis=1), axis=1) != 0).sum(axis=1)
        answer[part] = (tail == head).all(axis=1) & (different >= _NUMBERS)
    return answer


def _places(sequences: Sequences, hop: int) -> np.ndarray | None:
    """Places of windows one behind the other, series after series; those of equal ones are one.

    None: few begin where another one has been for `hop` steps.
    """
    length = int(sequences.lengths[0])
    whole, first, places = np.unique(
        _hashes(sequences, 0, length), return_index=True, return_inverse=True
    )
    heads = _hashes(sequences, 0, length - hop)[first]
    tails = _hashes(sequences, hop, length - hop)[first]
    order = np.argsort(heads, kind="stable")
    found = np.searchsorted(heads[order], tails).clip(max=len(whole) - 1)
    nexts = np.where(heads[order[found]] == tails, order[found], -1)
    if np.mean(nexts >= 0) < _LINKED:
        return None
    is_next = np.zeros(len(whole), dtype=bool)
    is_next[nexts[nexts >= 0]] = True
    begins = np.r_[np.flatnonzero(~is_next), np.flatnonzero(is_next)]  # the second if it repeats
    place, follower, n_placed = [-1] * len(whole), nexts.tolist(), 0
    for window in begins.tolist():
        while window >= 0 and place[window] < 0:
            place[window], n_placed = n_placed, n_placed + 1
            window = follower[window]
    return np.array(place)[places]


def _hashes(sequences: Sequences, skip: int, length: int) -> np.ndarray:
    """Hashes of `length` numbers of each sequence, from the number `skip` on."""
    starts = sequences.starts + skip
    content = RaggedContent(sequences.steps, starts, np.full(len(starts), length))
    size = max(1, _HASHED // length)
    parts = (np.arange(len(starts))[at : at + size] for at in range(0, len(starts), size))
    return np.concatenate([content.hash(part) for part in parts])
