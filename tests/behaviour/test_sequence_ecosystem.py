"""Recurrent estimators within scikit-learn: routing, searches, pipelines, ensembles."""

import numpy as np
import pytest
import sklearn
from sequence_variants import Variant, answers, assert_same, flat, padded, parametrized
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor
from sklearn.inspection import permutation_importance
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

BOTH = [Variant(), Variant(True)]
STEPWISE = [Variant(False, {"return_sequences": True}), Variant(True, {"return_sequences": True})]
CV = KFold(2)
FOLDS = (np.arange(12, 24), np.arange(12)), (np.arange(12), np.arange(12, 24))
weight = np.random.default_rng(0).integers(1, 4, 24)


def objects(parts):
    array = np.empty(len(parts), dtype=object)
    array[:] = parts
    return array


def data_in(form, variant):
    X, y = variant.data()
    y = objects(y) if variant.per_step else y
    if form == "list":
        return X, y
    if form == "objects":
        return objects(X), y
    return padded(X, np.nan)[0], y


def by_hand(variant, X, y, **more):
    """Models of the folds, on lists."""
    return [
        (variant.make(**more).fit([X[i] for i in train], y[train]), test) for train, test in FOLDS
    ]


forms = pytest.mark.parametrize("form", ["list", "objects", "NaN"])


class TestCrossValidation:
    @forms
    @parametrized(BOTH)
    def test_predictions(self, variant, form):
        ragged, y = variant.data()
        X, _ = data_in(form, variant)
        methods = ["predict", "predict_proba"] if variant.classifier else ["predict"]
        for method in methods:
            found = cross_val_predict(variant.make(), X, y, cv=CV, method=method)
            for model, test in by_hand(variant, ragged, y):
                expected = getattr(model, method)([ragged[i] for i in test])
                np.testing.assert_array_equal(found[test], expected)

    @pytest.mark.parametrize("form", ["list", "objects"])
    @parametrized(STEPWISE)
    def test_predictions_of_steps(self, variant, form):
        ragged, _ = variant.data()
        X, y = data_in(form, variant)
        found = cross_val_predict(variant.make(), X, y, cv=CV)
        for model, test in by_hand(variant, ragged, y):
            expected = flat(model.predict([ragged[i] for i in test]))
            np.testing.assert_array_equal(flat(found[test]), expected)

    @forms
    @parametrized(BOTH)
    def test_scores(self, variant, form):
        ragged, y = variant.data()
        X, _ = data_in(form, variant)
        found = cross_validate(variant.make(), X, y, cv=CV, error_score="raise")["test_score"]
        expected = [
            model.score([ragged[i] for i in test], y[test])
            for model, test in by_hand(variant, ragged, y)
        ]
        np.testing.assert_array_equal(found, expected)
        name = "accuracy" if variant.classifier else "r2"
        named = cross_val_score(variant.make(), X, y, cv=CV, scoring=name, error_score="raise")
        np.testing.assert_allclose(named, expected, rtol=1e-12)

    @forms
    @parametrized(BOTH)
    def test_grid_search(self, variant, form):
        X, y = data_in(form, variant)
        grid = {"cell": ["rnn", "gru"], "hidden_size": [2, 3]}
        search = GridSearchCV(variant.make(), grid, cv=CV, error_score="raise").fit(X, y)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        best = variant.make(**search.best_params_).fit(X, y)
        assert_same(answers(search.best_estimator_, X), answers(best, X))

    @parametrized(BOTH)
    def test_padding_that_a_search_scores_on_is_warned_of(self, variant):
        """With metadata routing off, lengths reach fit and nothing else."""
        X, y = variant.data()
        array, lengths = padded(X, 0.0)
        with pytest.warns(UserWarning, match="was fitted with lengths and is used without"):
            cross_val_score(variant.make(), array, y, cv=CV, params={"lengths": lengths})


class TestRouting:
    @pytest.fixture(autouse=True)
    def routing(self):
        with sklearn.config_context(enable_metadata_routing=True):
            yield

    def requesting(self, variant, *names):
        requests = dict.fromkeys(names, True)
        return variant.make().set_fit_request(**requests).set_score_request(**requests)

    @parametrized(BOTH)
    def test_through_a_pipeline_and_a_search(self, variant):
        X, y = variant.data()
        array, lengths = padded(X, 7.0)
        state = np.random.default_rng(0).random((24, 8))
        how = {"sample_weight": weight, "lengths": lengths, "initial_state": state}
        estimator = self.requesting(variant, *how)
        expected = variant.make().fit(X, y, sample_weight=weight, initial_state=state)
        pipeline = Pipeline([("model", estimator)]).fit(array, y, **how)
        assert_same(answers(pipeline[-1], X), answers(expected, X))
        search = GridSearchCV(estimator, {"alpha": [0.0]}, cv=CV, error_score="raise")
        search.fit(array, y, **how)
        assert_same(answers(search.best_estimator_, X), answers(expected, X))
        scores = []
        for train, test in FOLDS:
            rows = [X[i] for i in train]
            one = variant.make().fit(rows, y[train], weight[train], initial_state=state[train])
            rest = [X[i] for i in test]
            scores.append(one.score(rest, y[test], weight[test], initial_state=state[test]))
        assert search.best_score_ == pytest.approx(np.mean(scores), rel=1e-12)

    @parametrized(BOTH)
    def test_not_requested_is_refused(self, variant):
        X, y = variant.data()
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
            Pipeline([("model", variant.make())]).fit(X, y, sample_weight=weight)

    def test_all_that_can_be_requested(self):
        for variant in BOTH:
            routes = variant.make().get_metadata_routing()
            row = {"sample_weight", "lengths", "initial_state"}
            held_out = {f"{name}_val" for name in ("X", "y", *row)}
            assert routes.fit.requests.keys() == row | held_out
            assert routes.score.requests.keys() == row
            more = {"classes"} if variant.classifier else set()
            assert routes.partial_fit.requests.keys() == row | more
            assert {"lengths", "initial_state"} <= routes.predict.requests.keys()


class TestRowsOfNumbers:
    """What takes two-dimensional X only."""

    X = np.random.default_rng(0).normal(size=(60, 6))
    y = X[:, -1] + 0.1 * X[:, 0]

    def test_pipeline(self):
        for variant in BOTH:
            y = variant.targets(self.X)
            found = make_pipeline(StandardScaler(), variant.make(n_channels=2)).fit(self.X, y)
            scaled = StandardScaler().fit_transform(self.X)
            expected = variant.make(n_channels=2).fit(scaled, y).predict(scaled)
            np.testing.assert_array_equal(found.predict(self.X), expected)

    def test_bagging(self):
        bag = BaggingRegressor(Variant().make(n_channels=2), n_estimators=3, random_state=0)
        bag.fit(self.X, self.y, sample_weight=np.arange(1.0, 61))
        mean = np.mean([model.predict(self.X) for model in bag.estimators_], axis=0)
        np.testing.assert_allclose(bag.predict(self.X), mean)

    def test_permutation_importance(self):
        model = Variant().make(max_iter=60, learning_rate=0.05).fit(self.X, self.y)
        found = permutation_importance(model, self.X, self.y, n_repeats=3, random_state=0)
        assert found.importances_mean.argmax() == 5

    @forms
    def test_transformed_target(self, form):
        X, y = data_in(form, Variant())
        model = TransformedTargetRegressor(Variant().make(), func=np.log1p, inverse_func=np.expm1)
        expected = np.expm1(Variant().make().fit(X, np.log1p(y)).predict(X))
        np.testing.assert_array_equal(model.fit(X, y).predict(X), expected)
