"""What the tests of bad sequences share: small data, small models, and what a refusal is."""

import numpy as np
import pandas as pd
import pytest

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor

_generator = np.random.default_rng(0)
X = _generator.normal(size=(8, 6, 2))
Y = _generator.normal(size=8)
LABELS = np.array(list("abcabcab"))
LENGTHS = np.array([6, 5, 4, 3, 2, 1, 6, 5])
RAGGED_X = [x[:n] for x, n in zip(X, LENGTHS, strict=True)]
NAMES = [f"step{t}{channel}" for t in range(6) for channel in "uv"]
FRAME = pd.DataFrame(X.reshape(8, 12), columns=NAMES)
FRAMES = [pd.DataFrame(x, columns=["u", "v"]) for x in RAGGED_X]

SMALL = {
    "cell": "gru",
    "hidden_size": 3,
    "n_channels": 2,
    "max_iter": 2,
    "tol": 0,
    "random_state": 0,
}


def regressor(**parameters):
    return RNNSequenceRegressor(**{**SMALL, **parameters})


def classifier(**parameters):
    return RNNSequenceClassifier(**{**SMALL, **parameters})


def targets_of(estimator):
    """Answers for X that `estimator` can learn."""
    y = LABELS if isinstance(estimator, RNNSequenceClassifier) else Y
    return np.tile(y[:, None], 6) if estimator.return_sequences else y


def replaced(value, where, dtype=float):
    """X with `value` somewhere."""
    array = X.astype(dtype)
    array[where] = value
    return array


def objects(items):
    """A one-dimensional array of these objects."""
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


_ANSWERS = {}  # by module, which a refusal must leave in place


def refuse(estimator, call, error, words, known=X):
    """`call` raises exactly this, and `estimator` is what it was."""
    before = dict(vars(estimator))
    module = before.get("module_")
    if module is not None and module not in _ANSWERS:
        _ANSWERS[module] = estimator.predict(known)
    with pytest.raises(error, match=words) as caught:
        call()
    assert type(caught.value) is error, type(caught.value)
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is value for name, value in before.items())
    if module is not None:
        np.testing.assert_array_equal(estimator.predict(known), _ANSWERS[module])
