"""What the docstrings of the recurrent estimators say, and nothing else says already."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor, sliding_windows

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 7, 2))
LENGTHS = RNG.integers(1, 8, size=12)
LIST = [x[:n] for x, n in zip(X, LENGTHS, strict=True)]
Y = X[:, -1, 0]
PER_STEP = [x.cumsum(axis=0)[:, 0] for x in LIST]
SMALL = {"cell": "gru", "hidden_size": 3, "max_iter": 2, "tol": 0, "random_state": 0}


def regressor(**more):
    return RNNSequenceRegressor(**{**SMALL, **more})


def classifier(**more):
    return RNNSequenceClassifier(**{**SMALL, **more})


class TestAnswers:
    def test_one_a_sequence_has_the_shape_of_y(self):
        assert regressor().fit(X, Y).predict(X).shape == (12,)
        assert regressor().fit(X, X[:, -1]).predict(X).shape == (12, 2)

    def test_one_a_step_has_the_shape_of_y(self):
        model = regressor(return_sequences=True)
        assert model.fit(X, X[..., 0]).predict(X).shape == (12, 7)
        assert model.fit(X, X[..., :1]).predict(X).shape == (12, 7, 1)
        assert model.fit(X, X).predict(X[:, :4]).shape == (12, 4, 2)

    def test_lists_are_answered_by_object_arrays(self):
        answer = regressor(return_sequences=True).fit(LIST, PER_STEP).predict(LIST)
        assert answer.dtype == object
        assert [part.shape for part in answer] == [(n,) for n in LENGTHS]

    def test_padded_answers_are_zero_beyond_the_end(self):
        padded = np.zeros((12, 7))
        for row, values in zip(padded, PER_STEP, strict=True):
            row[: len(values)] = values
        model = regressor(return_sequences=True).fit(X, padded, lengths=LENGTHS)
        answer = model.predict(X, lengths=LENGTHS)
        beyond = np.arange(7) >= LENGTHS[:, None]
        assert not answer[beyond].any()
        expected = regressor(return_sequences=True).fit(LIST, PER_STEP).predict(LIST)
        np.testing.assert_array_equal(answer[~beyond], np.concatenate(expected))

    def test_a_row_of_a_matrix_is_time_major(self):
        flat = X.reshape(12, 14)
        model = regressor(n_channels=2).fit(flat, Y)
        assert model.n_features_in_ == 14
        assert regressor().fit(X, Y).n_features_in_ == 2
        np.testing.assert_array_equal(model.predict(flat), regressor().fit(X, Y).predict(X))

    def test_windows_are_read_where_they_overlap(self):
        windows, y = sliding_windows(np.sin(np.arange(50.0)), 8)
        expected = regressor().fit(windows.copy(), y)
        found = regressor().fit(windows, y)
        np.testing.assert_array_equal(found.predict(windows), expected.predict(windows.copy()))

    def test_classes_keep_their_type(self):
        names = np.where(Y > 0, "up", "down")
        model = classifier().fit(LIST, names)
        assert set(model.predict(LIST)) <= {"up", "down"}
        assert model.classes_.tolist() == ["down", "up"]
        probabilities = model.predict_proba(LIST)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        np.testing.assert_array_equal(model.predict_log_proba(LIST), np.log(probabilities))

    def test_classes_of_steps(self):
        labels = [np.where(part > 0, "up", "down") for part in PER_STEP]
        model = classifier(return_sequences=True).fit(LIST, labels)
        answer = model.predict(LIST)
        assert [part.shape for part in answer] == [(n,) for n in LENGTHS]
        assert all(part.dtype.kind == "U" for part in answer)
        assert [p.shape for p in model.predict_proba(LIST)] == [(n, 2) for n in LENGTHS]


class TestScores:
    def test_of_sequences(self):
        model = regressor().fit(X, X[:, -1])
        weight = np.arange(12.0)
        expected = r2_score(X[:, -1], model.predict(X), sample_weight=weight)
        assert model.score(X, X[:, -1], weight) == pytest.approx(expected)

    def test_of_steps_is_over_all_steps_together(self):
        model = regressor(return_sequences=True).fit(LIST, PER_STEP)
        expected = r2_score(np.concatenate(PER_STEP), np.concatenate(model.predict(LIST)))
        assert model.score(LIST, PER_STEP) == pytest.approx(expected)

    def test_accuracy_of_steps(self):
        labels = [part > 0 for part in PER_STEP]
        model = classifier(return_sequences=True).fit(LIST, labels)
        weight = np.arange(12.0)
        expected = accuracy_score(
            np.concatenate(labels),
            np.concatenate(model.predict(LIST)).astype(bool),
            sample_weight=np.repeat(weight, LENGTHS),
        )
        assert model.score(LIST, labels, weight) == pytest.approx(expected)

    def test_lists_can_be_searched(self):
        search = GridSearchCV(regressor(), {"cell": ["rnn", "gru"]}, cv=3).fit(LIST, Y)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()


class TestForecast:
    @pytest.mark.parametrize("cell", ["rnn", "lstm"])
    def test_predictions_are_the_next_inputs(self, cell):
        model = regressor(cell=cell, max_iter=20, linear_path=False).fit(X[:, :-1], X[:, -1])
        expected, history = [], X
        for _ in range(4):
            expected.append(model.predict(history))
            history = np.concatenate([history, expected[-1][:, None]], axis=1)
        found = model.forecast(X, 4, horizon=1)
        assert found.shape == (12, 4, 2)
        np.testing.assert_array_equal(found, np.stack(expected, axis=1))

    def test_several_steps_at_once(self):
        model = regressor(linear_path=False).fit(X[:, :4], X[:, 4:].reshape(12, 6))
        found = model.forecast(X, 5, horizon=3)
        first = model.predict(X).reshape(12, 3, 2)
        longer = np.concatenate([X, first], axis=1)
        np.testing.assert_array_equal(found[:, :3], first)
        np.testing.assert_array_equal(found[:, 3:], model.predict(longer).reshape(12, 3, 2)[:, :2])

    def test_with_one_output_a_step(self):
        model = regressor(return_sequences=True).fit(X[:, :-1], X[:, 1:])
        first = model.predict(X)[:, -1]
        second = model.predict(np.concatenate([X, first[:, None]], axis=1))[:, -1]
        np.testing.assert_array_equal(model.forecast(X, 2), np.stack([first, second], axis=1))

    def test_both_directions_read_everything_again(self):
        model = regressor(bidirectional=True, linear_path=False).fit(X[:, :-1], X[:, -1])
        first = model.predict(X)
        second = model.predict(np.concatenate([X, first[:, None]], axis=1))
        np.testing.assert_array_equal(
            model.forecast(X, 2, horizon=1), np.stack([first, second], axis=1)
        )

    def test_lists_and_states(self):
        model = regressor(linear_path=False).fit(LIST, [x[-1] for x in LIST])
        alone = [model.forecast([x], 3, horizon=1)[0] for x in LIST]
        np.testing.assert_array_equal(model.forecast(LIST, 3, horizon=1), alone)
        _, state = model.predict(X[:, :3], return_state=True)
        found = model.forecast(X[:, 3:], 3, initial_state=state, horizon=1)
        np.testing.assert_array_equal(found, model.forecast(X, 3, horizon=1))

    def test_targets_that_are_no_inputs(self):
        with pytest.raises(ValueError, match="targets that are the next values of all"):
            regressor().fit(X, Y).forecast(X, 2)

    @pytest.mark.parametrize("n_steps", [0, 1.5, True, "3"])
    def test_no_number_of_steps(self, n_steps):
        with pytest.raises(ValueError, match="n_steps must be a positive int"):
            regressor().fit(X, X[:, -1]).forecast(X, n_steps)


class TestState:
    def test_zeros_are_a_beginning(self):
        for pooling in ("last", "mean", "max", "attention"):
            model = regressor(pooling=pooling).fit(X, Y)
            zeros = np.zeros((12, model.state_size_))
            np.testing.assert_array_equal(model.predict(X, initial_state=zeros), model.predict(X))

    def test_a_state_given_to_fit_is_learnt_from(self):
        """The answer is in the state alone."""
        nothing, size = np.zeros((200, 2, 1)), 4
        state = np.random.default_rng(0).uniform(-1, 1, size=(200, size))
        model = RNNSequenceRegressor("rnn", size, max_iter=100, weight_decay=0, random_state=0)
        model.fit(nothing, state[:, 0], initial_state=state)
        assert model.score(nothing, state[:, 0], initial_state=state) > 0.95

    def test_the_classic_program(self):
        data = np.random.default_rng(0).random((100, 10, 10))
        model = RNNSequenceRegressor(
            "lstm", 10, return_sequences=True, batch_size=32, max_iter=100, random_state=0
        ).fit(data, data, initial_state=np.zeros((100, 20)))
        answer, state = model.predict(data, return_state=True)
        assert answer.shape == data.shape
        assert state.shape == (100, 20)
        assert model.score(data, data) > 0.99  # x_t is read by the output


class TestPadding:
    """A trap: scikit-learn passes lengths to fit, and scores without."""

    padded = np.where(np.arange(7)[:, None] < LENGTHS[:, None, None], X, 0.0)

    def test_scoring_on_padding_is_said(self):
        model = regressor().fit(self.padded, Y, lengths=LENGTHS)
        with pytest.warns(UserWarning, match="fitted with lengths and is used without"):
            model.predict(self.padded)
        with pytest.warns(UserWarning, match="fitted with lengths and is used without"):
            cross_val_score(regressor(), self.padded, Y, cv=2, params={"lengths": LENGTHS})

    def test_nothing_is_said_of_what_is_right(self):
        model = regressor().fit(self.padded, Y, lengths=LENGTHS)
        marked = np.where(np.arange(7)[:, None] < LENGTHS[:, None, None], X, np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            expected = model.predict(self.padded, lengths=LENGTHS)
            np.testing.assert_array_equal(model.predict(marked), expected)
            np.testing.assert_array_equal(model.predict(LIST), expected)
            model.predict(X)
            assert len(cross_val_score(regressor(), marked, Y, cv=2)) == 2


class TestLosses:
    def test_deviations_are_in_the_units_of_y(self):
        model = regressor(loss="gaussian").fit(X, Y)
        scaled = regressor(loss="gaussian").fit(X, 100 * Y + 7)
        mean, deviation = model.predict(X, return_std=True)
        other_mean, other_deviation = scaled.predict(X, return_std=True)
        np.testing.assert_allclose(other_mean, 100 * mean + 7)
        np.testing.assert_allclose(other_deviation, 100 * deviation)
        assert (deviation > 0).all()

    def test_only_gaussians_have_deviations(self):
        with pytest.raises(ValueError, match="return_std=True needs a fit with loss='gaussian'"):
            regressor().fit(X, Y).predict(X, return_std=True)

    def test_counts_are_predicted_positive(self):
        counts = np.random.default_rng(0).poisson(2, 12)
        assert (regressor(loss="poisson").fit(X, counts).predict(X) > 0).all()

    def test_probabilities_of_many_outputs_a_step(self):
        keys = (X > 0.5).astype(float)
        model = regressor(loss="binary_cross_entropy", return_sequences=True).fit(X, keys)
        answer = model.predict(X)
        assert ((answer > 0) & (answer < 1)).all()

    @pytest.mark.parametrize("name", ["relu", "logistic", "tanh", "softplus", "gelu", "elu"])
    def test_output_activations_learn(self, name):
        target = np.abs(np.tanh(X[:, -1, 0]))
        model = regressor(output_activation=name, max_iter=100).fit(X, target)
        assert model.score(X, target) > 0.5

    @pytest.mark.parametrize("loss", ["poisson", "gaussian", "binary_cross_entropy"])
    def test_losses_with_an_activation_of_their_own(self, loss):
        with pytest.raises(ValueError, match="output activation of its own"):
            regressor(loss=loss, output_activation="tanh").fit(X, np.abs(np.tanh(Y)))

    def test_pooling_of_what_is_not_pooled(self):
        with pytest.raises(ValueError, match="Leave pooling at 'last'"):
            regressor(return_sequences=True, pooling="mean").fit(X, X)


def test_the_module_is_in_the_units_of_the_user():
    for model in (regressor(), regressor(bidirectional=True, n_layers=2, pooling="attention")):
        model.fit(X, 50 + 10 * Y)
        with torch.inference_mode():
            answer = model.module_(torch.from_numpy(X), torch.from_numpy(LENGTHS))
        # 1e-12: the same sums in another order
        np.testing.assert_allclose(answer[:, 0], model.predict(LIST), rtol=1e-12)
