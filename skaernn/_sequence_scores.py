"""Scores of answers: one for each sequence or, all together, for each valid step."""

from __future__ import annotations

import numpy as np

from ._sequences import Sequences
from ._targets import check_labels, check_numbers, check_same_kind
from ._validation import check_weights


def _weights(estimator, sample_weight, sequences: Sequences) -> np.ndarray | None:
    weight = check_weights(sample_weight, sequences)
    if weight is None or estimator._network.pooling is not None:
        return weight
    return np.repeat(weight, sequences.lengths)


def r2_of(estimator, sequences: Sequences, output: np.ndarray, y, sample_weight) -> float:
    """R^2 of `output`."""
    from sklearn.metrics import r2_score  # as scikit-learn's own `score`: on use

    per_step = estimator._network.pooling is None
    targets = check_numbers(estimator, y, sequences, per_step=per_step)
    weight = _weights(estimator, sample_weight, sequences)
    return float(r2_score(targets.values, output, sample_weight=weight))


def accuracy_of(estimator, sequences: Sequences, output: np.ndarray, y, sample_weight) -> float:
    """Share of rows of `output` whose largest column is the right one."""
    per_step = estimator._network.pooling is None
    labels = check_labels(estimator, y, sequences, per_step=per_step)
    weight = _weights(estimator, sample_weight, sequences)
    check_same_kind(labels, estimator.classes_)
    right = estimator.classes_[output.argmax(axis=1)] == labels
    return float(np.average(right, weights=weight))
