"""What a user gets for wrong weights, lengths, states and forecasts of sequences."""

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from refusal import COMPLEX, DATES, LARGE, TEXT
from scipy import sparse
from sequence_refusal import (
    LENGTHS,
    RAGGED_X,
    X,
    Y,
    classifier,
    read_only,
    refuse,
    regressor,
    targets_of,
)
from sklearn.model_selection import cross_val_score
from test_bad_weights import BAD_WEIGHTS

ONES, HALF = np.ones(8), np.r_[np.ones(4), np.zeros(4)]
STATE = np.random.default_rng(2).normal(size=(8, 3)) / 2


@pytest.fixture(scope="module", params=[regressor, classifier], ids=["regressor", "classifier"])
def fitted(request):
    model = request.param(warm_start=True, linear_path=False)
    return model.fit(X, targets_of(model))


@pytest.fixture(scope="module")
def plain():
    return regressor(linear_path=False).fit(X, Y)


def refuse_argument(fitted, name, value, error, words, X=X, methods=("score", "predict")):
    """`value` is refused as the argument `name`, wherever there is one."""
    y = targets_of(fitted)
    new = type(fitted)(**fitted.get_params())
    stopping = type(fitted)(**{**fitted.get_params(), "early_stopping": True})
    for model in (new, fitted):
        refuse(model, lambda m=model: m.fit(X, y, **{name: value()}), error, words)
    refuse(fitted, lambda: fitted.partial_fit(X, y, **{name: value()}), error, words)
    held_out = {"X_val": X, "y_val": y, f"{name}_val": value()}
    if held_out[f"{name}_val"] is not None:
        refuse(stopping, lambda: stopping.fit(X, y, **held_out), error, words)
    calls = {
        "score": lambda: fitted.score(X, y, **{name: value()}),
        "predict": lambda: fitted.predict(X, **{name: value()}),
        "predict_proba": lambda: fitted.predict_proba(X, **{name: value()}),
        "forecast": lambda: fitted.forecast(X, 2, **{name: value()}),
    }
    for method in methods:
        if hasattr(fitted, method):
            refuse(fitted, calls[method], error, words)


# Weights: the wrong ones of the autoencoder, at another length


@pytest.mark.parametrize("name", BAD_WEIGHTS)
def test_bad_weights(name, fitted):
    value, error, words = BAD_WEIGHTS[name]
    words = words.replace("20", "8").replace("19", "7")

    def shorter():
        weight = value()
        if name == "ragged":
            return weight
        if name in ("short", "masked"):
            return weight[:-12]
        return weight[:8] if np.shape(weight)[:1] == (20,) else weight

    refuse_argument(fitted, "sample_weight", shorter, error, words, methods=["score"])


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (np.ones((8, 6)), "must be 1D array or scalar"),
        ([np.ones(n) for n in LENGTHS], "sample_weight"),
    ],
    ids=["array", "list"],
)
@pytest.mark.parametrize("per_step", [False, True])
def test_weights_are_of_sequences(weight, words, per_step):
    model = regressor(return_sequences=per_step)
    model.fit(X, targets_of(model))
    y = targets_of(model)
    refuse(model, lambda: model.fit(X, y, sample_weight=weight), ValueError, words)
    refuse(model, lambda: model.score(X, y, sample_weight=weight), ValueError, words)


GOOD_WEIGHTS = {
    "list": HALF.tolist,
    "bool": lambda: HALF > 0,
    "read-only": lambda: read_only(HALF),
    "reversed": lambda: HALF[::-1].copy()[::-1],
    "objects": lambda: HALF.astype(object),
    "Decimal": lambda: [Decimal(int(weight)) for weight in HALF],
    "tensor": lambda: torch.from_numpy(HALF).requires_grad_(),
    "bfloat16": lambda: torch.from_numpy(HALF).bfloat16(),
    "Series": lambda: pd.Series(HALF, index=range(5, 13)),
    "polars": lambda: pl.Series(HALF),
}


@pytest.mark.parametrize("weight", GOOD_WEIGHTS.values(), ids=GOOD_WEIGHTS.keys())
def test_sequences_of_weight_zero_are_not_there(weight):
    expected = regressor().fit(RAGGED_X[:4], Y[:4])
    model = regressor().fit(RAGGED_X, Y, sample_weight=weight())
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    score = model.score(X, Y, sample_weight=weight())
    assert score == pytest.approx(expected.score(X[:4], Y[:4]), rel=1e-13)


@pytest.mark.parametrize("scalar", [2, np.float32(2), np.array(2.0), torch.tensor(2.0)])
def test_a_scalar_is_the_weight_of_every_sequence(scalar):
    model = regressor().fit(X, Y, sample_weight=scalar)
    expected = regressor().fit(X, Y, sample_weight=2 * ONES)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


# Lengths


def at(value, dtype=int, place=2):
    lengths = LENGTHS.astype(dtype)
    lengths[place] = value
    return lengths


WHOLE, COUNT = r"lengths\w*\[{}\] is .* whole numbers", r"expected \(8,\), one number for each"
BAD_LENGTHS = {
    "short": (lambda: LENGTHS[1:], ValueError, COUNT),
    "long": (lambda: [*LENGTHS, 1], ValueError, COUNT),
    "a column": (lambda: LENGTHS[:, None], ValueError, COUNT),
    "a frame": (lambda: pd.DataFrame(LENGTHS), ValueError, COUNT),
    "empty": (list, ValueError, COUNT),
    "a mask of steps": (lambda: np.arange(6) < LENGTHS[:, None], ValueError, COUNT),
    "scalar": (lambda: 3, ValueError, "got int"),
    "str": (lambda: "65432165", ValueError, "got str"),
    "dict": (lambda: {0: 1}, TypeError, "got dict"),
    "set": (lambda: {1, 2}, ValueError, "got set"),
    "generator": (lambda: (n for n in LENGTHS), ValueError, "got generator"),
    "zero": (lambda: at(0), ValueError, r"lengths\w*\[2\] is 0; expected 1 to 6"),
    "negative": (lambda: at(-1), ValueError, r"lengths\w*\[2\] is -1; expected 1 to 6"),
    "beyond": (lambda: at(7), ValueError, r"lengths\w*\[2\] is 7; expected 1 to 6"),
    "two of them": (lambda: at([0, 9], place=[5, 3]), ValueError, r"lengths\w*\[3\] is 9"),
    "of 30 digits": (lambda: at(10**30, object), ValueError, r"lengths\w*\[2\] is 10*; expected"),
    "unsigned": (lambda: at(2**63 + 1, np.uint64), ValueError, r"lengths\w*\[2\] is 92.*; exp"),
    "floats": (lambda: LENGTHS.astype(float), ValueError, WHOLE.format(0)),
    "float tensor": (lambda: torch.from_numpy(LENGTHS).float(), ValueError, WHOLE.format(0)),
    "a half": (lambda: at(2.5, float), ValueError, WHOLE.format(0)),
    "NaN": (lambda: at(np.nan, float), ValueError, WHOLE.format(0)),
    "None": (lambda: at(None, object), ValueError, WHOLE.format(2)),
    "NA": (lambda: pd.Series([3, None, *[1] * 6], dtype="Int64"), ValueError, "lengths"),
    "Decimal": (lambda: [Decimal(3)] * 8, ValueError, WHOLE.format(0)),
    "complex": (lambda: LENGTHS + 0j, ValueError, "lengths"),
    "bool": (lambda: LENGTHS > 0, ValueError, WHOLE.format(0)),
    "text": (lambda: LENGTHS.astype(str), ValueError, TEXT),
    "categories": (lambda: pd.Series(LENGTHS).astype("category"), ValueError, TEXT),
    "dates": (lambda: np.zeros(8, "M8[D]"), TypeError, DATES),
    "durations": (lambda: pd.to_timedelta(LENGTHS), TypeError, DATES),
    "masked": (lambda: np.ma.masked_equal(LENGTHS, 3), ValueError, "Masked arrays"),
    "sparse": (lambda: sparse.csr_array(LENGTHS[:, None]), TypeError, r"\.toarray\(\)"),
    "meta": (lambda: torch.ones(8, dtype=int, device="meta"), TypeError, "meta tensor"),
}


@pytest.mark.parametrize(
    ("lengths", "error", "words"), BAD_LENGTHS.values(), ids=BAD_LENGTHS.keys()
)
def test_bad_lengths(lengths, error, words, fitted):
    methods = ("score", "predict", "predict_proba", "forecast")
    refuse_argument(fitted, "lengths", lengths, error, words, methods=methods)


def test_lengths_of_columns(fitted):
    """A 2-D X of 12 columns and two channels has 6 steps, whichever form X had in fit."""
    flat = X.reshape(8, 12)
    words = r"lengths\[0\] is 12; expected 1 to 6"
    refuse(fitted, lambda: fitted.predict(flat, lengths=2 * LENGTHS), ValueError, words)
    expected = fitted.predict(RAGGED_X)
    np.testing.assert_array_equal(fitted.predict(flat, lengths=LENGTHS), expected)


@pytest.mark.parametrize("lengths", [LENGTHS[::-1], LENGTHS[1:], "abc", 3, LENGTHS + 1], ids=str)
def test_a_list_has_lengths_of_its_own(lengths, fitted):
    words = "sequences have lengths of their own"
    refuse(fitted, lambda: fitted.predict(RAGGED_X, lengths=lengths), ValueError, words)
    y = targets_of(fitted)
    refuse(fitted, lambda: fitted.fit(RAGGED_X, y, lengths=lengths), ValueError, words)
    expected = fitted.predict(RAGGED_X)
    np.testing.assert_array_equal(fitted.predict(RAGGED_X, lengths=LENGTHS), expected)


GOOD_LENGTHS = {
    "list": LENGTHS.tolist,
    "tuple": lambda: tuple(LENGTHS),
    **{name: lambda name=name: LENGTHS.astype(name) for name in ("i1", "u1", ">i4", "u8", "O")},
    "read-only": lambda: read_only(LENGTHS),
    "reversed": lambda: LENGTHS[::-1].copy()[::-1],
    "tensor": lambda: torch.from_numpy(LENGTHS),
    "int32 tensor": lambda: torch.from_numpy(LENGTHS).int(),
    "Series": lambda: pd.Series(LENGTHS, index=range(5, 13)),
    "Int64": lambda: pd.Series(LENGTHS).astype("Int64"),
    "polars": lambda: pl.Series(LENGTHS),
}


@pytest.mark.parametrize("lengths", GOOD_LENGTHS.values(), ids=GOOD_LENGTHS.keys())
def test_lengths_come_in_every_form(lengths):
    expected = regressor().fit(RAGGED_X, Y).predict(RAGGED_X)
    model = regressor().fit(X, Y, lengths=lengths())
    np.testing.assert_array_equal(model.predict(X, lengths=lengths()), expected)


def test_lengths_without_a_way_to_the_scorer_are_warned_of():
    padded = np.where(np.arange(6)[:, None] < LENGTHS[:, None, None], X, 0)
    with pytest.warns(UserWarning, match="fitted with lengths and is used without them"):
        cross_val_score(regressor(), padded, Y, params={"lengths": LENGTHS}, cv=2)


# States


EXPECTED = r"initial_state\w* has shape .*; expected \(8, 3\).*return_state=True"
BAD_STATES = {
    "narrow": (lambda: STATE[:, :2], ValueError, EXPECTED),
    "wide": (lambda: np.c_[STATE, STATE], ValueError, EXPECTED),
    "too few rows": (lambda: STATE[1:], ValueError, EXPECTED),
    "one row for all": (lambda: STATE[:1], ValueError, EXPECTED),
    "1-D": (lambda: STATE[0], ValueError, EXPECTED),
    "layers first, as of torch": (lambda: torch.zeros(1, 8, 3), ValueError, EXPECTED),
    "transposed": (lambda: STATE.T, ValueError, EXPECTED),
    "empty": (list, ValueError, EXPECTED),
    "(answers, state)": (lambda: (Y, STATE), ValueError, "pass the last, which is the state"),
    "(h, c)": (lambda: (STATE, STATE), ValueError, "initial_state"),
    "[answers, state]": (lambda: [Y, STATE], ValueError, "pass the last, which is the state"),
    "NaN": (lambda: np.where(STATE[2, 1] == STATE, np.nan, STATE), ValueError, "initial.* NaN"),
    "inf": (lambda: np.where(STATE[2, 1] == STATE, np.inf, STATE), ValueError, "infinity"),
    "None rows": (lambda: [[None] * 3] * 8, ValueError, "initial_state.* NaN"),
    "400 digits": (lambda: [[10**400] * 3] * 8, ValueError, LARGE),
    "text and bytes": (lambda: [["a", b"\x80", "b"]] * 8, ValueError, "strings"),
    "ragged cells": (lambda: [[None, []]] * 8, ValueError, "initial_state"),
    "text": (lambda: STATE.astype(str), ValueError, TEXT),
    "complex": (lambda: STATE + 0j, ValueError, COMPLEX),
    "dates": (lambda: np.zeros((8, 3), "M8[s]"), TypeError, DATES),
    "str": (lambda: "zeros", ValueError, "got str"),
    "scalar": (lambda: 0.0, ValueError, "got float"),
    "dict": (dict, TypeError, "got dict"),
    "generator": (lambda: (row for row in STATE), ValueError, "got generator"),
    "masked": (lambda: np.ma.masked_greater(STATE, 0), ValueError, "Masked arrays"),
    "sparse": (lambda: sparse.csr_array(STATE), TypeError, r"\.toarray\(\)"),
    "meta": (lambda: torch.ones(8, 3, device="meta"), TypeError, "meta tensor"),
}


@pytest.mark.parametrize(("state", "error", "words"), BAD_STATES.values(), ids=BAD_STATES.keys())
def test_bad_states(state, error, words, fitted):
    methods = ("score", "predict", "predict_proba", "forecast")
    refuse_argument(fitted, "initial_state", state, error, words, methods=methods)


GOOD_STATES = {
    "list": STATE.tolist,
    "read-only": lambda: read_only(STATE),
    "frame": lambda: pd.DataFrame(STATE),
    "reversed": lambda: STATE[::-1].copy()[::-1],
    "Fortran order": lambda: np.asfortranarray(STATE),
    "big-endian": lambda: STATE.astype(">f8"),
    "long double": lambda: STATE.astype(np.longdouble),
    "objects": lambda: STATE.astype(object),
    "tensor": lambda: torch.from_numpy(STATE).requires_grad_(),
}


@pytest.mark.parametrize("state", GOOD_STATES.values(), ids=GOOD_STATES.keys())
def test_states_come_in_every_form(state, plain):
    expected = regressor().fit(X, Y, initial_state=STATE)
    model = regressor().fit(X, Y, initial_state=state())
    for one in (model, plain):
        known = (expected if one is model else plain).predict(X, initial_state=STATE)
        np.testing.assert_array_equal(one.predict(X, initial_state=state()), known)


@pytest.mark.parametrize("state", [np.zeros((8, 3)), np.zeros((8, 3), int), np.zeros((8, 3)) > 0])
def test_a_state_of_zeros_is_none(state, plain):
    np.testing.assert_array_equal(plain.predict(X, initial_state=state), plain.predict(X))
    model = regressor(linear_path=False).fit(X, Y, initial_state=state)
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))


def test_a_state_has_to_fit_the_network():
    single = X.astype(np.float32)
    model = regressor(linear_path=False).fit(single, Y)
    huge = np.full((8, 3), 1e300)
    refuse(model, lambda: model.predict(single, initial_state=huge), ValueError, LARGE, single)
    new = regressor()
    refuse(new, lambda: new.fit(single, Y, initial_state=huge), ValueError, LARGE)
    model = regressor(cell="lstm", linear_path=False).fit(X, Y)
    words = r"expected \(8, 6\): .* widths \(3, 3\)"
    refuse(model, lambda: model.predict(X, initial_state=STATE), ValueError, words)


@pytest.mark.parametrize("make", [regressor, classifier])
def test_both_directions_have_no_state(make):
    model = make(bidirectional=True, n_layers=2)
    y = targets_of(model)
    words = "initial_state.* no meaning with bidirectional=True"
    refuse(model, lambda: model.fit(X, y, initial_state=STATE), ValueError, words)
    model.fit(X, y)
    for state in (STATE, np.zeros((8, 12)), "any"):
        refuse(model, lambda s=state: model.predict(X, initial_state=s), ValueError, words)
        refuse(model, lambda s=state: model.score(X, y, initial_state=s), ValueError, words)
    words = "no state to give with bidirectional=True"
    refuse(model, lambda: model.predict(X, return_state=True), ValueError, words)
