"""Several networks behind one estimator: its answer is the mean of theirs, to the last bit."""

import copy
import pickle
import warnings

import numpy as np
import own_cells
import pytest
import torch
from sequence_variants import SMALL, answers, assert_same, fitted_bits, flat, ragged
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor, Stream, sliding_windows
from skaernn._losses.targets import TARGET_LOSSES
from skaernn.networks import CELLS, POOLINGS

N, T, C = 30, 7, 2
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
GAUSSIAN = pytest.mark.parametrize("loss", ["squared_error", "gaussian"])


def data(dtype=np.float64, seed=0):
    X = np.random.default_rng(seed).random((N, T, C)).astype(dtype)
    return X, 0.5 + 0.5 * np.sin(9 * X[:, -1].mean(axis=1))  # no linear function


def regressor(n_members=3, **params):
    return RNNSequenceRegressor(**{**SMALL, "n_members": n_members, **params})


def classifier(n_members=3, **params):
    return RNNSequenceClassifier(**{**SMALL, "n_members": n_members, **params})


def labels(y):
    return np.array(["low", "mid", "high"])[np.digitize(y, [0.4, 0.6])]


class TestMean:
    @DTYPES
    @pytest.mark.parametrize("n_members", [2, 3, 5, 11])
    @pytest.mark.parametrize("loss", TARGET_LOSSES)
    def test_predictions(self, dtype, n_members, loss):
        X, y = data(dtype)
        y = np.stack([y, 1 - y], axis=1)
        model = regressor(n_members, loss=loss).fit(X, y)
        found = model.predict(X)
        expected = np.mean([member.predict(X) for member in model.members_], axis=0)
        assert found.dtype == expected.dtype == dtype
        assert found.tobytes() == expected.tobytes()
        assert len(model.members_) == n_members

    @DTYPES
    @pytest.mark.parametrize("n_members", [2, 3, 5, 11])
    def test_probabilities(self, dtype, n_members):
        X, y = data(dtype)
        model = classifier(n_members).fit(X, labels(y))
        found = model.predict_proba(X)
        expected = np.mean([member.predict_proba(X) for member in model.members_], axis=0)
        assert found.tobytes() == expected.tobytes()
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=4 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(model.predict_log_proba(X), np.log(found))
        np.testing.assert_array_equal(model.predict(X), model.classes_[found.argmax(axis=1)])
        assert model.score(X, labels(y)) == (model.predict(X) == labels(y)).mean()

    def test_one_row_is_what_it_is_among_others(self):
        # where numpy adds eight and more single numbers in another order
        X, y = data(np.float32)
        model = regressor(9).fit(X, y)
        for i in range(N):
            assert model.predict(X[i : i + 1]) == model.predict(X)[i]

    def test_outputs_of_steps(self):
        X = ragged(12)
        y = [x[:, 0].cumsum() for x in X]
        model = regressor(return_sequences=True).fit(X, y)
        members = [flat(member.predict(X)) for member in model.members_]
        np.testing.assert_array_equal(flat(model.predict(X)), np.mean(members, axis=0))
        whole = np.mean([member.predict(X) for member in model.members_], axis=0)
        np.testing.assert_array_equal(flat(model.predict(X)), flat(whole))

    def test_a_cell_of_ones_own(self):
        X, y = data()
        model = regressor(cell=own_cells.attention).fit(X, y)
        members = [member.predict(X) for member in model.members_]
        np.testing.assert_array_equal(model.predict(X), np.mean(members, axis=0))
        assert model.state_size_ == 0
        assert len({member.tobytes() for member in members}) == 3

    @GAUSSIAN
    def test_the_module_is_the_mean(self, loss):
        X, y = data()
        model = regressor(loss=loss, pooling="mean").fit(X, y)
        with torch.inference_mode():
            found = model.module_(torch.from_numpy(X), torch.full((N,), T)).numpy()
        said = model.predict(X, return_std=True)
        said = np.stack(said, axis=1)[:, : found.shape[1]]
        np.testing.assert_allclose(found, said, rtol=1e-10)  # another order of sums
        assert not model.module_.training
        assert model.module_.dtype == torch.float64

    def test_the_module_takes_states(self):
        X, y = data()
        model = regressor(linear_path=False).fit(X, y)
        _, state = model.predict(X[:, :4], return_state=True)
        with torch.inference_mode():
            found = model.module_(torch.from_numpy(X[:, 4:]), None, torch.from_numpy(state))
        np.testing.assert_allclose(found[:, 0], model.predict(X), rtol=1e-10)

    def test_a_change_of_a_member_is_one_of_all(self):
        X, y = data()
        model = regressor().fit(X, y)
        for copied in (model, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            before = copied.predict(X)
            with torch.no_grad():
                copied.members_[1].module_.output.bias += 3
            assert (copied.predict(X) > before).all()


class TestMembers:
    @pytest.mark.parametrize(
        "params",
        [
            {},
            {"early_stopping": True},
            {"batch_size": 7, "dropout": 0.3, "cell": "gru"},
            {"solver": "lbfgs", "cell": "rnn"},
            {"loss": "gaussian", "return_sequences": True},
        ],
        ids=str,
    )
    def test_each_is_a_fit_of_its_own(self, params):
        X, y = data()
        y = X.cumsum(axis=1)[..., 0] if "return_sequences" in params else y
        model = regressor(random_state=5, **params).fit(X, y)
        assert model.members_[0].random_state == 5
        for i, member in enumerate(model.members_):
            seed = np.random.SeedSequence([5, i]).generate_state(1)[0] if i else 5
            alone = regressor(1, **params, random_state=int(seed)).fit(X, y)
            assert_same(fitted_bits(member), fitted_bits(alone))
            assert_same(answers(member, X), answers(alone, X))
            assert member.get_params() == alone.get_params()
            assert vars(member).keys() == vars(alone).keys()
            assert member.members_ == [member]

    def test_a_few_are_the_first_of_many(self):
        X, y = data()
        few, many = regressor(2).fit(X, y), regressor(4).fit(X, y)
        for one, other in zip(few.members_, many.members_, strict=False):
            assert_same(fitted_bits(one), fitted_bits(other))

    @pytest.mark.parametrize("of", [lambda: None, lambda: np.random.RandomState(3)])
    def test_a_generator_gives_one_seed(self, of):
        X, y = data()
        before = np.random.get_state()  # noqa: NPY002
        model = regressor(random_state=of()).fit(X, y)
        np.random.set_state(before)  # noqa: NPY002
        alone = regressor(1, random_state=of()).fit(X, y)
        np.random.set_state(before)  # noqa: NPY002
        assert_same(fitted_bits(model.members_[0]), fitted_bits(alone))

    def test_one_is_the_estimator_itself(self):
        model = regressor(1)
        with pytest.raises(AttributeError, match="not fitted yet"):
            _ = model.members_
        assert not hasattr(model, "members_")
        with pytest.raises(NotFittedError):
            regressor(2).predict(data()[0])
        assert model.fit(*data()).members_ == [model]

    def test_attributes_are_means(self):
        X, y = data()
        model = regressor(early_stopping=True, schedule="constant", max_iter=40, tol=0.1,
                          n_iter_no_change=1, learning_rate=0.2,
                          linear_path=False)  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
        members = model.members_
        lengths = [member.n_iter_ for member in members]
        assert len(set(lengths)) > 1
        assert model.n_iter_ == len(model.loss_curve_) == max(lengths)
        assert model.t_ == max(member.t_ for member in members)
        for name in ("loss_curve_", "validation_scores_"):
            curves = [getattr(member, name) for member in members]
            curves = [curve + curve[-1:] * (max(lengths) - len(curve)) for curve in curves]
            # of Python's sum and numpy's, the order of three terms is the same
            np.testing.assert_allclose(getattr(model, name), np.mean(curves, axis=0), rtol=1e-15)
        assert model.loss_ == model.loss_curve_[-1]
        assert model.state_size_ == sum(member.state_size_ for member in members)
        best = np.mean([member.best_validation_score_ for member in members])
        assert model.best_validation_score_ == pytest.approx(best)
        assert model.best_loss_ is None

    def test_a_fit_after_a_fit_of_another_number(self):
        X, y = data()
        model = regressor(3).fit(X, y)
        for n_members in (1, 2, 1):
            model.set_params(n_members=n_members).fit(X, y)
            expected = regressor(n_members).fit(X, y)
            assert len(model.members_) == n_members
            assert_same(fitted_bits(model), fitted_bits(expected))
            assert vars(model).keys() == vars(expected).keys()

    def test_the_number_is_that_of_the_fit(self):
        X, y = data()
        model = regressor(2).fit(X, y)
        expected = model.predict(X)
        np.testing.assert_array_equal(model.set_params(n_members=5).predict(X), expected)
        with pytest.raises(ValueError, match="n_members changed from 2 to 5"):
            model.partial_fit(X, y)
        with pytest.raises(ValueError, match="n_members changed from 2 to 5"):
            model.set_params(warm_start=True).fit(X, y)
        np.testing.assert_array_equal(model.predict(X), expected)

    def test_names_of_channels(self):
        pd = pytest.importorskip("pandas")
        frames = [pd.DataFrame(x, columns=["a", "b"]) for x in data()[0]]
        model = regressor().fit(frames, data()[1])
        for one in (model, *model.members_):
            assert list(one.feature_names_in_) == ["a", "b"]
            assert one.n_features_in_ == 2
        model.members_[0].predict(frames)

    @pytest.mark.parametrize("incremental", [False, True])
    def test_all_go_on(self, incremental):
        X, y = data()
        how = {"batch_size": 7, "warm_start": True}
        model = regressor(**how)
        alone = [regressor(1, **how, random_state=m.random_state)
                 for m in clone(model).fit(X, y).members_]  # fmt: skip
        for one in (model, *alone):
            one.partial_fit(X, y) if incremental else one.fit(X, y)
            before = fitted_bits(one)
            one.partial_fit(X, y) if incremental else one.fit(X, y)
            assert before["n_iter_"] < one.n_iter_
        for member, one in zip(model.members_, alone, strict=True):
            assert_same(fitted_bits(member), fitted_bits(one))

    def test_going_on_leaves_what_was_there(self):
        X, y = data()
        model = regressor().partial_fit(X, y)
        members = model.members_
        before = [fitted_bits(member) for member in members]
        model.partial_fit(X, y)
        for member, bits in zip(members, before, strict=True):
            assert_same(fitted_bits(member), bits)


class TestDeviations:
    @DTYPES
    def test_of_predictions(self, dtype):
        X, y = data(dtype)
        model = regressor(5).fit(X, np.stack([y, 10 + y], axis=1))
        mean, std = model.predict(X, return_std=True)
        members = [member.predict(X) for member in model.members_]
        np.testing.assert_array_equal(mean, model.predict(X))
        assert std.dtype == dtype
        # rounding of numbers around ten, of which small differences are taken
        atol = 16 * np.finfo(dtype).eps * 10
        np.testing.assert_allclose(std, np.std(members, axis=0), rtol=1e-5, atol=atol)

    def test_of_mixtures(self):
        X, y = data()
        model = regressor(4, loss="gaussian", max_iter=10).fit(X, y)
        mean, std = model.predict(X, return_std=True)
        means, stds = np.stack([m.predict(X, return_std=True) for m in model.members_], axis=1)
        np.testing.assert_array_equal(mean, np.mean(means, axis=0))
        variance = (stds**2).mean(axis=0) + means.var(axis=0)
        np.testing.assert_allclose(std, np.sqrt(variance), rtol=1e-12)
        assert (std > stds.min(axis=0)).all()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_of_numbers_whose_squares_are_infinite(self, dtype):
        X, y = data(dtype)
        large = np.finfo(dtype).max ** 0.75
        model = regressor(2, scaling=None, max_iter=1).fit(X, y)
        with torch.no_grad():
            for i, member in enumerate(model.members_):
                member.module_.output.weight.zero_()
                member.module_.output.bias.fill_(i * large)
        mean, std = model.predict(X, return_std=True)
        np.testing.assert_allclose(mean, large / 2, rtol=1e-6)
        np.testing.assert_allclose(std, large / 2, rtol=1e-6)

    def test_one_member_has_them_of_gaussian_alone(self):
        X, y = data()
        with pytest.raises(ValueError, match=r"loss='gaussian'.*n_members of 2 or more"):
            regressor(1).fit(X, y).predict(X, return_std=True)
        mean, std = regressor(1, loss="gaussian").fit(X, y).predict(X, return_std=True)
        assert mean.shape == std.shape == (N,)

    def test_beside_states(self):
        X, y = data()
        model = regressor().fit(X, y)
        mean, std, state = model.predict(X, return_std=True, return_state=True)
        np.testing.assert_array_equal(model.predict(X, return_std=True), [mean, std])
        assert state.shape == (N, model.state_size_)


class TestStates:
    @DTYPES
    @pytest.mark.parametrize("cell", CELLS)
    @pytest.mark.parametrize("pooling", [None, *POOLINGS])
    def test_pieces_are_the_whole(self, dtype, cell, pooling):
        X, y = data(dtype)
        how = {"pooling": pooling} if pooling else {"return_sequences": True}
        y = y if pooling else X.cumsum(axis=1)[..., 0]
        model = regressor(cell=cell, **how).fit(X, y)
        whole, state = model.predict(X, return_state=True)
        first, begun = model.predict(X[:, :3], return_state=True)
        last, ended = model.predict(X[:, 3:], initial_state=begun, return_state=True)
        np.testing.assert_array_equal(ended, state)
        np.testing.assert_array_equal(last, whole if pooling else whole[:, 3:])
        if not pooling:
            np.testing.assert_array_equal(first, whole[:, :3])
        members = [m.predict(X, return_state=True)[1] for m in model.members_]
        np.testing.assert_array_equal(state, np.concatenate(members, axis=1))

    def test_of_a_fit_are_those_of_its_members(self):
        X, y = data()
        how = {"early_stopping": True, "linear_path": "pooled"}
        _, state = regressor(**how).fit(X, y).predict(X, return_state=True)
        state[:, :8] = 0  # the first begins at the beginning
        model = regressor(**how).fit(
            X, y, initial_state=state, X_val=X, y_val=y, initial_state_val=state
        )
        for i, member in enumerate(model.members_):
            part = state[:, 8 * i : 8 * i + 8]
            alone = regressor(1, **how, random_state=member.random_state).fit(
                X, y, initial_state=part, X_val=X, y_val=y, initial_state_val=part
            )
            assert_same(fitted_bits(member), fitted_bits(alone))

    def test_of_one_are_refused(self):
        X, y = data()
        model = regressor(linear_path=False).fit(X, y)
        one = model.members_[0].predict(X, return_state=True)[1]
        with pytest.raises(ValueError, match=r"shape \(30, 8\); expected \(30, 24\)"):
            model.predict(X, initial_state=one)
        with pytest.raises(ValueError, match=r"shape \(30, 8\); expected \(30, 24\)"):
            model.fit(X, y, initial_state=one)

    def test_negative_counts_are_refused(self):
        X, y = data()
        model = regressor(pooling="mean").fit(X, y)
        _, state = model.predict(X, return_state=True)
        column = model._fitted.network.count_columns[4]
        state[:, column] = -1
        with pytest.raises(ValueError, match=f"negative number of steps in column .*{column}"):
            model.predict(X, initial_state=state)

    @pytest.mark.parametrize("params", [{}, {"loss": "gaussian"}, {"pooling": "attention"}])
    def test_streams(self, params):
        X, y = data(np.float32)
        model = regressor(**params).fit(X, y)
        stream = Stream(model, N)
        for t in range(T):
            assert stream.push(X[:, t]).tobytes() == model.predict(X[:, : t + 1]).tobytes()
        _, states = model.predict(X, return_state=True)
        assert stream.states.tobytes() == states.tobytes()
        again = pickle.loads(pickle.dumps(stream))
        np.testing.assert_array_equal(again.push(X[:3, 0], [4, 1, 7]),
                                      stream.push(X[:3, 0], [4, 1, 7]))  # fmt: skip
        stream.reset([4])
        assert not stream.states[4].any()
        assert stream.states[1].any()
        stream.states = states
        assert stream.states.tobytes() == states.tobytes()

    def test_streams_of_classifiers(self):
        X, y = data(np.float32)
        model = classifier().fit(X, labels(y))
        for method in ("predict", "predict_proba"):
            stream = Stream(model, N, method=method)
            for t in range(T):
                expected = getattr(model, method)(X[:, : t + 1])
                np.testing.assert_array_equal(stream.push(X[:, t]), expected)


class TestForecasts:
    @pytest.mark.parametrize("bidirectional", [False, True])
    @GAUSSIAN
    def test_feed_the_mean_back(self, loss, bidirectional):
        series = np.sin(np.arange(80) / 5)
        X, y = sliding_windows(series, window=10)
        how = {"linear_path": "pooled", "max_iter": 20}
        model = regressor(loss=loss, bidirectional=bidirectional, **how).fit(X, y)
        found, std = model.forecast(X[-3:], 6, return_std=True)
        np.testing.assert_array_equal(found, model.forecast(X[-3:], 6))
        window = X[-3:]
        for t in range(6):
            mean, deviation = model.predict(window, return_std=True)
            # pieces are the whole to the last bit, and in two directions there are none
            np.testing.assert_array_equal(found[:, t, 0], mean)
            np.testing.assert_array_equal(std[:, t, 0], deviation)
            window = np.concatenate([window, mean[:, None, None]], axis=1)


class TestEcosystem:
    def test_search_over_their_number(self):
        X, y = data()
        search = GridSearchCV(regressor(), {"n_members": [1, 2, 3]}, cv=3)
        search.fit(X, y)
        assert len(search.best_estimator_.members_) == search.best_params_["n_members"]
        expected = regressor(**search.best_params_).fit(X, y).predict(X)
        np.testing.assert_array_equal(search.predict(X), expected)
        proba = cross_val_predict(classifier(), X, labels(y), method="predict_proba", cv=3)
        np.testing.assert_allclose(proba.sum(axis=1), 1)

    def test_a_subclass_with_another_constructor(self):
        class Committee(RNNSequenceRegressor):
            def __init__(self, hidden_size=3, max_iter=2):
                super().__init__("gru", hidden_size, max_iter=max_iter, n_members=2,
                                 random_state=0, warm_start=True)  # fmt: skip

        X, y = data()
        model = Committee().fit(X, y).fit(X, y)
        assert [member.n_iter_ for member in model.members_] == [4, 4]
        assert model.n_members == 2
        assert model.random_state == 0
        assert [type(member) for member in model.members_] == [Committee] * 2
        members = [member.predict(X) for member in model.members_]
        np.testing.assert_array_equal(model.predict(X), np.mean(members, axis=0))

    @pytest.mark.parametrize("n_members", [0, -1, 2.5, "two", None])
    def test_what_is_no_number_of_them(self, n_members):
        with pytest.raises(ValueError, match="The 'n_members' parameter of RNNSequenceRegressor"):
            regressor(n_members).fit(*data())

    def test_names_they_have_elsewhere(self):
        with pytest.raises(TypeError, match="Did you mean n_members"):
            RNNSequenceRegressor(n_estimators=5)

    def test_more_than_memory_holds(self):
        with pytest.raises(MemoryError, match="n_members asks for as many networks"):
            regressor(10**12).fit(*data())
