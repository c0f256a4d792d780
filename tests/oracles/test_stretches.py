"""Windows of series: which stretch each is of, and maps that are tried on unseen stretches."""

import pickle

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.linear_model import Ridge

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor, sliding_windows
from skaernn._inputs.overlaps import stretches_of
from skaernn._inputs.sequences import as_series
from skaernn._training import linear

RNG = np.random.default_rng(0)
WALK = RNG.normal(size=200).cumsum()
STILL = {"hidden_size": 2, "max_iter": 1, "learning_rate": 1e-300, "random_state": 0}


def smooth(n=260, width=30, seed=0):
    """Noise whose neighbours are alike, but which nothing foretells `width` steps ahead."""
    return sliding_window_view(np.random.default_rng(seed).normal(size=n + width), width).mean(1)


def steady(n=220, seed=0):
    """A series that is the same map of its past throughout."""
    noise, series = np.random.default_rng(seed).normal(size=n), [0.0, 0.0]
    for value in noise:
        series.append(1.5 * series[-1] - 0.8 * series[-2] + value)
    return np.array(series)


def stretches(X, n=5, index=None):
    flat = np.asarray(X).reshape(len(X), -1)
    return stretches_of(as_series(flat), np.arange(len(X)) if index is None else index, n)


def expected(n_windows, n=5):
    return np.arange(n_windows) * n // n_windows


class TestWhichStretch:
    @pytest.mark.parametrize("step", [1, 3])
    @pytest.mark.parametrize("series", [WALK, WALK.astype("f4"), np.c_[WALK, WALK[::-1]]],
                             ids=["one", "single", "channels"])  # fmt: skip
    def test_in_order_and_in_any_order(self, series, step):
        X, _ = sliding_windows(series, 8, step=step)
        np.testing.assert_array_equal(stretches(X), expected(len(X)))
        order = np.random.default_rng(1).permutation(len(X))
        np.testing.assert_array_equal(stretches(X[order]), expected(len(X))[order])

    def test_equal_windows_are_in_one(self):
        X, _ = sliding_windows(WALK, 8)
        order = np.random.default_rng(1).integers(0, len(X), 600)
        assert len(np.unique(order)) < len(X)
        again = np.r_[np.arange(len(X)), order]
        np.testing.assert_array_equal(stretches(X[again]), expected(len(X))[again])

    def test_only_those_asked_about(self):
        X, _ = sliding_windows(WALK, 8)
        index = np.arange(20, 180)
        found = stretches(np.r_[X[:20], X[20:180], X[180:]], index=index)
        np.testing.assert_array_equal(found[index], expected(160))
        assert not found[:20].any()
        assert not found[180:].any()

    def test_whole_series_stay_together(self):
        several = [RNG.normal(size=40).cumsum() for _ in range(5)]
        X, _ = sliding_windows(several, 8)
        found = stretches(X).reshape(5, -1)
        assert (found == found[:, :1]).all()
        assert sorted(found[:, 0]) == [0, 1, 2, 3, 4]

    def test_a_series_that_repeats_itself_ends(self):
        X, _ = sliding_windows(np.tile(WALK[:60], 4), 8)
        found = stretches(X)
        np.testing.assert_array_equal(np.bincount(found[:60]), 12)
        np.testing.assert_array_equal(found[60:120], found[:60])

    @pytest.mark.parametrize("X", [
        RNG.normal(size=(100, 8)),
        sliding_windows(WALK, 8)[0][:49],  # too few
        sliding_windows(WALK, 8)[0][::8],  # none overlaps
        np.ones((100, 8)),
        np.arange(100)[:, None],
    ], ids=["rows", "few", "apart", "constant", "one step"])  # fmt: skip
    def test_others_are_none(self, X):
        assert stretches(X) is None


def standardised(X):
    flat = X.reshape(len(X), -1)
    return (flat - flat.mean(0)) / flat.std(0)


def left_out(Z, y, strength, parts):
    """Squared errors in each part, by a model of the others, centred as all are."""
    Z, y = np.c_[Z, np.ones(len(Z))], y - y.mean(0)
    penalty = np.diag(np.r_[np.full(Z.shape[1] - 1, strength), 0.0])
    errors = 0.0
    for part in np.unique(parts):
        A, b = Z[parts != part], y[parts != part]
        weights = np.linalg.solve(A.T @ A + penalty, A.T @ b)
        errors += np.square(y[parts == part] - Z[parts == part] @ weights).sum()
    return errors


@pytest.mark.parametrize("block", [linear._BLOCK, 300], ids=["one block", "blocks"])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_the_strength_is_that_of_the_least_error_in_unseen_stretches(
    n_outputs, block, monkeypatch
):
    monkeypatch.setattr(linear, "_BLOCK", block)
    X, y = sliding_windows(smooth() + 0.1 * RNG.normal(size=261), 12, n_outputs)
    X, y = X, y if y.ndim == 1 else y[:, :, 0] if y.ndim == 3 else y
    model = RNNSequenceRegressor(linear_path="window", **STILL).fit(X, y)
    Z, parts = standardised(X), expected(len(X))
    scaled = (y - y.mean(0)) / y.std(0)
    strengths = np.linalg.svd(Z)[1][0] ** 2 * linear._STRENGTHS.numpy()
    errors = [left_out(Z, scaled, strength, parts) for strength in strengths]
    alone = [left_out(Z, scaled, strength, np.arange(len(X))) for strength in strengths[16:]]
    assert np.argmin(errors) != 16 + np.argmin(alone)  # or this would show nothing
    best = Ridge(alpha=strengths[np.argmin(errors)]).fit(Z, scaled)
    np.testing.assert_allclose(
        model.predict(X), best.predict(Z) * y.std(0) + y.mean(0), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("estimator", [RNNSequenceRegressor, RNNSequenceClassifier])
def test_order_and_weights_are_those_of_a_set(estimator):
    X, y = sliding_windows(steady(), 6)
    y = y if estimator is RNNSequenceRegressor else np.digitize(y, [-1.0, 1.0])
    how = {"hidden_size": 3, "max_iter": 3, "batch_size": 1000, "random_state": 0}
    generator = np.random.default_rng(1)
    weight = generator.integers(0, 3, len(X))
    again = generator.permutation(np.repeat(np.arange(len(X)), weight))
    one = estimator(**how).fit(X, y, sample_weight=weight)
    other = estimator(**how).fit(X[again], y[again])
    answer = "predict" if estimator is RNNSequenceRegressor else "predict_proba"
    np.testing.assert_allclose(getattr(one, answer)(X), getattr(other, answer)(X), atol=1e-7)


class TestMapsThatDrift:
    series = smooth(width=50, seed=1)
    X, y = sliding_windows(series, 40, 10)
    y = y[:, -1]

    def fit(self, X=None, y=None, **params):
        how = {"hidden_size": 3, "max_iter": 2, "random_state": 0, **params}
        return RNNSequenceRegressor(**how).fit(
            self.X if X is None else X, self.y if y is None else y
        )

    def test_auto_reads_less_of_them(self):
        assert self.fit().linear_path_ == "pooled"
        assert self.fit(input_skip=False).linear_path_ is False
        assert self.fit(linear_path="window").linear_path_ == "window"

    def test_and_what_comes_of_it_is_what_was_asked_for_by_name(self):
        found, named = self.fit(), self.fit(linear_path="pooled")
        np.testing.assert_array_equal(found.predict(self.X), named.predict(self.X))
        assert found.state_size_ == named.state_size_

    def test_in_any_order(self):
        order = np.random.default_rng(0).permutation(len(self.X))
        assert self.fit(self.X[order], self.y[order]).linear_path_ == "pooled"
        assert self.fit(list(self.X), self.y).linear_path_ == "pooled"

    def test_rows_apart_and_steady_series_keep_the_window(self):
        apart = RNG.normal(size=(80, 20))
        assert self.fit(apart, apart[:, 0]).linear_path_ == "window"
        for seed in range(5):
            X, y = sliding_windows(steady(seed=seed), 10)
            assert self.fit(X, y).linear_path_ == "window"

    def test_splits_carry_the_state(self):
        model = self.fit()
        _, state = model.predict(self.X[:, :8], return_state=True)
        np.testing.assert_allclose(
            model.predict(self.X[:, 8:], initial_state=state), model.predict(self.X)
        )

    def test_training_goes_on(self):
        whole = self.fit(warm_start=True, n_members=2)
        whole.fit(self.X, self.y)
        assert whole.linear_path_ == "pooled"
        assert whole.n_iter_ == 4
        model = RNNSequenceRegressor(hidden_size=3, random_state=0)
        model.partial_fit(self.X, self.y).partial_fit(self.X[:30], self.y[:30])
        assert model.linear_path_ == "pooled"
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(again.predict(self.X), model.predict(self.X))
        again.partial_fit(self.X, self.y)
        np.testing.assert_array_equal(
            again.predict(self.X), model.partial_fit(self.X, self.y).predict(self.X)
        )

    def test_states_of_validation_rows_may_have_a_window(self):
        def scores(path, asked):
            _, state = self.fit(linear_path=path).predict(self.X[:40, :5], return_state=True)
            state[:, :6] = 0.1
            how = {"hidden_size": 3, "max_iter": 2, "random_state": 0, "early_stopping": True}
            held_out = {"X_val": self.X[:40, 5:], "y_val": self.y[:40]}
            model = RNNSequenceRegressor(**how, linear_path=asked)
            model.fit(self.X, self.y, **held_out, initial_state_val=state)
            assert model.linear_path_ == "pooled"
            return model.validation_scores_

        # the last bits of products are those of where in memory they are
        assert scores("window", "auto") == pytest.approx(scores("pooled", "pooled"), rel=1e-12)

    def test_forecasts(self):
        X, y = sliding_windows(self.series, 40, 10)
        model = RNNSequenceRegressor(hidden_size=3, max_iter=2, random_state=0).fit(X, y)
        assert model.linear_path_ == "pooled"
        assert model.forecast(X[-1:], 40).shape == (1, 40, 1)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_never_above_the_linear_model(self, dtype):
        X, y = sliding_windows(self.series.astype(dtype), 40, 10)
        still = RNNSequenceRegressor(**STILL).fit(X, y).predict(X)
        model = RNNSequenceRegressor(hidden_size=4, max_iter=5, random_state=0).fit(X, y)
        assert np.mean((model.predict(X) - y) ** 2) <= np.mean((still - y) ** 2) * (1 + 1e-6)


@pytest.mark.parametrize("ahead", [1, 12])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_a_window_says_but_for_rounding_is_left_to_it(ahead, dtype):
    """Both errors are next to nothing then, and their quotient is anything."""
    t = np.arange(400)
    X, y = sliding_windows(0.05 * t + np.sin(t / 5), 24, ahead)
    y = y.reshape(len(X), -1)[:, -1]
    model = RNNSequenceRegressor(max_iter=3, random_state=0, dtype=dtype).fit(X[:300], y[:300])
    assert model.linear_path_ == "window"
    assert model.score(X[300:], y[300:]) > 0.999
