"""The strength of the L2 penalty against leaving rows out one by one."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from skaernn import AutoencoderTransformer
from skaernn._rows.leave_one_out import _STRENGTHS, ridge_strength
from skaernn._training.vectors import ALPHA


def strength(features, targets, weight):
    tensors = (torch.from_numpy(a) for a in (features, targets, weight[:, None]))
    return ridge_strength(*tensors)


def one_by_one(features, targets, weight):
    """The same by as many fits of scikit-learn as there are rows and strengths."""
    weight = weight / weight.mean()

    def left_out(alpha):
        total = 0.0
        for i in range(len(features)):
            rest = np.arange(len(features)) != i
            w = weight[rest]
            if alpha is None:
                found = np.average(targets[rest], axis=0, weights=w)
            else:
                model = Ridge(alpha).fit(features[rest], targets[rest], sample_weight=w)
                found = model.predict(features[[i]])[0]
            total += weight[i] * np.sum((found - targets[i]) ** 2)
        return total

    return min([None, *_STRENGTHS], key=left_out)


@pytest.mark.parametrize("n_features", [3, 40])  # fewer than rows, and more
@pytest.mark.parametrize("noise", [0.05, 1.0, 3.0, 30.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_strength_is_that_of_the_least_left_out_error(n_features, noise, weighted):
    rng = np.random.default_rng(n_features)
    features = rng.normal(size=(25, n_features))
    targets = features @ rng.normal(size=(n_features, 2)) + 5
    targets += noise * rng.normal(size=targets.shape)
    weight = rng.integers(1, 5, 25).astype(float) if weighted else np.ones(25)
    assert strength(features, targets, weight) == one_by_one(features, targets, weight)


def test_unit_of_weights_does_not_matter():
    rng = np.random.default_rng(0)
    features, targets = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
    targets[:, 0] += features[:, 0]
    weight = rng.random(30) + 0.1
    assert strength(features, targets, weight) == strength(features, targets, 1024 * weight)


@pytest.mark.parametrize("n_rows", [1, 2, 3])
def test_hardly_any_rows_or_nothing_to_tell_them_apart(n_rows):
    ones = np.ones((n_rows, 3))
    assert strength(ones, ones, np.ones(n_rows)) is None


@pytest.mark.parametrize("load", [load_iris, load_wine, load_diabetes])
def test_alpha_of_weights_is_that_of_repeated_rows(load):
    X = load().data[::3]
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    one, other = (
        AutoencoderTransformer(2, max_iter=1, random_state=0).fit(rows, sample_weight=w)
        for rows, w in ((X, weight), (np.repeat(X, weight, axis=0), None))
    )
    assert one.alpha_ == other.alpha_


def test_noise_is_not_learnt_by_heart():
    """Of normal numbers PCA's components are all there is to know."""
    X = np.random.default_rng(0).normal(size=(60, 100))
    train, test = X[:40], X[40:]
    pca = PCA(5).fit(train)
    expected = ((test - pca.inverse_transform(pca.transform(test))) ** 2).mean()
    auto, weak = (
        AutoencoderTransformer(5, alpha=alpha, random_state=0).fit(train)
        for alpha in ("auto", 0.01)
    )
    assert auto.alpha_ > 10
    assert weak.reconstruction_error(test).mean() > 1.2 * expected  # by heart
    assert auto.reconstruction_error(test).mean() < 1.1 * expected


def test_alpha_that_is_given_is_taken():
    X = load_iris().data
    assert AutoencoderTransformer(alpha=0.5, max_iter=1).fit(X).alpha_ == 0.5
    assert AutoencoderTransformer(alpha=0.0, max_iter=1).fit(X).alpha_ == 0.0


@pytest.mark.parametrize(
    "params",
    [
        {"linear_path": False},
        {"loss": "binary_cross_entropy"},
        {"loss": "poisson"},
        {"hidden_layer_sizes": ()},
        {"code_activation": "tanh"},
        {"architecture": "convolutional", "hidden_layer_sizes": (2,)},
    ],
)
def test_alpha_where_nothing_is_left_to_a_regression(params):
    X = load_iris().data / 10
    estimator = AutoencoderTransformer(2, max_iter=1, random_state=0, **params).fit(X)
    assert estimator.alpha_ == ALPHA


@pytest.mark.parametrize("goes_on", ["partial_fit", "warm_start"])
def test_training_goes_on_with_the_alpha_that_was_found(goes_on):
    X = load_iris().data[::-1]
    estimator = AutoencoderTransformer(2, max_iter=1, random_state=0).fit(X)
    found = estimator.alpha_
    assert found != ALPHA
    if goes_on == "partial_fit":
        estimator.partial_fit(X[:40])
    else:
        estimator.set_params(warm_start=True).fit(X[:40])
    assert estimator.alpha_ == found
