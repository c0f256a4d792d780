"""Contract 7: pickle, joblib, deepcopy and clone, after whatever happened before."""

import copy
import pickle
import pickletools
from itertools import cycle

import joblib
import numpy as np
import pytest
import torch
from copies import COPIES, leaves, through_joblib
from interrupts import interrupt_solver
from sklearn.base import clone
from variants import ALL_VARIANTS, COURSES, EACH_SETTING, make

X = np.random.default_rng(0).random((30, 5))


def after_fit(params):
    return make(params).fit(X)


def after_partial_fit(params):
    estimator = make(params)
    if hasattr(estimator, "partial_fit"):
        estimator.partial_fit(X).partial_fit(X)
    else:
        estimator.fit(X)
    return estimator


def after_interrupt(params):
    estimator = make(params)
    with interrupt_solver(2), pytest.warns(UserWarning, match="Training interrupted by user"):
        estimator.fit(X)
    return estimator


def after_prediction_and_failure(params):
    estimator = make(params).fit(X.astype(np.float32))
    estimator.inverse_transform(estimator.transform(X))
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(np.full_like(X, np.nan))
    return estimator


HISTORIES = [after_fit, after_partial_fit, after_interrupt, after_prediction_and_failure]
params_of = pytest.mark.parametrize("params", ALL_VARIANTS)

# Every variant after fits that went on; the other histories and all ways of training by turns.
# What an interrupt leaves is copied for every variant in contract 9.
BY_TURNS = [*zip(ALL_VARIANTS, cycle([after_partial_fit])),
            *zip(COURSES, cycle(h for h in HISTORIES if h is not after_partial_fit))]  # fmt: skip
WITH_HISTORIES = [
    pytest.param(*variant.values, history, id=f"{variant.id}-{history.__name__}")
    for variant, history in BY_TURNS
]
with_histories = pytest.mark.parametrize(("params", "history"), WITH_HISTORIES)


def assert_same_model(one, two):
    codes = one.transform(X)
    np.testing.assert_array_equal(two.transform(X), codes)
    np.testing.assert_array_equal(two.inverse_transform(codes), one.inverse_transform(codes))
    drawn = one.sample(3, random_state=0)
    np.testing.assert_array_equal(two.sample(3, random_state=0), drawn)
    assert two.get_params() == one.get_params()
    assert vars(two).keys() == vars(one).keys()
    assert (two.n_iter_, two.loss_curve_, two.t_) == (one.n_iter_, one.loss_curve_, one.t_)
    assert two.device_ == one.device_
    assert not two.module_.training


@with_histories
def test_copies_are_the_same_model_and_go_on_alike(params, history, tmp_path):
    estimator = history(params)
    method = "partial_fit" if hasattr(estimator, "partial_fit") else "fit"
    copies = [through(estimator, tmp_path / name) for name, through in COPIES.items()]
    for other in copies:
        assert_same_model(estimator, other)
    getattr(estimator, method)(X)
    for other in copies[1::2]:  # in memory and from read-only arrays: the others are like these
        getattr(other, method)(X)
        assert_same_model(estimator, other)


@pytest.mark.parametrize(("params", "history"), WITH_HISTORIES[len(ALL_VARIANTS) :])
def test_clone_is_unfitted_and_fits_alike(params, history):
    estimator = history(params)
    other = clone(estimator)
    assert vars(other).keys() == estimator.get_params().keys()
    np.testing.assert_array_equal(other.fit(X).transform(X), make(params).fit(X).transform(X))


@with_histories
def test_pickle_holds_numpy_arrays_and_nothing_of_torch(params, history):
    estimator = history(params)
    ops = pickletools.genops(pickle.dumps(estimator))
    strings = [arg for _, arg, _ in ops if isinstance(arg, str)]
    assert type(estimator).__module__ in strings
    assert not [text for text in strings if text.startswith("torch")]
    state = estimator.__getstate__()
    found = list(leaves(state))
    assert not [value for value in found if isinstance(value, (torch.Tensor, torch.nn.Module))]
    arrays = [value for value in found if isinstance(value, np.ndarray)]
    assert arrays
    assert all(array.dtype.kind in "fi" for array in arrays)  # counters are ints
    assert isinstance(state["device_"], str)


@params_of
def test_hash_is_stable(params):
    estimator = after_partial_fit(params)
    expected = joblib.hash(estimator)
    assert joblib.hash(after_partial_fit(params)) == expected
    assert joblib.hash(pickle.loads(pickle.dumps(estimator))) == expected
    assert joblib.hash(copy.deepcopy(estimator)) == expected
    estimator.transform(X)
    estimator.score(X)
    assert joblib.hash(estimator) == expected
    if hasattr(estimator, "partial_fit"):
        estimator.partial_fit(X)
        assert joblib.hash(estimator) != expected


@params_of
def test_copies_share_no_memory(params):
    estimator = after_partial_fit(params)
    other = copy.deepcopy(estimator)
    expected = other.transform(X)
    before = joblib.hash(other)
    with torch.no_grad():
        for parameter in estimator.module_.parameters():
            parameter.fill_(np.nan)
    if hasattr(estimator, "partial_fit"):
        copy.deepcopy(other).partial_fit(X)
    np.testing.assert_array_equal(other.transform(X), expected)
    assert joblib.hash(other) == before


@pytest.mark.parametrize("params", EACH_SETTING)
def test_device_that_is_not_here(params):
    """Each setting once: but for the name of a device, this is what pickle does to all."""
    estimator = after_partial_fit(params)
    for device in ("cuda:99", "xpu:99", "mps:99"):
        assert_model_of(estimator, device)


def assert_model_of(estimator, device):
    """A model trained on a device that is not here is the same model on the CPU."""
    state = estimator.__getstate__()
    state["device_"] = device
    elsewhere = clone(estimator)
    elsewhere.__setstate__(pickle.loads(pickle.dumps(state)))
    assert elsewhere.device_ == torch.device("cpu")
    assert_same_model(estimator, elsewhere)
    if hasattr(estimator, "partial_fit"):
        here = copy.deepcopy(estimator).partial_fit(X)
        assert_same_model(here, elsewhere.partial_fit(X))


@params_of
def test_partial_fits_are_one_fit(params, tmp_path):
    """An epoch at a time, pickled in between, equals all epochs at once: bit by bit."""
    fixed = {"max_iter": 5, "schedule": "constant", "tol": 0, "linear_path": False}
    whole = make({**params, **fixed})
    if not hasattr(whole, "partial_fit"):
        return  # that it is absent then is tested elsewhere
    whole.fit(X)
    parts = clone(whole)
    for _ in range(5):
        parts.partial_fit(X)
        parts = through_joblib(parts, tmp_path / "model")
    np.testing.assert_array_equal(parts.transform(X), whole.transform(X))
    codes = whole.transform(X)
    np.testing.assert_array_equal(parts.inverse_transform(codes), whole.inverse_transform(codes))
    assert parts.loss_curve_ == whole.loss_curve_
    for name in ("n_iter_", "t_", "loss_", "best_loss_", "n_components_", "scaling_"):
        assert getattr(parts, name) == getattr(whole, name), name


def test_unfitted_and_with_a_device_object(tmp_path):
    estimator = make(device=torch.device("cpu"))
    for name, through in COPIES.items():
        other = through(estimator, tmp_path / name)
        assert other.get_params() == estimator.get_params()
        assert not hasattr(other, "module_")
        other.fit(X)
