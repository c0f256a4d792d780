"""Variational autoencoders against autograd, torch.distributions and probabilistic PCA."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from objectives import assert_equals_autograd, batch_of, make_objective, several
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from torch.distributions import Bernoulli, Normal, Poisson, kl_divergence

from skaernn import VariationalAutoencoderTransformer
from skaernn._inference import bounds
from skaernn._losses.likelihoods import LIKELIHOODS
from skaernn._training.vectors import _CODE
from skaernn.networks import StandardNormal, mix, normal

IRIS, DIGITS, WINE = load_iris().data, load_digits().data[:500], load_wine().data


def gaussian(output, x, weight):
    """Minus the log-likelihood under the one variance that fits best."""
    weight = weight * torch.ones_like(x)
    deviation = ((weight * (output - x) ** 2).sum() / weight.sum()).sqrt()
    return -(weight * Normal(output, deviation).log_prob(x)).sum()


ORACLES = {
    "squared_error": gaussian,
    "binary_cross_entropy": lambda p, x, w: (
        -(w * Bernoulli(p, validate_args=False).log_prob(x)).sum()
    ),
    "poisson": lambda mean, x, w: (
        -(w * (Poisson(mean, validate_args=False).log_prob(x) + torch.lgamma(x + 1))).sum()
    ),
}


def test_every_likelihood_has_an_oracle():
    assert set(ORACLES) == set(LIKELIHOODS)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("linear_path", [False, True])
@pytest.mark.parametrize("hidden", [(), (6,), (6, 4)])
@pytest.mark.parametrize("loss", LIKELIHOODS)
def test_objective_equals_autograd_with_the_same_noise(loss, hidden, linear_path, weighted):
    likelihood = LIKELIHOODS[loss]
    objective, theta = make_objective(
        loss=likelihood, alpha=0.0, penalty=StandardNormal(), strength=0.7, variational=True,
        hidden_layer_sizes=hidden, linear_path=linear_path, weighted=weighted, activation="tanh",
        output_activation=likelihood.output_activation,
    )  # fmt: skip
    batch, x, weight = batch_of(objective, 4)
    noise = normal(batch.keys, mix(objective.seed, 4, _CODE), 3)

    def value_of(module):
        mean, log_variance = module.encoder(x).chunk(2, dim=1)
        posterior = Normal(mean, log_variance.exp().sqrt())
        divergence = kl_divergence(posterior, Normal(torch.zeros_like(mean), 1.0))
        output = module.decoder(mean + posterior.stddev * noise)
        return ORACLES[loss](output, x, weight) + 0.7 * (weight * divergence).sum()

    assert_equals_autograd(objective, several(theta, 2), value_of, epoch=4)


def test_noise_of_the_likelihood_has_a_floor():
    objective, theta = make_objective(
        loss=type(LIKELIHOODS["squared_error"])(floor=100.0), alpha=0.0, penalty=StandardNormal(),
        strength=1.0, variational=True,
    )  # fmt: skip
    batch, x, weight = batch_of(objective)
    noise = normal(batch.keys, mix(objective.seed, 0, _CODE), 3)

    def value_of(module):
        mean, log_variance = module.encoder(x).chunk(2, dim=1)
        output = module.decoder(mean + (log_variance / 2).exp() * noise)
        likelihood = (weight * Normal(output, 10.0).log_prob(x)).sum()
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
        return (weight * divergence).sum() - likelihood

    assert_equals_autograd(objective, theta, value_of)


def fitted(X, n_components=2, hidden=(), **parameters):
    options = {"max_iter": 1, "random_state": 0, **parameters}
    return VariationalAutoencoderTransformer(n_components, hidden, **options).fit(X)


def probabilistic_pca(X, n_components, scaling):
    """PCA of rows as the estimator scales them, and the mean log-likelihood of X under it."""
    deviation = X.std(0)
    deviation = np.where(deviation > 0, deviation, 1.0) if scaling == "standard" else 1.0
    scaled = X / deviation
    pca = PCA(n_components).fit(scaled)
    volume = np.log(deviation * np.ones(X.shape[1])).sum()
    return pca, pca.score(scaled) - volume, deviation


# PCA divides by n - 1 where the likelihood is highest with n: its noise is that much larger. In
# the log-likelihood the two differ by the square of that.
@pytest.mark.parametrize("scaling", ["global", "standard", None])
@pytest.mark.parametrize("n_components", [1, 3])
@pytest.mark.parametrize("X", [IRIS, DIGITS, WINE], ids=["iris", "digits", "wine"])
def test_linear_bound_is_the_likelihood_of_probabilistic_pca(X, n_components, scaling):
    _, expected, _ = probabilistic_pca(X, n_components, scaling)
    estimator = fitted(X, n_components, scaling=scaling, learning_rate=1e-9)
    found = estimator.score_samples(X).mean()
    assert found == pytest.approx(expected, abs=1e-3, rel=1e-3)
    # The best weights are chosen under one draw of codes, so that others may seem better: by as
    # much as a draw moves the loss, less than a thousandth of a nat for each number of a row.
    trained = fitted(X, n_components, scaling=scaling, max_iter=40)
    found = trained.score_samples(X).mean()
    assert found == pytest.approx(expected, abs=1e-3, rel=1e-3)


@pytest.mark.parametrize("scaling", ["global", "standard", None])
@pytest.mark.parametrize("X", [IRIS, DIGITS, WINE], ids=["iris", "digits", "wine"])
def test_noise_is_that_of_probabilistic_pca(X, scaling):
    pca, _, deviation = probabilistic_pca(X, 2, scaling)
    estimator = fitted(X, scaling=scaling, learning_rate=1e-9)
    n = len(X)
    expected = pca.noise_variance_ * (n - 1) / n * deviation**2
    np.testing.assert_allclose(estimator.noise_variance_, expected, rtol=1e-6)
    assert np.shape(estimator.noise_variance_) == np.shape(expected)


def exact_likelihood(estimator, X):
    """Of rows under a linear decoder: a Gaussian whose covariance is W W' + noise."""
    eye = np.eye(estimator.n_components_)
    mean = estimator.inverse_transform(0 * eye[:1])[0]
    loadings = (estimator.inverse_transform(eye) - mean).T
    covariance = loadings @ loadings.T
    covariance += np.diag(estimator.noise_variance_ * np.ones(len(mean)))
    return multivariate_normal(mean, covariance).logpdf(X)


@pytest.mark.parametrize("scaling", ["global", "standard"])
def test_bounds_lie_below_the_exact_likelihood_and_rise_to_it(scaling):
    # From a random start, posteriors are not yet the true ones.
    estimator = fitted(IRIS, scaling=scaling, linear_path=False, max_iter=100, learning_rate=0.03)
    exact = exact_likelihood(estimator, IRIS)
    assert (estimator.score_samples(IRIS) < exact).all()
    gaps, errors = [exact.mean() - estimator.score_samples(IRIS).mean()], [0.0]
    for n_codes in (2, 12, 72):
        scores = []
        for seed in range(40):
            estimator._fitted = replace(estimator._fitted, seed=seed)  # other codes
            found = estimator.score_samples(IRIS, n_importance_samples=n_codes)
            scores.append(exact.mean() - found.mean())
        gaps.append(np.mean(scores))
        errors.append(np.std(scores) / math.sqrt(40))
    assert all(later < earlier for earlier, later in pairwise(gaps))
    assert all(gap > -4 * error for gap, error in zip(gaps, errors, strict=True))
    assert gaps[-1] < 0.2 * gaps[0]


def test_importance_weights_are_all_one_where_the_posterior_is_exact():
    estimator = fitted(IRIS, learning_rate=1e-9)
    exact = exact_likelihood(estimator, IRIS)
    for n in (1, 7, 200):
        scores = estimator.score_samples(IRIS, n_importance_samples=n)
        np.testing.assert_allclose(scores, exact, atol=1e-4)


def observed(estimator, loss):
    """The distribution of rows in X's units given codes, by torch.distributions."""
    if loss == "binary_cross_entropy":
        return lambda codes: Bernoulli(estimator.module_.decode(codes))
    if loss == "poisson":
        return lambda codes: Poisson(estimator.module_.decode(codes))
    deviation = torch.tensor(estimator.noise_variance_).sqrt()
    return lambda codes: Normal(estimator.module_.decode(codes), deviation)


CASES = {
    "normal": ("squared_error", IRIS, {}),
    "standard": ("squared_error", IRIS, {"scaling": "standard"}),
    "unscaled": ("squared_error", IRIS, {"scaling": None, "kl_weight": 0.5}),
    "bernoulli": ("binary_cross_entropy", (DIGITS[:100] > 7).astype(float), {}),
    "poisson": ("poisson", DIGITS[:100], {}),
}


@pytest.mark.parametrize("case", CASES)
def test_bound_equals_a_monte_carlo_estimate(case, monkeypatch):
    loss, X, options = CASES[case]
    estimator = fitted(X, 2, (16,), loss=loss, max_iter=40, learning_rate=0.01, **options)
    x, n_draws = torch.tensor(X), 600
    with torch.no_grad():
        module = estimator.module_
        mean, log_variance = module.encoder(module.to_scaled(x)).chunk(2, dim=1)
        posterior = Normal(mean, log_variance.exp().sqrt())
        prior = Normal(torch.zeros_like(mean), 1.0)
        given = observed(estimator, loss)
        generator = torch.Generator().manual_seed(1)
        draws = [
            given(mean + posterior.stddev * noise).log_prob(x).sum(1)
            for noise in torch.randn(n_draws, *mean.shape, generator=generator).double()
        ]
        divergence = kl_divergence(posterior, prior).sum(1).numpy()
    draws = torch.stack(draws).numpy()
    expected = draws.mean(0) - divergence
    spread = draws.std(0)
    np.testing.assert_array_less(  # ours are 64 numbers in pairs
        abs(estimator.score_samples(X) - expected), 5 * spread * math.sqrt(1 / 32 + 1 / n_draws)
    )
    monkeypatch.setattr(bounds, "_DRAWS", 1200)
    difference = estimator.score_samples(X) - expected
    np.testing.assert_array_less(abs(difference), 5 * spread * math.sqrt(1 / 600 + 1 / n_draws))
