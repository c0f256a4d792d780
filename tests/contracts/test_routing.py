"""Metadata routing: weights and validation rows through pipelines and searches."""

from importlib.util import find_spec

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from variants import EACH_SETTING, make

from skaernn import AutoencoderTransformer, SequenceAutoencoderTransformer

generator = np.random.default_rng(0)
X, X_val = generator.random((40, 5)), generator.random((20, 5))
weight = generator.integers(0, 4, 40)
y = np.arange(40) % 2


@pytest.fixture(autouse=True)
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.parametrize("params", EACH_SETTING)
def test_weights_through_a_pipeline_and_a_search(params):
    """Each setting once: what two of them do to weights is contract 5, which is not routed."""
    requesting = make(params).set_fit_request(sample_weight=True)
    requesting.set_score_request(sample_weight=True)
    expected = make(params).fit(X, sample_weight=weight)
    found = Pipeline([("code", requesting)]).fit(X, sample_weight=weight)
    np.testing.assert_array_equal(found.transform(X), expected.transform(X))
    search = GridSearchCV(requesting, {"alpha": [expected.alpha]}, cv=2, error_score="raise")
    search.fit(X, sample_weight=weight)
    np.testing.assert_array_equal(search.transform(X), expected.transform(X))
    first, second = np.arange(20), np.arange(20, 40)
    scores = [
        make(params)
        .fit(X[train], sample_weight=weight[train])
        .score(X[test], sample_weight=weight[test])
        for test, train in ((first, second), (second, first))
    ]
    assert search.best_score_ == np.mean(scores)


def test_weights_before_a_classifier():
    code = make().set_fit_request(sample_weight=True)
    classifier = GaussianNB().set_fit_request(sample_weight=False)
    pipeline = make_pipeline(code, classifier).fit(X, y, sample_weight=weight)
    expected = make().fit(X, sample_weight=weight)
    np.testing.assert_array_equal(pipeline[0].transform(X), expected.transform(X))


def test_not_requested_is_refused_and_not_asked_for_is_ignored():
    with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
        make_pipeline(make()).fit(X, sample_weight=weight)
    ignoring = make().set_fit_request(sample_weight=False)
    classifier = GaussianNB().set_fit_request(sample_weight=True)
    found = make_pipeline(ignoring, classifier).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(found[0].transform(X), make().fit(X).transform(X))


def test_validation_rows_are_transformed_on_their_way():
    code = make(early_stopping=True).set_fit_request(X_val=True, sample_weight_val=True)
    pipeline = make_pipeline(StandardScaler(), code, transform_input=["X_val"])
    pipeline.fit(X, X_val=X_val, sample_weight_val=weight[:20])
    scaler = StandardScaler().fit(X)
    expected = make(early_stopping=True).fit(
        scaler.transform(X), X_val=scaler.transform(X_val), sample_weight_val=weight[:20]
    )
    assert pipeline[-1].validation_scores_ == expected.validation_scores_
    np.testing.assert_array_equal(pipeline.transform(X), expected.transform(scaler.transform(X)))


def test_partial_fit_requests():
    code = make().set_partial_fit_request(sample_weight=True)
    requests = code.get_metadata_routing().partial_fit.requests
    assert requests == {"sample_weight": True}


def test_cross_validation_without_metadata():
    answer = cross_validate(make(), X, cv=2, error_score="raise")
    assert np.isfinite(answer["test_score"]).all()


def test_callback_methods_exist_where_scikit_learn_has_callbacks():
    expected = find_spec("sklearn.callback") is not None
    assert hasattr(make(), "set_callbacks") == expected
    assert hasattr(make(), "_init_callback_context") == expected


@pytest.mark.parametrize("kind", [AutoencoderTransformer, SequenceAutoencoderTransformer])
def test_validation_rows_go_through_the_steps_of_a_pipeline(kind):
    """As the docstring of `fit` says: scikit-learn hands X_val on as it is, unless told to."""
    rng = np.random.default_rng(0)
    X, X_val = rng.normal(5, 9, (40, 6)), rng.normal(5, 9, (10, 6))
    model = kind(2, early_stopping=True, max_iter=4, random_state=0)
    model.set_fit_request(X_val=True)
    steps = [("scale", StandardScaler()), ("model", model)]
    scaler = StandardScaler().fit(X)
    expected = clone(model).fit(scaler.transform(X), X_val=scaler.transform(X_val))
    pipeline = Pipeline(steps, transform_input=["X_val"]).fit(X, X_val=X_val)
    assert pipeline[-1].validation_scores_ == expected.validation_scores_
    raw = clone(Pipeline(steps)).fit(X, X_val=X_val)
    assert raw[-1].validation_scores_ != expected.validation_scores_
