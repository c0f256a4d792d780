"""Contract 7 of the recurrent estimators: pickle, joblib, deepcopy, clone, after anything."""

import copy
import pickle
import pickletools

import joblib
import numpy as np
import pytest
import torch
from copies import COPIES, leaves
from interrupts import interrupt_solver
from sequence_variants import (
    COURSES,
    PLAIN,
    STRUCTURES,
    VARIANTS,
    Variant,
    answers,
    assert_same,
    fitted_bits,
    parametrized,
)
from sklearn.base import clone


def after_fit(variant, X, y):
    return variant.make().fit(X, y)


def after_partial_fit(variant, X, y):
    estimator = variant.make()
    for _ in range(2 if variant.can_go_on else 0):
        variant.goes_on(estimator, X, y)
    return estimator if variant.can_go_on else estimator.fit(X, y)


def after_interrupt(variant, X, y):
    estimator = variant.make()
    with interrupt_solver(2), pytest.warns(UserWarning, match="Training interrupted by user"):
        estimator.fit(X, y)
    return estimator


def after_prediction_and_failure(variant, X, y):
    estimator = variant.make().fit([x.astype(np.float32) for x in X], y)
    answers(estimator, X)
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit([x * np.nan for x in X], y)
    return estimator


HISTORIES = [after_fit, after_partial_fit, after_interrupt, after_prediction_and_failure]
histories = pytest.mark.parametrize("history", HISTORIES, ids=lambda f: f.__name__)
BOTH = [Variant(), Variant(True), Variant(False, {"cell": "gru", "return_sequences": True})]


def assert_same_model(one, two, X):
    assert_same(fitted_bits(two), fitted_bits(one))
    assert_same(answers(two, X), answers(one, X))
    assert two.get_params() == one.get_params()
    assert vars(two).keys() == vars(one).keys()
    assert two.device_ == one.device_
    assert not any(part.training for part in two.module_.modules())


def go_on(variant, estimator, X, y):
    if variant.can_go_on:
        return variant.goes_on(estimator, X, y)
    return estimator.fit(X, y)


def assert_copies_go_on_alike(variant, history, tmp_path):
    X, y = variant.data()
    estimator = history(variant, X, y)
    copies = [through(estimator, tmp_path / name) for name, through in COPIES.items()]
    for other in copies:
        assert_same_model(estimator, other, X)
    go_on(variant, estimator, X, y)
    for other in copies:
        assert_same_model(estimator, go_on(variant, other, X, y), X)


@parametrized(VARIANTS)
def test_copies_are_the_same_model_and_go_on_alike(variant, tmp_path):
    assert_copies_go_on_alike(variant, after_partial_fit, tmp_path)


@histories
@parametrized(PLAIN + BOTH)
def test_copies_after_all_histories(variant, history, tmp_path):
    assert_copies_go_on_alike(variant, history, tmp_path)


@histories
@parametrized(COURSES)
def test_clone_is_unfitted_and_fits_alike(variant, history):
    X, y = variant.data()
    other = clone(history(variant, X, y))
    assert vars(other).keys() == variant.make().get_params().keys()
    assert_same(fitted_bits(other.fit(X, y)), fitted_bits(variant.make().fit(X, y)))


@parametrized(VARIANTS)
def test_pickle_holds_numpy_arrays_and_nothing_of_torch(variant):
    estimator = after_partial_fit(variant, *variant.data())
    ops = pickletools.genops(pickle.dumps(estimator))
    strings = [arg for _, arg, _ in ops if isinstance(arg, str)]
    assert "skaernn" in strings
    assert not [text for text in strings if text.startswith("skaernn._")]
    assert not [text for text in strings if text.startswith("torch")]
    state = estimator.__getstate__()
    found = list(leaves(state))
    assert not [value for value in found if isinstance(value, (torch.Tensor, torch.nn.Module))]
    assert [value for value in found if isinstance(value, np.ndarray)]
    assert isinstance(state["device_"], str)


@parametrized(VARIANTS)
def test_hash_is_stable(variant):
    X, y = variant.data()
    estimator = after_partial_fit(variant, X, y)
    expected = joblib.hash(estimator)
    assert joblib.hash(after_partial_fit(variant, X, y)) == expected
    assert joblib.hash(pickle.loads(pickle.dumps(estimator))) == expected
    assert joblib.hash(copy.deepcopy(estimator)) == expected
    answers(estimator, X)
    estimator.score(X, y)
    assert joblib.hash(estimator) == expected
    if variant.can_go_on:
        assert joblib.hash(variant.goes_on(estimator, X, y)) != expected


@parametrized(STRUCTURES + BOTH)
def test_copies_share_no_memory(variant):
    X, y = variant.data()
    estimator = after_partial_fit(variant, X, y)
    other = copy.deepcopy(estimator)
    expected, before = answers(other, X), joblib.hash(other)
    with torch.no_grad():
        for parameter in estimator.module_.parameters():
            parameter.fill_(np.nan)
    variant.goes_on(copy.deepcopy(other), X, y) if variant.can_go_on else None
    assert_same(answers(other, X), expected)
    assert joblib.hash(other) == before


@parametrized(STRUCTURES + BOTH)
def test_device_that_is_not_here(variant):
    X, y = variant.data()
    estimator = after_partial_fit(variant, X, y)
    state = estimator.__getstate__()
    state["device_"] = "cuda:99"
    elsewhere = clone(estimator)
    elsewhere.__setstate__(pickle.loads(pickle.dumps(state)))
    assert elsewhere.device_ == torch.device("cpu")
    assert_same_model(estimator, elsewhere, X)
    here = copy.deepcopy(estimator)
    assert_same_model(go_on(variant, here, X, y), go_on(variant, elsewhere, X, y), X)


@pytest.mark.parametrize("batch_size", [7, 200])
@parametrized([v for v in VARIANTS if v.can_go_on])
def test_partial_fits_are_one_fit(variant, batch_size, tmp_path):
    """An epoch at a time, pickled in between, equals all epochs at once: bit by bit."""
    X, y = variant.data()
    fixed = {"max_iter": 4, "schedule": "constant", "batch_size": batch_size}
    whole = variant.make(**{**variant.params, **fixed}).fit(X, y)
    parts = clone(whole)
    for _ in range(4):
        variant.goes_on(parts, X, y)
        joblib.dump(parts, tmp_path / "model")
        parts = joblib.load(tmp_path / "model")
    assert_same(fitted_bits(parts), fitted_bits(whole))
    assert_same(answers(parts, X), answers(whole, X))


@parametrized(STRUCTURES + BOTH)
def test_warm_start_goes_on(variant):
    """As a fit that began there: weights and scaling are kept, epochs are added."""
    X, y = variant.data()
    estimator = variant.make(warm_start=True).fit(X, y)
    before, seen = estimator.module_, estimator.t_
    estimator.fit(X, y)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 6
    if not estimator.early_stopping:  # which sets other sequences aside
        assert estimator.t_ == 2 * seen == 6 * len(X)
    assert torch.equal(estimator.module_.x_mean, before.x_mean)
    assert estimator.loss_curve_[3] <= 1.5 * estimator.loss_curve_[0]


@parametrized(BOTH)
def test_unfitted_and_with_a_device_object(variant, tmp_path):
    estimator = variant.make(device=torch.device("cpu"))
    X, y = variant.data()
    for name, through in COPIES.items():
        other = through(estimator, tmp_path / name)
        assert other.get_params() == estimator.get_params()
        assert not hasattr(other, "module_")
        other.fit(X, y)
