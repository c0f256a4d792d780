"""The guarantee: on its training rows never worse than PCA, and before any step PCA itself."""

import numpy as np
import pytest
from guarantee import assert_not_worse, pca_error
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA

from skaernn import AutoencoderTransformer


@st.composite
def data_sets(draw):
    """Wide, tall, constant columns, one row, equal rows, low rank, offsets, both types."""
    n, d = draw(st.sampled_from([(1, 1), (1, 4), (2, 3), (5, 30), (30, 5), (40, 7), (120, 3)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rank = draw(st.sampled_from([None, 1, 2]))
    X = rng.normal(size=(n, d))
    if rank is not None:
        X = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, d))
    if draw(st.booleans()):
        X = X**3
    if draw(st.booleans()):
        X[:, rng.random(d) < 0.4] = draw(st.sampled_from([0.0, 1.0, -1e6]))
    if draw(st.booleans()):
        X = X[rng.integers(0, n, n)]
    X = X * draw(st.sampled_from([1.0, 1e-8, 1e8])) + draw(st.sampled_from([0.0, 1.0, 1e4]))
    return X.astype(draw(st.sampled_from([np.float64, np.float32])))


@pytest.mark.filterwarnings("ignore:Training with learning_rate")  # that is what is tried here
@settings(max_examples=300, deadline=None)
@given(
    data_sets(),
    st.sampled_from([1, 2, 3, 6]),
    st.sampled_from([1, 3]),
    st.sampled_from(["auto", 4]),
    st.sampled_from([1e-3, 1e-1, 1e3]),
)
def test_training_error_is_never_above_that_of_pca(X, n_components, max_iter, batch, rate):
    estimator = AutoencoderTransformer(
        n_components, (16,), max_iter=max_iter, batch_size=batch, learning_rate=rate,
        random_state=0,
    )  # fmt: skip
    assert_not_worse(estimator.fit(X), X, n_components)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_guarantee_holds_for_every_solver_and_under_noise(solver, dropout):
    if solver == "lbfgs" and dropout:
        return  # refused; see test_bad_parameters
    X = load_iris().data
    estimator = AutoencoderTransformer(
        solver=solver, dropout=dropout, max_iter=5, tol=0, learning_rate=0.5, random_state=0
    )
    assert_not_worse(estimator.fit(X), X, 2)


@pytest.mark.parametrize("max_iter", [1, None])
@pytest.mark.parametrize(
    "load", [load_iris, load_wine, load_breast_cancer, load_diabetes, load_digits]
)
def test_guarantee_at_one_epoch_and_at_the_defaults(load, max_iter):
    X = load().data
    params = {} if max_iter is None else {"max_iter": max_iter}
    if load is load_digits and max_iter is None:
        params = {"max_iter": 20}  # the whole default run is in the benchmarks
    assert_not_worse(AutoencoderTransformer(random_state=0, **params).fit(X), X, 2)


def test_guarantee_holds_for_weighted_rows():
    rng = np.random.default_rng(0)
    X, weight = rng.normal(size=(60, 6)) ** 3, rng.random(60)
    estimator = AutoencoderTransformer(max_iter=1, learning_rate=10.0, random_state=0)
    errors = estimator.fit(X, sample_weight=weight).reconstruction_error(X)
    expected = pca_error(X, 2, weight)
    assert np.average(errors, weights=weight) <= expected * (1 + 1e-12)


@pytest.mark.parametrize("scaling", ["global", None])
def test_guarantee_with_and_without_scaling(scaling):
    X = load_iris().data
    for rate in (1e-3, 10.0):
        estimator = AutoencoderTransformer(
            scaling=scaling, max_iter=2, learning_rate=rate, random_state=0
        )
        assert_not_worse(estimator.fit(X), X, 2)


@pytest.mark.parametrize("n_samples", [30, 150])
def test_before_training_bites_the_model_is_pca(n_samples):
    X = load_iris().data[:n_samples]
    estimator = AutoencoderTransformer(
        2, max_iter=1, learning_rate=1e-12, output_range=None, random_state=0
    ).fit(X)
    pca = PCA(2).fit(X)
    codes = pca.transform(X) / float(estimator.module_.scale)
    signs = np.sign((codes * estimator.transform(X)).sum(0))
    np.testing.assert_allclose(estimator.transform(X), codes * signs, atol=1e-8)
    np.testing.assert_allclose(
        estimator.inverse_transform(estimator.transform(X)),
        pca.inverse_transform(pca.transform(X)),
        atol=1e-8,
    )
    np.testing.assert_allclose(estimator.explained_variance_ratio_, pca.explained_variance_ratio_)


def test_linear_autoencoder_equals_pca():
    X = load_digits().data / 16
    for n_components in (8, 16):
        estimator = AutoencoderTransformer(
            n_components, (), max_iter=20, output_range=None, random_state=0
        ).fit(X)
        ratio = estimator.reconstruction_error(X).mean() / pca_error(X, n_components)
        assert 1 - 1e-9 <= ratio <= 1.001


def test_classic_linear_autoencoder_finds_pca_from_a_random_start():
    X = load_iris().data
    estimator = AutoencoderTransformer(
        2, (), linear_path=False, alpha=0, solver="lbfgs", max_iter=2000, tol=1e-12,
        random_state=0,
    ).fit(X)  # fmt: skip
    assert estimator.reconstruction_error(X).mean() <= 1.001 * pca_error(X, 2)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.99, 0.999999])
def test_a_share_of_variance_is_the_number_of_components_pca_takes(share):
    X = load_wine().data
    estimator = AutoencoderTransformer(share, max_iter=1, random_state=0).fit(X)
    assert estimator.n_components_ == PCA(share).fit(X).n_components_
    assert estimator.transform(X).shape[1] == estimator.n_components_


def test_more_components_than_features_start_unused():
    X = load_iris().data
    estimator = AutoencoderTransformer(9, max_iter=1, learning_rate=1e-12, random_state=0).fit(X)
    codes = estimator.transform(X)
    assert codes.shape == (150, 9)
    assert (codes.std(0) > 0).all()
    decoder = estimator.module_.decoder.path.weight
    assert float(decoder.detach()[:, 4:].abs().max()) < 1e-11
    assert estimator.reconstruction_error(X).max() < 1e-12
