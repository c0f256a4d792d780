"""What a user gets for wrong weights, and which odd ones are welcome."""

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from refusal import COMPLEX, DATES, LARGE, RAGGED, TEXT, X, make, refuse
from scipy import sparse

ONES = np.ones(20)
HALF = np.r_[np.ones(10), np.zeros(10)]


@pytest.fixture(scope="module")
def fitted():
    return make().fit(X)


BAD_WEIGHTS = {
    "negative": (lambda: np.r_[-1, ONES[1:]], ValueError, "Negative values in data passed to"),
    "NaN": (lambda: np.r_[np.nan, ONES[1:]], ValueError, "sample_weight contains NaN"),
    "inf": (lambda: np.r_[np.inf, ONES[1:]], ValueError, "sample_weight contains infinity"),
    "all zero": (lambda: 0 * ONES, ValueError, "at least one non-zero number"),
    "short": (lambda: ONES[1:], ValueError, r"sample_weight.shape == \(19,\), expected \(20,\)"),
    "empty": (list, ValueError, "sample"),
    "2-D": (lambda: ONES[:, None], ValueError, "1D array or scalar"),
    "frame": (lambda: pd.DataFrame(ONES), ValueError, "1D array or scalar"),
    "strings": (lambda: ["1"] * 20, ValueError, TEXT),
    "string objects": (lambda: np.array(["1"] * 20, dtype=object), ValueError, TEXT),
    "string Series": (lambda: pd.Series(["1"] * 20), ValueError, TEXT),
    "polars strings": (lambda: pl.Series(["1"] * 20), ValueError, TEXT),
    "str": (lambda: "balanced", ValueError, "Expected 1D array, got str"),
    "dict": (lambda: {0: 1.0}, TypeError, "pass sample_weight.* as a NumPy array"),
    "generator": (lambda: (1.0 for _ in X), ValueError, "Expected 1D array, got generator"),
    "ragged": (lambda: [[1], [1, 2]], ValueError, RAGGED),
    "dates": (lambda: np.zeros(20, "M8[s]"), TypeError, DATES),
    "durations": (lambda: np.ones(20, "m8[s]"), TypeError, DATES),
    "complex": (lambda: ONES + 0j, ValueError, COMPLEX),
    "masked": (lambda: np.ma.array(ONES, mask=HALF), ValueError, "Masked arrays"),
    "sparse": (lambda: sparse.csr_array(ONES[:, None]), TypeError, r"\.toarray\(\)"),
    "None": (lambda: [None] * 20, ValueError, "sample_weight contains NaN"),
    "NA": (lambda: pd.Series([pd.NA] * 20), ValueError, "sample_weight contains NaN"),
    "400 digits": (lambda: [10**400] * 20, ValueError, LARGE),
    "sum": (lambda: ONES * 1e308, ValueError, "their sum is infinite"),
    "meta": (lambda: torch.ones(20, device="meta"), TypeError, "meta tensor"),
    "scalar zero": (lambda: 0.0, ValueError, "at least one non-zero number"),
    "scalar negative": (lambda: -1, ValueError, "Negative values in data passed to"),
    "scalar NaN": (lambda: np.nan, ValueError, "sample_weight contains NaN"),
    "scalar inf": (lambda: np.inf, ValueError, "sample_weight contains infinity"),
    "scalar complex": (lambda: 1j, ValueError, COMPLEX),
}


@pytest.mark.parametrize(
    ("weight", "error", "words"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS.keys()
)
def test_bad_weights(weight, error, words, fitted):
    new, stopping = make(), make(early_stopping=True)
    refuse(new, lambda: new.fit(X, sample_weight=weight()), error, words)
    refuse(fitted, lambda: fitted.fit(X, sample_weight=weight()), error, words)
    refuse(fitted, lambda: fitted.partial_fit(X, sample_weight=weight()), error, words)
    refuse(fitted, lambda: fitted.score(X, sample_weight=weight()), error, words)

    def validate():
        stopping.fit(X, X_val=X, sample_weight_val=weight())

    refuse(stopping, validate, error, words)


GOOD_WEIGHTS = {
    "list": HALF.tolist,
    "bool": lambda: HALF > 0,
    "int": lambda: HALF.astype(int),
    "float32": lambda: HALF.astype(np.float32),
    "negative zero": lambda: np.where(HALF > 0, 1.0, -0.0),
    "reversed": lambda: HALF[::-1].copy()[::-1],
    "objects": lambda: HALF.astype(object),
    "Decimal": lambda: [Decimal(int(weight)) for weight in HALF],
    "tensor": lambda: torch.from_numpy(HALF).requires_grad_(),
    "bfloat16": lambda: torch.from_numpy(HALF).bfloat16(),
    "Series": lambda: pd.Series(HALF, index=range(5, 25)),
    "nullable": lambda: pd.Series(HALF).astype("Int64"),
    "polars": lambda: pl.Series(HALF),
}


@pytest.mark.parametrize("weight", GOOD_WEIGHTS.values(), ids=GOOD_WEIGHTS.keys())
def test_rows_of_weight_zero_are_not_there(weight):
    codes = make().fit(X, sample_weight=weight()).transform(X)
    np.testing.assert_array_equal(codes, make().fit(X[:10]).transform(X))


@pytest.mark.parametrize("scalar", [2, 2.0, np.float32(2), np.array(2.0), torch.tensor(2.0)])
def test_a_scalar_is_the_weight_of_every_row(scalar):
    codes = make().fit(X, sample_weight=scalar).transform(X)
    np.testing.assert_array_equal(codes, make().fit(X, sample_weight=2 * ONES).transform(X))


def test_validation_data_without_use():
    model = make()
    refuse(model, lambda: model.fit(X, X_val=X), ValueError, "early_stopping is False")
    words = "sample_weight_val was passed to fit without X_val"
    refuse(model, lambda: model.fit(X, sample_weight_val=ONES), ValueError, words)
    model.set_params(early_stopping=True)
    refuse(model, lambda: model.fit(X, sample_weight_val=ONES), ValueError, words)


def test_cross_entropy_needs_the_unit_interval():
    model = make(loss="binary_cross_entropy")
    words = r"needs X to be in \[0, 1\], but it lies in \[-2\.32503, "
    refuse(model, lambda: model.fit(X), ValueError, words)
    model.fit(X > 0)
    refuse(model, lambda: model.reconstruction_error(X), ValueError, words)
