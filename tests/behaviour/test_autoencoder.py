"""Does AutoencoderTransformer do what its docstring says?"""

from functools import partial

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaernn import (
    AutoencoderTransformer,
    SequenceAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skaernn._losses.reconstruction import LOSSES

IRIS = load_iris().data


@pytest.fixture(scope="module")
def iris_codes():
    return AutoencoderTransformer(random_state=0, max_iter=50).fit(IRIS)


def test_inverse_transform_returns_to_the_units_of_X(iris_codes):
    back = iris_codes.inverse_transform(iris_codes.transform(IRIS))
    assert back.shape == IRIS.shape
    assert r2_score(IRIS, back, multioutput="variance_weighted") > 0.97


@pytest.mark.parametrize("scaling", ["global", "standard", None])
def test_reconstruction_error_is_the_mean_squared_difference(scaling):
    estimator = AutoencoderTransformer(scaling=scaling, max_iter=20, random_state=0).fit(IRIS)
    back = estimator.inverse_transform(estimator.transform(IRIS))
    raw = ((IRIS - back) ** 2).mean(axis=1)
    scale = IRIS.std(axis=0) if scaling == "standard" else 1.0  # as the loss weighs them
    expected = (((IRIS - back) / scale) ** 2).mean(axis=1)
    np.testing.assert_allclose(estimator.reconstruction_error(IRIS), expected, rtol=1e-9)
    found = estimator.reconstruction_error(IRIS, raw_units=True)
    np.testing.assert_allclose(found, raw, rtol=1e-9)
    np.testing.assert_array_equal(
        estimator.score_samples(IRIS), -estimator.reconstruction_error(IRIS)
    )


def test_reconstruction_error_of_the_other_losses():
    X = load_digits().data[:200] / 16
    for loss, pointwise in {
        "absolute_error": lambda x, y, s: abs(x - y),
        "huber": lambda x, y, s: np.where(
            abs(x - y) < s, 0.5 * (x - y) ** 2, s * (abs(x - y) - 0.5 * s)
        ),
        "binary_cross_entropy": lambda x, y, s: -x * np.log(y) - (1 - x) * np.log(1 - y),
    }.items():
        estimator = AutoencoderTransformer(8, loss=loss, max_iter=20, random_state=0).fit(X)
        back = estimator.inverse_transform(estimator.transform(X))
        scale = 1.0 if estimator.module_.scale is None else float(estimator.module_.scale)
        expected = pointwise(X, back, scale).mean(axis=1)
        np.testing.assert_allclose(estimator.reconstruction_error(X), expected, rtol=1e-6)


@pytest.mark.parametrize("scaling", ["global", "standard", None])
def test_score_is_the_share_of_variance_explained(scaling):
    X = load_wine().data
    weight = np.random.default_rng(0).random(len(X))
    estimator = AutoencoderTransformer(
        3, scaling=scaling, max_iter=20, learning_rate=1e-3, random_state=0
    ).fit(X)
    scale = X.std(axis=0) if scaling == "standard" else 1.0  # as the loss weighs them
    back = estimator.inverse_transform(estimator.transform(X)) / scale
    for w in (None, weight):
        expected = r2_score(X / scale, back, sample_weight=w, multioutput="variance_weighted")
        assert estimator.score(X, sample_weight=w) == pytest.approx(expected, rel=1e-9)


def test_standard_scaling_sees_an_anomaly_in_a_small_column():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 6)) + rng.normal(size=(400, 6)) / 20
    X = np.c_[X, rng.normal(size=400) / 10]
    units = np.array([1e3, 1.0, 1.0, 1e-3, 1.0, 1e-3, 1e-3])
    odd = X[300:].copy()
    odd[:, 6] += rng.choice([-1, 1], 100)  # ten of the column's standard deviations
    truth = np.r_[np.ones(100), np.zeros(100)]
    make = partial(AutoencoderTransformer, 2, max_iter=30, random_state=0)
    model = make(scaling="standard").fit(X[:200] * units)
    seen = np.r_[X[200:300], odd] * units
    outside = make_pipeline(StandardScaler(), make(scaling="global")).fit(X[:200] * units)
    assert roc_auc_score(truth, model.score_samples(seen)) > 0.99
    assert roc_auc_score(truth, -model.reconstruction_error(seen, raw_units=True)) < 0.8
    # the scaler outside gives the same errors: one scale for columns of variance one is none
    before, after = outside[0].transform(seen), outside[1]
    np.testing.assert_allclose(
        model.reconstruction_error(seen), after.reconstruction_error(before), rtol=1e-6
    )
    assert model.score(seen) == pytest.approx(after.score(before), rel=1e-6)


def test_standard_scaling_explains_what_pca_explains_of_scaled_columns():
    X = load_breast_cancer().data
    model = AutoencoderTransformer(
        2, (), scaling="standard", max_iter=1, learning_rate=1e-12, output_range=None
    )
    shares = PCA(2).fit(StandardScaler().fit_transform(X)).explained_variance_ratio_
    assert model.fit(X).score(X) == pytest.approx(shares.sum(), rel=1e-6)  # .632, not .900


def test_score_of_rows_without_variance():
    estimator = AutoencoderTransformer(1, max_iter=5, random_state=0).fit(np.full((9, 3), 0.1))
    assert estimator.score(np.full((4, 3), 0.1)) == 1.0
    assert estimator.score(np.full((4, 3), 0.3)) == 0.0
    assert estimator.score(np.full((1, 3), 0.1)) == 1.0


def test_score_of_huge_values_is_finite():
    X = IRIS * 1e300
    estimator = AutoencoderTransformer(max_iter=5, random_state=0).fit(X)
    assert 0.97 < estimator.score(X) < 1
    assert np.isfinite(estimator.inverse_transform(estimator.transform(X))).all()


def test_standard_scaling_gives_every_feature_the_same_say():
    X = IRIS * [1, 10, 100, 1000]
    estimator = AutoencoderTransformer(2, scaling="standard", max_iter=30, random_state=0).fit(X)
    plain = AutoencoderTransformer(2, scaling="standard", max_iter=30, random_state=0).fit(IRIS)
    np.testing.assert_allclose(estimator.transform(X), plain.transform(IRIS), atol=1e-6)


def test_codes_before_a_classifier_in_a_grid_search():
    X, y = load_breast_cancer(return_X_y=True)
    pipeline = make_pipeline(
        StandardScaler(),
        AutoencoderTransformer(max_iter=20, random_state=0),
        LogisticRegression(max_iter=1000),
    )
    grid = {
        "autoencodertransformer__n_components": [1, 4],
        "autoencodertransformer__learning_rate": [1e-3, 1e-2],
    }
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    assert search.best_params_["autoencodertransformer__n_components"] == 4
    assert search.best_score_ > 0.93


def test_grid_search_without_a_scorer_prefers_the_better_reconstruction():
    folds = KFold(3, shuffle=True, random_state=0)
    estimator = AutoencoderTransformer(max_iter=10, random_state=0)
    search = GridSearchCV(estimator, {"n_components": [1, 2, 3]}, cv=folds).fit(IRIS)
    assert search.best_params_ == {"n_components": 3}
    scores = cross_val_score(estimator, IRIS, cv=folds)
    assert (scores > 0.8).all()


def test_parallel_grid_search_gives_the_same_scores():
    X = IRIS
    grid = {"n_components": [1, 2], "learning_rate": [1e-3, 1e-2]}
    estimator = AutoencoderTransformer(max_iter=10, random_state=0)
    scores = [
        GridSearchCV(estimator, grid, cv=3, n_jobs=n).fit(X).cv_results_["mean_test_score"]
        for n in (None, 2)
    ]
    np.testing.assert_array_equal(*scores)


def test_names_of_codes(iris_codes):
    names = ["autoencodertransformer0", "autoencodertransformer1"]
    assert list(iris_codes.get_feature_names_out()) == names


def test_anomalies_score_low():
    rng = np.random.default_rng(0)
    angle = rng.random(500) * 2 * np.pi
    normal = np.c_[np.cos(angle), np.sin(angle), np.sin(angle) ** 2]
    estimator = AutoencoderTransformer(2, random_state=0).fit(normal)
    strange = rng.normal(size=(50, 3)) * [1, 1, 3]
    assert np.median(estimator.score_samples(strange)) < estimator.score_samples(normal).min()


def test_samples_look_like_the_data():
    X = load_digits().data
    estimator = AutoencoderTransformer(16, max_iter=20, random_state=0).fit(X)
    drawn = estimator.sample(4000, random_state=0)
    assert drawn.shape == (4000, 64)
    spread = X.std()
    np.testing.assert_allclose(drawn.mean(0), X.mean(0), atol=0.15 * spread)
    assert 0.5 < drawn.var(0).sum() / X.var(0).sum() < 1.2
    np.testing.assert_array_equal(drawn, estimator.sample(4000, random_state=0))


def test_moments_of_the_codes():
    X = load_digits().data[:1000]
    estimator = AutoencoderTransformer(16, max_iter=2, random_state=0).fit(X)
    codes = estimator.transform(X)
    np.testing.assert_allclose(estimator.code_mean_, codes.mean(0), atol=1e-9)
    np.testing.assert_allclose(estimator.code_covariance_, np.cov(codes.T, bias=True), atol=1e-9)


def test_sample_refuses_a_count_that_is_none():
    estimator = AutoencoderTransformer(max_iter=1, random_state=0).fit(IRIS)
    for count in (0, -1, 1.5):
        with pytest.raises(ValueError, match="n_samples must be a positive int"):
            estimator.sample(count)


def test_module_is_plain_torch_in_the_users_units(iris_codes):
    import torch

    module = iris_codes.module_
    assert not module.training
    with torch.inference_mode():
        x = torch.tensor(IRIS)
        codes, back = module.encode(x), module(x)
    np.testing.assert_allclose(codes, iris_codes.transform(IRIS), rtol=1e-12)
    np.testing.assert_allclose(back, iris_codes.inverse_transform(codes.numpy()), rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_what_auto_comes_down_to(loss):
    X = load_digits().data[:100] / 16
    estimator = AutoencoderTransformer(loss=loss, max_iter=2, random_state=0).fit(X)
    crossed = loss == "binary_cross_entropy"
    assert estimator.scaling_ == (None if crossed or loss == "poisson" else "global")
    assert estimator.linear_path_
    back = estimator.inverse_transform(estimator.transform(X))
    assert not crossed or ((back > 0) & (back < 1)).all()
    bent = AutoencoderTransformer(loss=loss, code_activation="tanh", max_iter=2, random_state=0)
    assert not bent.fit(X).linear_path_
    assert bent.explained_variance_ratio_ is None


def test_cross_entropy_starts_near_logistic_pca_and_learns():
    X = (load_digits().data > 7).astype(float)
    estimator = AutoencoderTransformer(
        8, loss="binary_cross_entropy", max_iter=20, random_state=0
    ).fit(X)
    p = X.mean(0).clip(1e-12, 1 - 1e-12)
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p)).mean()
    assert estimator.loss_curve_[0] / 64 < 0.75 * entropy
    assert estimator.loss_ < 0.85 * estimator.loss_curve_[0]


def test_defaults_beat_pca_on_held_out_rows():
    X = load_digits().data
    train, test = X[:1200], X[1200:]
    estimator = AutoencoderTransformer(16, max_iter=40, random_state=0).fit(train)
    pca = PCA(16).fit(train)
    expected = ((test - pca.inverse_transform(pca.transform(test))) ** 2).mean()
    assert estimator.reconstruction_error(test).mean() < 0.75 * expected


def test_wide_rows_and_a_share_of_variance_need_no_square_matrix():
    X = np.random.default_rng(0).normal(size=(30, 40_000)).astype(np.float32)
    estimator = AutoencoderTransformer(0.5, max_iter=1, random_state=0).fit(X)
    assert estimator.n_components_ <= 30


def test_errors_beyond_the_type_are_infinite_and_exact_ones_zero():
    X = (IRIS * [1, 1, 1, 0]).astype(np.float32) * np.float32(1e25)
    estimator = AutoencoderTransformer(3, scaling="standard", max_iter=2, random_state=0).fit(X)
    errors = estimator.reconstruction_error(X)
    assert not np.isnan(errors).any()
    worse = AutoencoderTransformer(1, scaling="standard", max_iter=2, random_state=0).fit(X)
    assert np.isfinite(worse.reconstruction_error(X)).all()
    errors = worse.reconstruction_error(X, raw_units=True)
    assert errors.max() == np.inf  # and nothing was warned of
    sequences = X.reshape(30, 5, 4)
    codes = SequenceAutoencoderTransformer(max_iter=2, random_state=0).fit(sequences)
    assert np.isfinite(codes.reconstruction_error(sequences)).all()
    assert codes.reconstruction_error(sequences, raw_units=True).max() == np.inf


def test_equal_spellings_of_an_architecture_continue():
    estimator = AutoencoderTransformer(2, 8, max_iter=2, warm_start=True, random_state=0).fit(IRIS)
    estimator.set_params(hidden_layer_sizes=(8,), n_components=np.int64(2)).fit(IRIS)
    assert estimator.n_iter_ == 4


@pytest.mark.parametrize("kind", [AutoencoderTransformer, VariationalAutoencoderTransformer])
def test_scores_are_of_the_loss_that_was_fitted(kind):
    estimator = kind(max_iter=2, random_state=0).fit(IRIS)
    errors, scores = estimator.reconstruction_error(IRIS), estimator.score_samples(IRIS)
    estimator.set_params(loss="binary_cross_entropy")  # for the next fit
    np.testing.assert_array_equal(estimator.reconstruction_error(IRIS), errors)
    np.testing.assert_array_equal(estimator.score_samples(IRIS), scores)


def test_bounds_on_huge_values_are_those_of_small_ones():
    small, huge = (
        VariationalAutoencoderTransformer(1, max_iter=2, random_state=0).fit(X)
        for X in (IRIS, 2.0**600 * IRIS)
    )
    assert huge.noise_variance_ == np.inf  # and nothing was warned of
    expected = small.score_samples(IRIS) - 600 * np.log(2) * IRIS.shape[1]
    np.testing.assert_allclose(huge.score_samples(2.0**600 * IRIS), expected, rtol=1e-9)
