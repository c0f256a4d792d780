"""Does VariationalAutoencoderTransformer do what its docstring says?"""

import numpy as np
import pytest
import torch
from scipy.stats import poisson
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from skaernn import VariationalAutoencoderTransformer

IRIS, WINE = load_iris().data, load_wine().data
DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS = DIGITS / 16


def fitted(X, n_components=2, hidden=(64,), **parameters):
    options = {"max_iter": 20, "learning_rate": 3e-3, "random_state": 0, **parameters}
    return VariationalAutoencoderTransformer(n_components, hidden, **options).fit(X)


def posterior(estimator, X):
    """Means and variances of the codes of X."""
    module = estimator.module_
    with torch.inference_mode():
        mean, log_variance = module.posterior(module.to_scaled(torch.tensor(X)))
    return mean.numpy(), log_variance.exp().numpy()


@pytest.fixture(scope="module")
def by_weight():
    """Autoencoders of digits for several weights of the divergence."""
    return {beta: fitted(DIGITS, 8, kl_weight=beta) for beta in (0.0, 1.0, 4.0, 200.0)}


def test_transform_gives_posterior_means(by_weight):
    mean, _ = posterior(by_weight[1.0], DIGITS[:50])
    np.testing.assert_allclose(by_weight[1.0].transform(DIGITS[:50]), mean, rtol=1e-9)


def test_the_divergence_widens_posteriors_and_shrinks_means(by_weight):
    posteriors = [posterior(estimator, DIGITS) for estimator in by_weight.values()]
    widths = [variance.mean() for _, variance in posteriors]
    spreads = [mean.var(0).mean() for mean, _ in posteriors]
    assert widths[0] < 0.1 * widths[1] < 0.05 * widths[2]
    assert widths[2] < 0.9 * widths[3]
    assert spreads[0] > 1.5 * spreads[1] > 2 * spreads[2] > 20 * spreads[3]


def test_a_large_weight_collapses_the_posterior(by_weight):
    collapsed = by_weight[200.0]
    mean, variance = posterior(collapsed, DIGITS)
    assert collapsed.n_active_components_ == 0
    assert np.abs(mean.std(0)).max() < 0.1
    np.testing.assert_allclose(variance.mean(0), 1, atol=0.05)
    assert abs(collapsed.score(DIGITS)) < 0.01


def test_the_bound_itself_does_not_collapse(by_weight):
    estimator = by_weight[1.0]
    assert estimator.n_active_components_ == 8
    codes = estimator.transform(DIGITS)
    neighbours = KNeighborsClassifier().fit(codes[:1200], LABELS[:1200])
    assert neighbours.score(codes[1200:], LABELS[1200:]) > 0.9
    assert estimator.score(DIGITS) > 1.1 * PCA(8).fit(DIGITS).explained_variance_ratio_.sum()
    linear = fitted(DIGITS, 8, ())
    assert estimator.score_samples(DIGITS).mean() > linear.score_samples(DIGITS).mean() + 5


def test_n_active_components_counts_means_that_vary():
    counts = []
    for beta in (1.0, 6.0, 9.0, 12.0, 200.0):
        estimator = fitted(DIGITS, 8, kl_weight=beta, max_iter=40)
        variances = estimator.transform(DIGITS).var(0)
        counts.append(int((variances > 0.01).sum()))
        assert estimator.n_active_components_ == pytest.approx(counts[-1], abs=1)  # of 1024 rows
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 8
    assert counts[-1] == 0
    assert {0, 8} < set(counts)


def test_codes_fill_the_prior(by_weight):
    """What the codes of all rows, drawn from their posteriors, are together: N(0, 1) or nearly.

    At the best bound each has variance one, since scaling it costs nothing elsewhere; at the
    start it has. Training passes through somewhat wider codes.
    """
    mean, variance = posterior(fitted(DIGITS, 8, ()), DIGITS)
    np.testing.assert_allclose(mean.mean(0), 0, atol=0.05)
    np.testing.assert_allclose(mean.var(0) + variance.mean(0), 1, atol=0.05)
    mean, variance = posterior(by_weight[1.0], DIGITS)
    np.testing.assert_allclose(mean.mean(0), 0, atol=0.25)
    total = mean.var(0) + variance.mean(0)
    assert ((total > 0.8) & (total < 1.6)).all()


@pytest.mark.parametrize("scaling", ["global", "standard", None])
@pytest.mark.parametrize("X", [IRIS, DIGITS, WINE], ids=["iris", "digits", "wine"])
def test_samples_of_the_linear_model_have_the_moments_of_X(X, scaling):
    estimator = fitted(X, 2, (), scaling=scaling, max_iter=1, learning_rate=1e-9)
    drawn = estimator.sample(20_000, random_state=0)
    assert drawn.shape == (20_000, X.shape[1])
    unit = np.where(X.std(0) > 0, X.std(0), 1.0)
    np.testing.assert_allclose(drawn.mean(0) / unit, X.mean(0) / unit, atol=0.03)
    noise = np.diag(estimator.noise_variance_ * np.ones(X.shape[1]))
    scale = unit if scaling == "standard" else np.ones(X.shape[1])
    expected = PCA(2).fit(X / scale).get_covariance() * np.outer(scale, scale)
    found = np.cov(drawn.T) + noise
    np.testing.assert_allclose(found, expected, atol=0.03 * expected.max())


def test_samples_of_digits_look_like_digits(by_weight):
    estimator = by_weight[1.0]
    drawn = estimator.sample(4000, random_state=0)
    np.testing.assert_allclose(drawn.mean(0), DIGITS.mean(0), atol=0.1 * DIGITS.std())
    share = (drawn.var(0).sum() + 64 * estimator.noise_variance_) / DIGITS.var(0).sum()
    assert 0.6 < share < 1.2
    np.testing.assert_array_equal(drawn, estimator.sample(4000, random_state=0))
    errors = estimator.reconstruction_error(drawn).mean()
    pixels = np.random.default_rng(0).permuted(DIGITS, axis=0)  # right one by one only
    assert errors < 0.3 * estimator.reconstruction_error(pixels).mean()


@pytest.mark.parametrize("scaling", ["global", "standard", None])
@pytest.mark.parametrize("X", [IRIS, WINE], ids=["iris", "wine"])
def test_loss_is_minus_the_bound_in_scaled_units(X, scaling):
    """Fifty draws of the loss at one place."""
    estimator = fitted(
        X, 2, (), scaling=scaling, max_iter=50, learning_rate=1e-9, alpha=0.0, batch_size=len(X)
    )
    volume = 0.0
    if scaling is not None:
        volume = np.log(estimator.module_.scale.numpy() * np.ones(X.shape[1])).sum()
    curve = np.array(estimator.loss_curve_)
    # The best variance for one draw is a little better than that for all draws.
    expected = -estimator.score_samples(X).mean() - volume
    assert curve.mean() == pytest.approx(expected, abs=5 * curve.std() / np.sqrt(50))
    assert curve.std() > 0


@pytest.mark.parametrize("batch_size", [1, 7, 150])
def test_batches_of_any_size_learn(batch_size):
    rate = {1: 1e-4, 7: 1e-3, 150: 1e-2}[batch_size]
    start = fitted(IRIS, 1, max_iter=1, learning_rate=1e-9).score_samples(IRIS).mean()
    estimator = fitted(IRIS, 1, batch_size=batch_size, max_iter=20, learning_rate=rate)
    assert np.isfinite(estimator.loss_curve_).all()
    # The variance of the noise is fitted to a batch, so that one row alone says little about it.
    least = start - 0.05 if batch_size == 1 else start + 0.02
    assert estimator.score_samples(IRIS).mean() > least


def test_black_and_white_images():
    X = (DIGITS[:600] > 0.5).astype(float)
    estimator = fitted(X, 4, loss="binary_cross_entropy")
    drawn = estimator.sample(2000, random_state=0)
    assert ((drawn > 0) & (drawn < 1)).all()
    np.testing.assert_allclose(drawn.mean(0), X.mean(0), atol=0.1)
    assert estimator.noise_variance_ is None
    p = X.mean(0).clip(1e-9, 1 - 1e-9)
    pixels = (X * np.log(p) + (1 - X) * np.log(1 - p)).sum(1).mean()
    assert estimator.score_samples(X).mean() > pixels + 3


def test_counts():
    X = (16 * DIGITS[:600]).round()
    estimator = fitted(X, 4, loss="poisson")
    drawn = estimator.sample(2000, random_state=0)
    assert (drawn >= 0).all()
    assert np.isfinite(drawn).all()
    np.testing.assert_allclose(drawn.mean(0), X.mean(0), atol=1.5)
    pixels = poisson(X.mean(0) + 1e-9).logpmf(X).sum(1).mean()
    assert estimator.score_samples(X).mean() > pixels + 20


@pytest.mark.parametrize("n_draws", [0, -1, 1.5, True, "3"])
def test_numbers_of_importance_samples_that_are_none(n_draws):
    estimator = fitted(IRIS, max_iter=1)
    with pytest.raises(ValueError, match="n_importance_samples must be a positive int"):
        estimator.score_samples(IRIS, n_importance_samples=n_draws)


def test_constant_columns_and_rows_met_exactly_have_finite_bounds():
    X = np.hstack([IRIS, np.ones((150, 1))])
    for scaling in ("global", "standard", None):
        estimator = fitted(X, 5, (), scaling=scaling, max_iter=3)
        assert np.isfinite(estimator.score_samples(X)).all()
        assert np.all(estimator.noise_variance_ > 0)


def test_a_short_last_batch_has_no_variance_of_its_own():
    X = StandardScaler().fit_transform(load_breast_cancer().data)
    params = {"max_iter": 60, "random_state": 0}
    whole = VariationalAutoencoderTransformer(**params).fit(X[:200]).score_samples(X[:200]).mean()
    one_more = VariationalAutoencoderTransformer(**params).fit(X[:201]).score_samples(X[:200])
    assert one_more.mean() > whole - 0.5  # with batches of 200 and 1 it was 1.5 nats lower
