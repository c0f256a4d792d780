"""What a user gets for wrong targets of sequences, of numbers and of classes."""

from datetime import date, timedelta
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from refusal import COMPLEX, LARGE
from scipy import sparse
from sequence_refusal import (
    LABELS,
    LENGTHS,
    RAGGED_X,
    X,
    Y,
    classifier,
    objects,
    refuse,
    regressor,
)

STEPS = np.random.default_rng(1).normal(size=(8, 6))
TARGETS = {
    (regressor, False): Y,
    (regressor, True): STEPS,
    (classifier, False): LABELS,
    (classifier, True): STEPS > 0,
}
NUMERIC, MISSING = "must be numeric", r"y\w* contains NaN"
SIZES = "inconsistent numbers of samples"
CONTINUOUS, UNIFORM = "Unknown label type", "uniformly strings or numbers|Unknown label type"


def at(value, dtype=float):
    """Y with one other value."""
    y = Y.astype(dtype)
    y[3] = value
    return y


BAD = {
    "None": (lambda: None, ValueError, "requires y to be passed, but the target y is None"),
    "short": (lambda: Y[1:], ValueError, f"{SIZES}: .*8, 7"),
    "long": (lambda: np.r_[Y, 1], ValueError, f"{SIZES}: .*8, 9"),
    "empty": (list, ValueError, f"{SIZES}: .*8, 0"),
    "a row": (lambda: Y[None], ValueError, f"{SIZES}: .*8, 1"),
    "scalar": (lambda: 1.0, ValueError, "got float"),
    "0-d array": (lambda: np.array(1.0), ValueError, "got a scalar"),
    "str": (lambda: "abcabcab", ValueError, "got str"),
    "bytes": (lambda: b"abcabcab", ValueError, "got bytes"),
    "dict": (lambda: dict(enumerate(Y)), TypeError, "got dict"),
    "set": (lambda: set(Y), ValueError, "got set"),
    "generator": (lambda: (v for v in Y), ValueError, "got generator"),
    "object": (object, ValueError, "got object"),
    "Dataset": (
        lambda: torch.utils.data.TensorDataset(torch.ones(8)),
        TypeError,
        "got TensorData",
    ),
    "NaN": (lambda: at(np.nan), ValueError, MISSING),
    "NaN float32": (lambda: at(np.nan, np.float32), ValueError, MISSING),
    "inf": (lambda: at(-np.inf), ValueError, r"y\w* contains infinity"),
    "NA of integers": (lambda: pd.Series([None, *[1] * 7], dtype="Int64"), ValueError, MISSING),
    "null": (lambda: pl.Series([None, *[1.0] * 7]), ValueError, MISSING),
    "long double": (lambda: np.full(8, np.longdouble("1e4000")), ValueError, "infinity"),
    "sparse": (lambda: sparse.csr_array(Y[:, None]), TypeError, r"\.toarray\(\)"),
    "sparse tensor": (lambda: torch.ones(8).to_sparse(), TypeError, "sparse tensor"),
    "meta tensor": (lambda: torch.ones(8, device="meta"), TypeError, "meta tensor"),
    "complex tensor": (lambda: torch.ones(8) + 1j, ValueError, COMPLEX),
    "masked": (lambda: np.ma.masked_greater(Y, 0), ValueError, "[Mm]asked"),
    "masked rows": (lambda: [np.ma.masked_less(Y[:1], 0)] * 8, ValueError, "[Mm]asked"),
    "lazy": (lambda: pl.LazyFrame({"y": Y}), TypeError, r"collect\(\) first"),
    "3-D": (lambda: np.ones((8, 6, 2)), ValueError, "3 dimensions; .*Set return_sequences=True"),
    "ragged": (lambda: [[1.0], *[[1.0, 2.0]] * 7], ValueError, "return_sequences=True"),
    "a list like X": (lambda: [x[:, 0] for x in RAGGED_X], ValueError, "return_sequences=True"),
}
BAD_NUMBERS = {
    "text": (lambda: LABELS, ValueError, NUMERIC),
    "numeric text": (lambda: ["1"] * 8, ValueError, NUMERIC),
    "numeric bytes": (lambda: [b"1"] * 8, ValueError, NUMERIC),
    "text objects": (lambda: np.array(["1"] * 8, dtype=object), ValueError, NUMERIC),
    "text among numbers": (lambda: at("1", object), ValueError, NUMERIC),
    "text Series": (lambda: pd.Series(["1"] * 8), ValueError, NUMERIC),
    "text frame": (lambda: pd.DataFrame({"y": ["1"] * 8}), ValueError, NUMERIC),
    "polars text": (lambda: pl.Series(["1"] * 8), ValueError, NUMERIC),
    "categories": (lambda: pd.Series(LABELS).astype("category"), ValueError, NUMERIC),
    "dates": (lambda: np.zeros(8, "M8[s]"), ValueError, NUMERIC),
    "durations": (lambda: np.zeros(8, "m8[s]"), ValueError, NUMERIC),
    "date objects": (lambda: [date(2020, 1, 1)] * 8, ValueError, NUMERIC),
    "duration objects": (lambda: [timedelta(1)] * 8, ValueError, NUMERIC),
    "Timestamps": (lambda: [pd.Timestamp(0)] * 8, ValueError, NUMERIC),
    "zones": (lambda: pd.Series([pd.Timestamp(0, tz="UTC")] * 8), ValueError, NUMERIC),
    "periods": (lambda: pd.Series([pd.Period("2020")] * 8), ValueError, NUMERIC),
    "complex": (lambda: Y + 1j, ValueError, COMPLEX),
    "complex object": (lambda: at(1j, object), ValueError, COMPLEX),
    "dict cell": (lambda: at({}, object), ValueError, NUMERIC),
    "list cells": (lambda: objects([[1], None] * 4), ValueError, "where a number should be"),
    "None cell": (lambda: at(None, object), ValueError, MISSING),
    "NA": (lambda: at(pd.NA, object), ValueError, MISSING),
    "400 digits": (lambda: [10**400] * 8, ValueError, LARGE),
    "structured": (lambda: np.zeros(8, [("a", "f8")]), ValueError, NUMERIC),
    "void": (lambda: np.zeros(8, "V4"), ValueError, NUMERIC),
    "no outputs": (lambda: np.ones((8, 0)), ValueError, "y\\w* has 0 outputs"),
}
BAD_CLASSES = {
    "continuous": (lambda: Y, ValueError, "Unknown label type: continuous"),
    "continuous Series": (lambda: pd.Series(Y), ValueError, "Unknown label type: continuous"),
    "huge": (lambda: Y * 1e200, ValueError, "Unknown label type: continuous"),
    "the largest": (lambda: np.sign(Y) * 1.7e308, ValueError, "continuous|too large"),
    "several labels": (lambda: np.eye(8, 3, dtype=int), ValueError, r"1d array, .* \(8, 3\)"),
    "one label of two": (lambda: np.eye(8, 2, dtype=int), ValueError, r"1d array, .* \(8, 2\)"),
    "a class a step": (lambda: np.tile(LABELS[:, None], 6), ValueError, r"1d array, .* \(8, 6\)"),
    "no columns": (lambda: np.ones((8, 0), dtype=int), ValueError, "y"),
    "text and numbers": (lambda: objects(["a", 1] * 4), ValueError, UNIFORM),
    "None among text": (lambda: objects(["a", None] * 4), ValueError, UNIFORM),
    "NA": (lambda: at(pd.NA, object), ValueError, UNIFORM),
    "NaN among text": (lambda: objects(["a", np.nan] * 4), ValueError, UNIFORM),
    "null among text": (lambda: pl.Series(["a", None] * 4), ValueError, UNIFORM),
    "no category": (
        lambda: pd.Series(["a", None] * 4, dtype="category"),
        ValueError,
        UNIFORM,
    ),
    "bytes": (lambda: [b"a", b"b"] * 4, TypeError, "represented as bytes is not supported"),
    "date objects": (lambda: [date(2020, 1, 1)] * 8, ValueError, CONTINUOUS),
    "list cells": (lambda: objects([[1], [2, 3]] * 4), ValueError, "where a class should be"),
    "dict cells": (lambda: [{}] * 8, ValueError, "where a class should be"),
    "arrays": (lambda: objects(list(np.ones((8, 2)))), ValueError, "y"),
    "complex": (lambda: Y + 1j, ValueError, "complex128"),
    "complex object": (lambda: at(1j, object), ValueError, CONTINUOUS),
    "structured": (lambda: np.zeros(8, [("a", "f8")]), ValueError, "names no classes"),
    "void": (lambda: np.zeros(8, "V4"), ValueError, "names no classes"),
}


def cases(*tables):
    found = [(name, case) for table in tables for name, case in table.items()]
    return pytest.mark.parametrize(
        ("y", "error", "words"), [pytest.param(*case, id=name) for name, case in found]
    )


@cache
def fitted_on(make, per_step):
    known = TARGETS[make, per_step]
    return make(return_sequences=per_step, warm_start=True).fit(X, known)


def check_refused(make, y, error, words, per_step=False):
    new, fitted = make(return_sequences=per_step), fitted_on(make, per_step)
    refuse(new, lambda: new.fit(X, y()), error, words)
    refuse(fitted, lambda: fitted.fit(X, y()), error, words)
    refuse(fitted, lambda: fitted.partial_fit(X, y()), error, words)
    refuse(fitted, lambda: fitted.score(X, y()), error, words)
    stopping = make(return_sequences=per_step, early_stopping=True)
    known = TARGETS[make, per_step]
    refuse(stopping, lambda: stopping.fit(X, known, X_val=X, y_val=y()), error, words)


@cases(BAD, BAD_NUMBERS)
def test_bad_numbers(y, error, words):
    check_refused(regressor, y, error, words)


@cases(BAD, BAD_CLASSES)
def test_bad_classes(y, error, words):
    check_refused(classifier, y, error, words)


# One a step


def parts(change, first=STEPS, place=3):
    """A list like X, one item of which is changed."""
    return [*first[:place], change(first[place]), *first[place + 1 :]]


BAD_STEPS = {
    "None": (lambda: None, ValueError, "requires y to be passed"),
    "one a sequence": (
        lambda: Y,
        ValueError,
        r"y\w* has shape \(8,\); .* \(8, 6\) or \(8, 6, n_out",
    ),
    "a column": (lambda: Y[:, None], ValueError, r"shape \(8, 1\); return_sequences=True needs"),
    "too few steps": (lambda: STEPS[:, :5], ValueError, r"shape \(8, 5\)"),
    "too many steps": (lambda: np.ones((8, 7)), ValueError, r"shape \(8, 7\)"),
    "transposed": (lambda: STEPS.T, ValueError, f"{SIZES}: .*8, 6"),
    "outputs first": (lambda: np.ones((8, 2, 6)), ValueError, r"shape \(8, 2, 6\)"),
    "columns of X": (lambda: X.reshape(8, 12), ValueError, r"shape \(8, 12\)"),
    "flat": (lambda: STEPS.ravel(), ValueError, f"{SIZES}: .*8, 48"),
    "4-D": (lambda: np.ones((8, 6, 2, 2)), ValueError, r"shape \(8, 6, 2, 2\)"),
    "short": (lambda: STEPS[1:], ValueError, f"{SIZES}: .*8, 7"),
    "short list": (lambda: list(STEPS[1:]), ValueError, f"{SIZES}: .*8, 7"),
    "NaN": (lambda: np.where(STEPS[3, 2] == STEPS, np.nan, STEPS), ValueError, "NaN"),
    "inf": (lambda: np.where(STEPS[3, 2] == STEPS, np.inf, STEPS), ValueError, "infinity"),
    "masked": (lambda: np.ma.masked_greater(STEPS, 0), ValueError, "[Mm]asked"),
    "sparse": (lambda: sparse.csr_array(STEPS), TypeError, r"\.toarray\(\)"),
    "complex": (lambda: STEPS + 1j, ValueError, "Complex|complex"),
    "scalar": (lambda: 1.0, ValueError, "y"),
    "dict": (dict, TypeError, "got dict"),
    "set": (lambda: {1}, ValueError, "got set"),
    "str": (lambda: "abcabcab", ValueError, "got str"),
    "generator": (lambda: (v for v in STEPS), ValueError, "got generator"),
    "lengths": (
        lambda: parts(lambda v: v[:4]),
        ValueError,
        r"y\w*\[3\] .*3 has 6 steps",
    ),
    "a sequence across": (
        lambda: parts(lambda v: v[None]),
        ValueError,
        r"\[3\] .*\(1, 6\)",
    ),
    "a scalar among": (lambda: parts(lambda v: 3.0), ValueError, r"y\w*\[3\]"),
    "None among": (lambda: parts(lambda v: None), ValueError, r"y\w*\[3\]"),
    "a dict among": (lambda: parts(lambda v: {}), TypeError, r"y\w*\[3\]"),
    "a generator among": (lambda: parts(lambda v: (w for w in v)), ValueError, r"y\w*\[3\]"),
    "NaN among": (lambda: parts(lambda v: v * np.nan), ValueError, r"y\w*\[3\] contains NaN"),
    "a mask among": (lambda: parts(lambda v: np.ma.masked_less(v, 0)), ValueError, "[Mm]asked"),
    "sparse among": (lambda: parts(lambda v: sparse.csr_array(v[:, None])), TypeError, "toarray"),
    "meta among": (
        lambda: parts(lambda v: torch.ones(6, device="meta")),
        TypeError,
        "meta tensor",
    ),
    "lazy among": (
        lambda: parts(lambda v: pl.LazyFrame({"y": v})),
        TypeError,
        r"collect\(\) first",
    ),
    "ragged among": (lambda: parts(lambda v: [1, [1, 2]]), ValueError, r"y\w*\[3\]"),
    "another depth": (lambda: parts(lambda v: v[:, None]), ValueError, "number of outputs"),
    "other outputs": (
        lambda: parts(lambda v: np.c_[v, v], STEPS[..., None]),
        ValueError,
        r"number of outputs|values for each step",
    ),
}
BAD_STEP_NUMBERS = {
    "text": (lambda: STEPS.astype(str), ValueError, NUMERIC),
    "text among": (lambda: parts(lambda v: v.astype(str)), ValueError, NUMERIC),
    "dates among": (
        lambda: parts(lambda v: np.zeros(6, "M8[s]")),
        ValueError,
        rf"\[3\] {NUMERIC}",
    ),
    "no outputs": (lambda: np.ones((8, 6, 0)), ValueError, "y\\w* has 0 outputs"),
    "400 digits": (lambda: [[10**400] * 6] * 8, ValueError, LARGE),
}
BAD_STEP_CLASSES = {
    "continuous": (lambda: STEPS, ValueError, "Unknown label type: continuous"),
    "continuous list": (lambda: list(STEPS), ValueError, "Unknown label type: continuous"),
    "several labels": (
        lambda: np.ones((8, 6, 2), int),
        ValueError,
        "has 2 values for each",
    ),
    "text among": (lambda: parts(lambda v: LABELS[:6], STEPS.round()), ValueError, UNIFORM),
}


@cases(BAD_STEPS, BAD_STEP_NUMBERS)
def test_bad_numbers_of_steps(y, error, words):
    check_refused(regressor, y, error, words, per_step=True)


@cases(BAD_STEPS, BAD_STEP_CLASSES)
def test_bad_classes_of_steps(y, error, words):
    check_refused(classifier, y, error, words, per_step=True)


RAGGED_STEPS = [v[:n] for v, n in zip(STEPS, LENGTHS, strict=True)]


@pytest.mark.parametrize(
    ("y", "error", "words"),
    [
        (lambda: STEPS, ValueError, r"y\[1\] has shape \(6,\), but sequence 1 has 5 steps"),
        (lambda: Y, ValueError, r"y"),
        (lambda: 1.0, ValueError, "y"),
        (lambda: np.array(1.0), ValueError, "y"),
        (lambda: pl.LazyFrame({"y": Y}), TypeError, r"collect\(\) first"),
        (lambda: iter(RAGGED_STEPS), ValueError, "got list_iterator"),
        (lambda: torch.from_numpy(STEPS), ValueError, r"y\[1\] has shape"),
        (lambda: sparse.csr_array(STEPS), TypeError, r"\.toarray\(\)"),
        (lambda: parts(lambda v: v[:2], RAGGED_STEPS), ValueError, r"y\[3\].* sequence 3 has 3"),
    ],
)
def test_steps_of_a_list(y, error, words):
    for make in (regressor, classifier):
        model = make(return_sequences=True)
        refuse(model, lambda m=model: m.fit(RAGGED_X, y()), error, words)


def test_targets_further_apart_than_numbers_go():
    y = np.where(np.arange(8) < 6, np.finfo(float).max, np.finfo(float).min)
    words = r"Input y contains values whose differences are too large for dtype\('float64'"
    model = regressor()
    refuse(model, lambda: model.fit(X, y), ValueError, words)
