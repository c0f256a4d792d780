"""Where reconstructions are cut off: at ends that values of `fit` share, or at given ones."""

import pickle

import numpy as np
import pytest
import torch
from guarantee import pca_error
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes, load_digits, load_iris

from skaernn import AutoencoderTransformer, VariationalAutoencoderTransformer
from skaernn._losses.reconstruction import LOSSES

DIGITS = load_digits().data[:400]
FREE = np.random.default_rng(0).normal(size=(200, 6))


def fitted(X=DIGITS, **params):
    params = {"n_components": 4, "max_iter": 5, "random_state": 0, **params}
    return AutoencoderTransformer(**params).fit(X)


def test_pixels_end_where_many_do_and_measurements_do_not():
    low, high = fitted().output_range_
    smallest, largest = DIGITS.min(0), DIGITS.max(0)
    for ends, extremes in ((low, smallest), (high, largest)):
        at_end = (extremes == DIGITS).sum(0)
        seen = at_end >= 4  # of 400
        np.testing.assert_array_equal(np.isfinite(ends), seen)
        np.testing.assert_array_equal(ends[seen], extremes[seen])
    assert np.isfinite(low).mean() > 0.9
    assert fitted(FREE).output_range_ is None


def test_answers_lie_within():
    estimator = fitted()
    low, high = estimator.output_range_
    far = 10 * estimator.transform(DIGITS)
    for rows in (estimator.inverse_transform(far), estimator.sample(300, random_state=0)):
        assert (rows >= low).all()
        assert (rows <= high).all()
    assert (fitted(output_range=None).inverse_transform(far) < low).any()


@pytest.mark.parametrize("ends", [(-0.5, 1), [-0.5, 1], np.array([-0.5, 1])])
def test_ends_that_are_given(ends):
    estimator = fitted(FREE, output_range=ends)
    assert estimator.output_range_.tolist() == [[-0.5] * 6, [1.0] * 6]
    back = estimator.inverse_transform(3 * estimator.transform(FREE))
    assert back.min() == -0.5
    assert back.max() == 1


@pytest.mark.parametrize("ends", [(1, 0), (0, 0), (0,), (0, 1, 2), "range", 3, (np.nan, 1)])
def test_other_ends_are_refused(ends):
    with pytest.raises(ValueError, match="output_range"):
        fitted(FREE, output_range=ends)


@pytest.mark.parametrize("scaling", ["global", "standard", None])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_errors_and_scores_are_those_of_what_comes_back(scaling, dtype):
    X = DIGITS.astype(dtype)
    estimator = fitted(X, scaling=scaling)
    difference = (estimator.inverse_transform(estimator.transform(X)) - X).astype(float)
    errors = estimator.reconstruction_error(X, raw_units=True)
    rtol = 1e-4 if dtype == np.float32 else 1e-9
    np.testing.assert_allclose(errors, (difference**2).mean(1), rtol=rtol, atol=rtol)
    if scaling != "standard":
        rest = ((X - X.astype(float).mean(0)) ** 2).sum()
        assert estimator.score(X) == pytest.approx(1 - (difference**2).sum() / rest, rel=rtol)


@st.composite
def bounded(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.normal(size=(draw(st.sampled_from([3, 20, 60])), draw(st.sampled_from([2, 7]))))
    X = np.clip(X * draw(st.sampled_from([0.1, 1, 5])), -1, draw(st.sampled_from([0.5, 1])))
    X = np.round(X, draw(st.sampled_from([0, 1, 9]))) * draw(st.sampled_from([1, 255, 1e-6]))
    return (X + draw(st.sampled_from([0, 3]))).astype(draw(st.sampled_from(["f4", "f8"])))


@settings(max_examples=60, deadline=None)
@given(bounded(), st.sampled_from(["squared_error", "absolute_error", "huber"]))
def test_rows_of_fit_are_met_no_worse_number_by_number(X, loss):
    """An end lies beyond every number of `fit`: cut off there, one comes nearer."""
    cut, free = (
        AutoencoderTransformer(1, loss=loss, output_range=ends, max_iter=3, random_state=0).fit(X)
        for ends in ("auto", None)
    )
    codes = free.transform(X)
    np.testing.assert_array_equal(cut.transform(X), codes)
    errors = [np.abs(model.inverse_transform(codes) - X) for model in (cut, free)]
    assert (errors[0] <= errors[1]).all()
    assert (cut.reconstruction_error(X) <= free.reconstruction_error(X)).all()


def test_bounded_rows_come_back_better_new_ones_too():
    X = load_digits().data
    train, test = X[:1000], X[1000:]
    cut, free = (
        AutoencoderTransformer(16, max_iter=20, output_range=ends, random_state=0).fit(train)
        for ends in ("auto", None)
    )
    for rows in (train, test):
        error, other = (m.reconstruction_error(rows).mean() for m in (cut, free))
        assert error < 0.95 * other
    assert cut.reconstruction_error(train).mean() < pca_error(train, 16)


@pytest.mark.parametrize("load", [load_iris, load_diabetes])
def test_measurements_come_back_as_they_would(load):
    X = load().data
    train, test = X[::2], X[1::2]
    cut, free = (
        AutoencoderTransformer(2, max_iter=20, output_range=ends, random_state=0).fit(train)
        for ends in ("auto", None)
    )
    ratio = cut.reconstruction_error(test).mean() / free.reconstruction_error(test).mean()
    assert 0.97 < ratio < 1.005


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_whose_output_ends_by_itself(loss):
    X = DIGITS / 16
    ends = fitted(X, loss=loss).output_range_
    assert (ends is None) == LOSSES[loss].fixed_output


def test_weights_are_repetition():
    X = DIGITS[:100]
    weight = np.random.default_rng(0).integers(0, 4, 100)
    one, other = (
        AutoencoderTransformer(4, max_iter=1, random_state=0).fit(rows, sample_weight=w)
        for rows, w in ((X, weight), (np.repeat(X, weight, axis=0), None))
    )
    np.testing.assert_array_equal(one.output_range_, other.output_range_)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_that_goes_on_gives_up_ends_that_are_passed(dtype):
    X = DIGITS.astype(dtype)
    estimator = fitted(X)
    low, high = estimator.output_range_
    assert low.dtype == dtype
    estimator.partial_fit(X[:50])
    np.testing.assert_array_equal(estimator.output_range_, [low, high])
    beyond = X[:50].copy()
    beyond[0, 0] = -1.0
    estimator.partial_fit(beyond)
    assert estimator.output_range_.dtype == dtype
    assert estimator.output_range_[0, 0] == -np.inf
    np.testing.assert_array_equal(estimator.output_range_[0, 1:], low[1:])


def test_a_pickle_keeps_them():
    estimator = fitted()
    again = pickle.loads(pickle.dumps(estimator))
    codes = 5 * estimator.transform(DIGITS)
    np.testing.assert_array_equal(
        again.inverse_transform(codes), estimator.inverse_transform(codes)
    )


def test_variational_autoencoders_have_none():
    estimator = VariationalAutoencoderTransformer(2, max_iter=1, random_state=0).fit(DIGITS)
    assert not hasattr(estimator, "output_range_")


def test_the_module_has_them():
    estimator = fitted()
    codes = 5 * estimator.transform(DIGITS)
    with torch.inference_mode():
        rows = estimator.module_.decode(torch.from_numpy(codes)).numpy()
    np.testing.assert_allclose(rows, estimator.inverse_transform(codes), rtol=1e-12, atol=1e-12)
