"""What the tests of bad inputs share: small data, small models, and what a refusal is."""

import re

import numpy as np
import pandas as pd
import pytest

from skaernn import AutoencoderTransformer

X = np.random.default_rng(0).normal(size=(20, 3))
FRAME = pd.DataFrame(X, columns=list("abc"))


def make(**parameters):
    small = {"hidden_layer_sizes": (4,), "max_iter": 2, "tol": 0, "random_state": 0}
    return AutoencoderTransformer(**{**small, **parameters})


def plain_id(value):
    """What a test is called, the same in every process: without addresses."""
    return re.sub(r"<(function )?(\S+).*>", r"\2", str(value))


def refuse(estimator, call, error, words):
    """`call` raises exactly this, and `estimator` is what it was."""
    before = dict(vars(estimator))
    codes = estimator.transform(X) if hasattr(estimator, "module_") else None
    with pytest.raises(error, match=words) as caught:
        call()
    assert type(caught.value) is error
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is value for name, value in before.items())
    if codes is not None:
        np.testing.assert_array_equal(estimator.transform(X), codes)


class Convertible:
    """Nothing but ``__array__``."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array.astype(dtype or self.array.dtype)


NO_ARRAY, TEXT, DATES = "Expected 2D array, got", "bytes/strings", "dates and durations"
RAGGED, NESTED, MISSING = "unequal lengths", "nested data need a column", r"X\w* contains NaN"
COMPLEX, LARGE, SIZE = "Complex data not supported", "too large for dtype", "Found array with"
PARTS = "where a number should be"
