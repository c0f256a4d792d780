"""What rows consist of: when two of them are the same, and a hash that says so."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_BLOCK = 1 << 20  # elements handled at a time
_FEW = 4096  # words of a row, so that what is kept of them is small
_ODD = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


class Content(ABC):
    """What rows consist of, and so when two of them are the same."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def hash(self, index: np.ndarray) -> np.ndarray:
        """A 64-bit hash of the rows `index`."""

    def quick_hash(self, index: np.ndarray) -> np.ndarray:
        """A cheaper one, which more rows may share."""
        return self.hash(index)

    @abstractmethod
    def same(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Whether each row of `first` equals the one of `second`."""

    @abstractmethod
    def sort_keys(self, index: np.ndarray) -> tuple[np.ndarray, ...]:
        """Keys for `np.lexsort` that tell different rows apart."""


@dataclass(frozen=True)
class MatrixContent(Content):
    """Rows of a matrix (n, F)."""

    X: np.ndarray

    def __len__(self):
        return len(self.X)

    def hash(self, index):
        return content_hash(self.X, index)

    def quick_hash(self, index):
        """Of sixteen columns."""
        return content_hash(self.X[:, :: max(1, self.X.shape[1] // 16)], index)

    def same(self, first, second):
        answer = np.empty(len(first), dtype=bool)
        size = max(1, _BLOCK // self.X.shape[1])
        for start in range(0, len(first), size):
            block = slice(start, start + size)
            answer[block] = (self.X[first[block]] == self.X[second[block]]).all(axis=1)
        return answer

    def sort_keys(self, index):
        return tuple(self.X[index].T)


@dataclass(frozen=True)
class RaggedContent(Content):
    """Rows of unequal length: row i is ``steps[starts[i] : starts[i] + lengths[i]]``."""

    steps: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    def __len__(self):
        return len(self.starts)

    def positions(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the steps of the rows `index` are, which step each is, where each row begins."""
        lengths = self.lengths[index]
        begins = np.cumsum(lengths) - lengths
        t = np.arange(lengths.sum()) - np.repeat(begins, lengths)
        return np.repeat(self.starts[index], lengths) + t, t, begins

    def hash(self, index):
        where, t, begins = self.positions(index)
        # a step's hash with its place in the row, hashed once more: order counts
        placed = content_hash(self.steps, where) + (t.astype(np.uint64) + 1) * np.uint64(_ODD[0])
        return np.add.reduceat(_finalised(placed), begins)

    def same(self, first, second):
        answer = self.lengths[first] == self.lengths[second]
        pairs = np.flatnonzero(answer)
        if len(pairs):
            one, _, begins = self.positions(first[pairs])
            other = self.positions(second[pairs])[0]
            equal = (self.steps[one] == self.steps[other]).all(axis=1)
            answer[pairs] = np.logical_and.reduceat(equal, begins)
        return answer

    def sort_keys(self, index):
        zero = self.steps.dtype.type(0)  # -0.0 is 0.0
        rows = [
            (self.steps[start : start + length] + zero).tobytes()
            for start, length in zip(self.starts[index], self.lengths[index], strict=True)
        ]
        return (np.unique(np.array(rows, dtype=object), return_inverse=True)[1],)


@dataclass(frozen=True)
class JointContent(Content):
    """Rows that consist of several parts: inputs, targets, states."""

    parts: tuple[Content, ...]

    def __len__(self):
        return len(self.parts[0])

    def hash(self, index):
        hashes = np.zeros(len(index), dtype=np.uint64)
        for i, part in enumerate(self.parts):
            hashes = _finalised(hashes + part.hash(index) * np.uint64(2 * i + 1))
        return hashes

    def same(self, first, second):
        return np.logical_and.reduce([part.same(first, second) for part in self.parts])

    def sort_keys(self, index):
        return tuple(key for part in self.parts for key in part.sort_keys(index))


def _finalised(hashes: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser."""
    hashes = hashes.copy()
    for shift, factor in ((30, _ODD[1]), (27, _ODD[2])):
        hashes ^= hashes >> np.uint64(shift)
        hashes *= np.uint64(factor)
    return hashes ^ (hashes >> np.uint64(31))


def _columns(n_words: int) -> np.ndarray:
    """What tells the words of a row apart."""
    return np.random.default_rng(n_words).integers(2**63, size=n_words, dtype=np.uint64)


_few_columns = lru_cache(maxsize=16)(_columns)  # a generator takes longer than small rows


def content_hash(X: np.ndarray, index: np.ndarray | None = None) -> np.ndarray:
    """A 64-bit hash of the bytes of each row of `X` (n, F), or of those that `index` names.

    -0.0 is read as 0.0.
    """
    n_samples, n_features = len(X) if index is None else len(index), X.shape[1]
    n_bytes = n_features * X.itemsize
    word = np.uint64 if n_bytes % 8 == 0 else np.uint32
    n_words = n_bytes // word().itemsize
    columns = _few_columns(n_words) if n_words <= _FEW else _columns(n_words)
    hashes = np.empty(n_samples, dtype=np.uint64)
    size = max(1, _BLOCK // max(1, n_features))
    for start in range(0, n_samples, size):
        chosen = slice(start, start + size)
        block = X[chosen if index is None else index[chosen]] + X.dtype.type(0)
        words = np.ascontiguousarray(block).view(word)
        bits = _finalised(words + columns)  # whole: floats of small integers are mostly zeros
        hashes[start : start + size] = bits.sum(axis=1, dtype=np.uint64)
    hashes *= np.uint64(_ODD[1])
    hashes ^= hashes >> np.uint64(31)
    return hashes
