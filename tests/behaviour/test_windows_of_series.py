"""Windows of long series: what follows them, and which of them are held out."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from skaernn import (
    AutoencoderTransformer,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
    sliding_windows,
)
from skaernn._inputs.overlaps import series_of
from skaernn._inputs.sequences import as_series, check_sequences

RNG = np.random.default_rng(0)
ONE = RNG.normal(size=60).cumsum()
TWO = RNG.normal(size=(60, 2)).cumsum(axis=0)


def make(**params):
    return RNNSequenceRegressor(**{"hidden_size": 3, "max_iter": 2, "random_state": 0, **params})


def follows(X, y, **params):
    return make(**params).fit(X, y)._form.follows


class TestWhatFollows:
    @pytest.mark.parametrize("step", [1, 2, 3])
    @pytest.mark.parametrize("horizon", [1, 2, 5])
    @pytest.mark.parametrize("series", [ONE, TWO, [TWO, TWO[:30] + 9], ONE.astype("f4")],
                             ids=["one", "two", "several", "single"])  # fmt: skip
    def test_windows_are_known(self, series, horizon, step):
        X, y = sliding_windows(series, 8, horizon, step=step)
        assert follows(X, y)
        assert make().fit(X, y).forecast(X[-2:], 3).shape == (2, 3, X.shape[2])

    def test_however_they_are_passed(self):
        X, y = sliding_windows(TWO, 8, 2)
        assert follows(X.copy(), y)
        assert follows(list(X), y)
        assert follows(X.reshape(len(X), -1), y, n_channels=2)
        assert follows(pd.DataFrame(X.reshape(len(X), -1)), y, n_channels=2)
        X_train, _, y_train, _ = train_test_split(X, y, random_state=0)
        assert follows(X_train, y_train)

    def test_a_step_may_be_a_year(self):
        X, y = sliding_windows(ONE, 24, 12)
        assert follows(X[..., 0], y, n_channels=12)

    def test_one_output_a_step(self):
        X = np.stack([TWO[:20], TWO[20:40]])
        assert follows(X[:, :-1], X[:, 1:], return_sequences=True)
        assert follows(X[:, :-1], X[:, :-1], return_sequences=True) is False
        ragged = [TWO[:9], TWO[20:35]]
        assert follows([x[:-1] for x in ragged], [x[1:] for x in ragged], return_sequences=True)

    def test_twelve_steps_of_one_target_are_not_four_of_three_channels(self):
        """The case that gave numbers ten times too large."""
        series = np.c_[ONE, RNG.normal(size=(60, 2)) * 10]
        X, y = sliding_windows(series, 8, 12)
        load = y.reshape(len(y), 12, 3)[..., 0]
        model = make().fit(X, load)
        with pytest.raises(ValueError, match=r"3 channels; the targets are not\. .*horizon=4"):
            model.forecast(X[-1:], 12)
        with pytest.raises(ValueError, match="horizon=12 needs 36"):
            model.forecast(X[-1:], 12, horizon=12)

    def test_other_targets_are_refused(self):
        X, y = sliding_windows(ONE, 8)
        for wrong in (y * 2, np.r_[y[1:], y[:1]], y - X[:, -1, 0]):
            assert follows(X, wrong) is False
            with pytest.raises(ValueError, match="the targets are not"):
                make().fit(X, wrong).forecast(X, 2)

    def test_where_nothing_shows_it_the_user_says_so(self):
        X = RNG.normal(size=(20, 6))
        model = make().fit(X[:, :-1], X[:, -1])
        with pytest.raises(ValueError, match=r"nothing in X shows it.*pass horizon=1"):
            model.forecast(X[:, 1:], 2)
        assert model.forecast(X[:, 1:], 2, horizon=1).shape == (20, 2, 1)
        for horizon in (0, 1.5, "1", True):
            with pytest.raises(ValueError, match="horizon must be a positive int"):
                model.forecast(X[:, 1:], 2, horizon=horizon)

    def test_a_model_fitted_further_remembers(self):
        X, y = sliding_windows(ONE, 8)
        model = make().fit(X, y).partial_fit(X[::9].copy(), y[::9])
        assert model.forecast(X[-1:], 2).shape == (1, 2, 1)

    def test_deviations(self):
        X, y = sliding_windows(TWO, 8, 2)
        model = make(loss="gaussian", linear_path=False).fit(X, y)
        values, deviations = model.forecast(X[-3:], 5, return_std=True)
        np.testing.assert_array_equal(values, model.forecast(X[-3:], 5))
        mean, std = model.predict(X[-3:], return_std=True)
        np.testing.assert_array_equal(values[:, :2].reshape(3, -1), mean)
        np.testing.assert_array_equal(deviations[:, :2].reshape(3, -1), std)
        longer = np.concatenate([X[-3:], values[:, :2]], axis=1)
        mean, std = model.predict(longer, return_std=True)
        np.testing.assert_array_equal(deviations[:, 2:4].reshape(3, -1), std)
        with pytest.raises(ValueError, match="return_std=True needs a fit with loss='gaussian'"):
            make().fit(X, y).forecast(X[-1:], 2, return_std=True)


class TestHeldOut:
    @pytest.mark.parametrize("copied", [False, True])
    def test_the_last_of_each_series(self, copied):
        X, y = sliding_windows([TWO, TWO[:30] + 9], 8)
        X = X.copy() if copied else X
        series = series_of(check_sequences(make(), X))
        np.testing.assert_array_equal(series, np.repeat([1, 2], [52, 22]))
        model = make(early_stopping=True, validation_fraction=0.25, max_iter=4).fit(X, y)
        last = np.r_[np.arange(52 - 13, 52), np.arange(74 - 5, 74)]
        first = np.setdiff1d(np.arange(74), last)
        again = make(early_stopping=True, max_iter=4)
        again.fit(X[first], y[first], X_val=X[last], y_val=y[last])
        assert model.validation_scores_ == again.validation_scores_
        np.testing.assert_array_equal(model.predict(X), again.predict(X))

    def test_so_it_is_for_every_kind(self):
        X, y = sliding_windows(ONE, 8)
        first, last = np.arange(47), np.arange(47, 52)  # a tenth
        how = {"early_stopping": True, "max_iter": 3, "random_state": 0}
        for model, labels in (
            (AutoencoderTransformer(2, **how), None),
            (SequenceAutoencoderTransformer(2, 3, **how), None),
            (RNNSequenceClassifier(hidden_size=3, **how), (y > y.mean()).astype(int)),
        ):
            rows = X[..., 0]
            found = model.fit(rows, labels).validation_scores_
            more = {} if labels is None else {"y_val": labels[last]}
            of_first = None if labels is None else labels[first]
            model.fit(rows[first], of_first, X_val=rows[last], **more)
            assert found == model.validation_scores_

    def test_weights_count(self):
        X, y = sliding_windows(ONE, 8)
        weight = np.where(np.arange(52) >= 50, 10.0, 1.0)
        model = make(early_stopping=True, validation_fraction=0.29, max_iter=3)
        found = model.fit(X, y, sample_weight=weight).validation_scores_
        model.fit(X[:50], y[:50], X_val=X[50:], y_val=y[50:])
        np.testing.assert_allclose(found, model.validation_scores_, rtol=1e-9)

    def test_windows_out_of_order_are_told_of(self):
        X, y = sliding_windows(ONE, 8)
        order = RNG.permutation(52)
        with pytest.warns(UserWarning, match=r"not in the order of time.*Pass X_val"):
            make(early_stopping=True).fit(X[order], y[order])

    def test_other_rows_are_drawn_as_ever(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for X in (
                RNG.normal(size=(30, 8)),
                np.ones((30, 8)),
                RNG.integers(0, 2, (30, 8)).astype(float),
                np.repeat(RNG.normal(size=(10, 8)), 3, axis=0),
                np.zeros((30, 8)) + np.arange(30)[:, None],
            ):
                assert series_of(as_series(X)) is None

    def test_too_few_windows(self):
        X, y = sliding_windows(ONE[:14], 8)
        with pytest.raises(ValueError, match="validation set is too small"):
            make(early_stopping=True).fit(X, y)
