"""Targets that look wrong and are welcome, sizes that are hard, classes one at a time."""

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from refusal import LARGE
from sequence_refusal import (
    LABELS,
    LENGTHS,
    RAGGED_X,
    X,
    Y,
    classifier,
    objects,
    read_only,
    refuse,
    regressor,
)
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

from skaernn._losses.targets import TARGET_LOSSES

STEPS = np.random.default_rng(1).normal(size=(8, 6))
RAGGED_STEPS = [v[:n] for v, n in zip(STEPS, LENGTHS, strict=True)]


def same(y, plain, data=X, make=regressor, **parameters):
    found = make(**parameters).fit(data, y).predict(data)
    expected = make(**parameters).fit(data, plain).predict(data)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


NUMBERS = {
    "list": Y.tolist,
    "tuple": lambda: tuple(Y),
    "objects": lambda: Y.astype(object),
    "Decimal": lambda: [Decimal(float(v)) for v in Y],
    "long double": lambda: Y.astype(np.longdouble),
    "big-endian": lambda: Y.astype(">f8"),
    "read-only": lambda: read_only(Y),
    "reversed": lambda: Y[::-1].copy()[::-1],
    "slice": lambda: Y.repeat(2)[::2],
    "unaligned": lambda: np.frombuffer(b"0" + Y.tobytes(), offset=1),
    "tensor": lambda: torch.from_numpy(Y.copy()).requires_grad_(),
    "list of tensors": lambda: [torch.tensor(v) for v in Y],
    "Series": lambda: pd.Series(Y, index=range(5, 13)),
    "Float64": lambda: pd.Series(Y).astype("Float64"),
    "polars": lambda: pl.Series(Y),
    "memory of a frame": lambda: pd.DataFrame({"a": Y, "b": Y})["b"],
}


@pytest.mark.parametrize("y", NUMBERS.values(), ids=NUMBERS.keys())
def test_numbers_come_in_every_form(y):
    same(y(), Y)


WIDE = np.c_[Y, -Y]


@pytest.mark.parametrize(
    "y",
    [
        WIDE.tolist(),
        np.asfortranarray(WIDE),
        WIDE[::-1].copy()[::-1],
        pd.DataFrame(WIDE),
        pl.DataFrame(WIDE, schema=["a", "b"]),
        torch.from_numpy(WIDE),
        list(torch.from_numpy(WIDE)),
    ],
    ids=lambda y: type(y).__name__,
)
def test_several_outputs_come_in_every_form(y):
    same(y, WIDE)


@pytest.mark.parametrize(
    "convert", [np.asarray, list, torch.from_numpy, pd.Series, lambda y: y.astype("i1")]
)
def test_booleans_and_integers_are_numbers(convert):
    same(convert(Y > 0), (Y > 0).astype(float))


NAMES = {
    "list": LABELS.tolist,
    "objects": lambda: LABELS.astype(object),
    "read-only": lambda: read_only(LABELS),
    "Series": lambda: pd.Series(LABELS, index=range(5, 13)),
    "objects in a Series": lambda: pd.Series(LABELS, dtype=object),
    "category": lambda: pd.Series(LABELS).astype("category"),
    "ordered category": lambda: pd.Categorical(LABELS, list("cbazyx"), ordered=True),
    "polars": lambda: pl.Series(LABELS),
    "polars category": lambda: pl.Series(LABELS, dtype=pl.Categorical),
}


@pytest.mark.parametrize("y", NAMES.values(), ids=NAMES.keys())
def test_names_come_in_every_form(y):
    same(y(), LABELS, make=classifier)


@pytest.mark.parametrize(
    "classes",
    [[False, True], [-1, 1], [0.0, 1.0], [2**40, 7], np.array([3, 250], "u1"), ["", "b"]],
    ids=str,
)
def test_classes_of_every_kind(classes):
    y = np.array(classes)[[0, 1] * 4]
    model = classifier().fit(X, y)
    assert model.classes_.tolist() == sorted(classes)
    assert model.classes_.dtype == y.dtype
    assert model.predict(X).dtype == y.dtype
    assert model.predict_proba(X).shape == (8, 2)


def test_one_class():
    for parameters in ({}, {"class_weight": "balanced"}):
        model = classifier(**parameters).fit(X, ["a"] * 8)
        assert set(model.predict(X)) == {"a"}
        np.testing.assert_array_equal(model.predict_proba(X), np.ones((8, 1)))


def test_a_column_is_warned_of():
    for make, y in ((regressor, Y), (classifier, LABELS)):
        with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
            answers = make().fit(X, y[:, None]).predict(X)
        np.testing.assert_array_equal(answers, make().fit(X, y).predict(X))


# One a step

OF_STEPS = {
    "list": lambda: list(STEPS),
    "nested lists": STEPS.tolist,
    "object array": lambda: objects(list(STEPS)),
    "tensor": lambda: torch.from_numpy(STEPS.copy()),
    "list of tensors": lambda: [torch.from_numpy(v.copy()).requires_grad_() for v in STEPS],
    "list of Series": lambda: [pd.Series(v) for v in STEPS],
    "frame": lambda: pd.DataFrame(STEPS),
    "reversed": lambda: STEPS[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": lambda: read_only(STEPS),
}


@pytest.mark.parametrize("y", OF_STEPS.values(), ids=OF_STEPS.keys())
def test_one_a_step_in_every_form(y):
    same(y(), STEPS, return_sequences=True)


RAGGED_OF_STEPS = {
    "nested lists": lambda: [v.tolist() for v in RAGGED_STEPS],
    "object array": lambda: objects(RAGGED_STEPS),
    "Series of arrays": lambda: pd.Series(RAGGED_STEPS),
    "list of bfloat16": lambda: [torch.from_numpy(v.copy()).bfloat16() for v in RAGGED_STEPS],
    "list of polars": lambda: [pl.Series(v) for v in RAGGED_STEPS],
}


@pytest.mark.parametrize("y", RAGGED_OF_STEPS.values(), ids=RAGGED_OF_STEPS.keys())
def test_one_a_step_of_a_list(y):
    plain = RAGGED_STEPS
    if isinstance(y()[0], torch.Tensor):
        plain = [v.double().numpy() for v in y()]
    same(y(), plain, RAGGED_X, return_sequences=True)


@pytest.mark.parametrize("fill", [np.nan, np.inf, 1e300])
def test_targets_beyond_an_end_are_not_read(fill):
    there = np.arange(6) < LENGTHS[:, None]
    y, array = np.where(there, STEPS, fill), np.where(there[..., None], X, np.nan)
    found = regressor(return_sequences=True).fit(array, y).predict(array)
    expected = regressor(return_sequences=True).fit(RAGGED_X, RAGGED_STEPS).predict(RAGGED_X)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one[: len(other)], other)
        assert not one[len(other) :].any()


# Sizes


@pytest.mark.parametrize("loss", TARGET_LOSSES)
@pytest.mark.parametrize("value", [0.0, 1.0, 1e-300, 1e300])
def test_constant_targets_are_predicted(loss, value):
    if loss == "binary_cross_entropy" and value > 1:
        return
    near = {"poisson": 2e-6, "binary_cross_entropy": 2e-2}.get(loss, 0)
    for y in (np.full(8, value), np.full((8, 2), value)):
        answers = regressor(loss=loss).fit(X, y).predict(X)
        np.testing.assert_allclose(answers, y, rtol=max(near, 1e-6), atol=near)


@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "huber", "quantile", "gaussian"]
)
@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e12, 1e200, 1e300])
def test_targets_of_every_size(loss, size):
    model = regressor(loss=loss).fit(X, Y * size)
    expected = regressor(loss=loss).fit(X, Y).predict(X)
    np.testing.assert_allclose(model.predict(X) / size, expected, rtol=1e-6)


@pytest.mark.parametrize("parameters", [{"scaling": None}, {"output_activation": "tanh"}], ids=str)
def test_targets_too_large_unscaled(parameters):
    model = regressor(**parameters)
    with pytest.warns(ConvergenceWarning, match=r"value of y 1\.4e\+200\).*scale X and y"):
        model.fit(X, Y * 1e200)
    assert np.isfinite(model.predict(X)).all()
    assert all(weights.isfinite().all() for weights in model.module_.state_dict().values())


def test_targets_have_to_fit_the_answers():
    """Answers come in X's dtype, so that float32 cannot say what float64 could."""
    single = X.astype(np.float32)
    for parameters in ({}, {"loss": "poisson"}, {"scaling": None}, {"return_sequences": True}):
        model = regressor(**parameters)
        y = np.abs(STEPS if model.return_sequences else Y) * 1e300
        refuse(model, lambda m=model, y=y: m.fit(single, y), ValueError, LARGE)


# Classes that come one after the other


def test_classes_are_fixed_by_the_first_call():
    words = "classes must be passed on the first call"
    model = classifier()
    refuse(model, lambda: model.partial_fit(X, LABELS), ValueError, words)
    model.partial_fit(X, LABELS, list("dcba"))
    assert model.classes_.tolist() == list("abcd")
    assert model.predict_proba(X).shape == (8, 4)
    model.partial_fit(X[:2], ["b", "b"]).partial_fit(X, LABELS, list("abcd"))
    words = r"y contains classes that are not among those known: \['z'\]; known are \['a', 'b'"
    refuse(model, lambda: model.partial_fit(X, ["z"] * 8), ValueError, words)
    words = "not the same as on the last call to partial_fit"
    refuse(model, lambda: model.partial_fit(X, LABELS, list("abc")), ValueError, words)


KIND = "uniformly strings or numbers|1D array or list|classes"


@pytest.mark.parametrize(
    ("classes", "error", "words"),
    [
        (list("ac"), ValueError, r"not among those known: \['b'\]"),
        ([0, 1, 2], ValueError, "y holds strings, but the classes are numbers"),
        (["a", 1], ValueError, KIND),
        ([None, "a"], ValueError, KIND),
        ([0, 1, np.nan], ValueError, KIND),
        ([list("abc")], ValueError, KIND),
        ("abc", ValueError, KIND),
        (3, ValueError, KIND),
        ([], ValueError, KIND),
        (set("abc"), ValueError, KIND),
        (iter("abc"), ValueError, KIND),
    ],
    ids=lambda value: type(value).__name__,
)
def test_bad_classes_of_partial_fit(classes, error, words):
    model = classifier()
    refuse(model, lambda: model.partial_fit(X, LABELS, classes), error, words)


def test_other_classes_later():
    model = classifier(warm_start=True).fit(X, LABELS)
    words = r"y contains classes .* \['z'\]; known are \['a', 'b', 'c'\]"
    refuse(model, lambda: model.fit(X, list("abcabcaz")), ValueError, words)
    refuse(model, lambda: model.partial_fit(X, list("abcabcaz")), ValueError, words)
    words = "y holds numbers, but the classes are strings"
    refuse(model, lambda: model.fit(X, [0, 1] * 4), ValueError, words)
    refuse(model, lambda: model.score(X, [0, 1] * 4), ValueError, words)
    assert model.fit(X, ["a"] * 8).classes_.tolist() == list("abc")
    stopping, val = classifier(early_stopping=True), {"X_val": X, "y_val": list("abcabcaz")}
    words = r"y_val contains classes .* \['z'\]"
    refuse(stopping, lambda: stopping.fit(X, LABELS, **val), ValueError, words)


def test_other_outputs_later():
    model = regressor(warm_start=True).fit(X, Y)
    words = "y has 2 outputs, but RNNSequenceRegressor was fitted with 1"
    refuse(model, lambda: model.fit(X, WIDE), ValueError, words)
    refuse(model, lambda: model.partial_fit(X, WIDE), ValueError, words)
    stopping = regressor(early_stopping=True)
    words = "y_val has 2 outputs"
    refuse(stopping, lambda: stopping.fit(X, Y, X_val=X, y_val=WIDE), ValueError, words)


def test_validation_targets_alone():
    model = regressor(early_stopping=True)
    refuse(
        model, lambda: model.fit(X, Y, y_val=Y), ValueError, "y_val was passed .* without X_val"
    )
    refuse(model, lambda: model.fit(X, Y, X_val=X), ValueError, "requires y to be passed")
    model = regressor()
    words = "early_stopping is False"
    refuse(model, lambda: model.fit(X, Y, X_val=X, y_val=Y), ValueError, words)
