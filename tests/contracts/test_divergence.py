"""Any rate: the loss at the end is at most that of the start, and a bad rate is told of, once."""

import warnings

import numpy as np
import pytest
from pairwise import all_pairs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, mean_absolute_error, mean_poisson_deviance
from sklearn.metrics import mean_squared_error as squared_error
from sklearn.model_selection import GridSearchCV

from skaernn import (
    AutoencoderTransformer,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 8)).cumsum(axis=1)
Y = X[:, -1] / 2 + RNG.normal(size=60) / 10
Z = ((Y > 0).astype(int)) ^ (np.arange(60) % 5 == 0)  # no plane tells them apart
RATES = 10.0 ** np.arange(-8, 9, 2)
NO_RATE = 1e-30


def of_predictions(measure, y):
    return lambda model: measure(y, model.predict(X))


def of_rows(model):
    return model.reconstruction_error(X).mean()


REGRESSOR = {"hidden_size": 5, "random_state": 0}
FREE = {"cell": "gru", "max_grad_norm": None}  # nothing holds its steps back
SEQUENCES = SequenceAutoencoderTransformer(2, 5, random_state=0)
CASES = {
    "lstm": (RNNSequenceRegressor(**REGRESSOR), Y, of_predictions(squared_error, Y)),
    "gru": (RNNSequenceRegressor(**REGRESSOR, **FREE), Y, of_predictions(squared_error, Y)),
    "unscaled": (
        RNNSequenceRegressor("rnn", scaling=None, **REGRESSOR),
        Y,
        of_predictions(squared_error, Y),
    ),
    "absolute error": (
        RNNSequenceRegressor(loss="absolute_error", **REGRESSOR),
        Y,
        of_predictions(mean_absolute_error, Y),
    ),
    "poisson": (
        RNNSequenceRegressor(loss="poisson", **REGRESSOR),
        np.abs(Y),
        of_predictions(mean_poisson_deviance, np.abs(Y)),
    ),
    "classifier": (
        RNNSequenceClassifier(**REGRESSOR),
        Z,
        lambda model: log_loss(Z, model.predict_proba(X)),
    ),
    "sequence autoencoder": (SEQUENCES, None, of_rows),
    "autoencoder": (AutoencoderTransformer(2, (6,), random_state=0), None, of_rows),
    "without a path": (
        AutoencoderTransformer(2, (6,), linear_path=False, random_state=0),
        None,
        of_rows,
    ),
    "convolutional": (
        AutoencoderTransformer(2, (4,), architecture="convolutional", random_state=0),
        None,
        of_rows,
    ),
    "variational": (
        VariationalAutoencoderTransformer(2, (6,), random_state=0),
        None,
        lambda model: -model.score_samples(X).mean(),
    ),
}
SOLVERS = ["adam", "sgd"]
COURSES = {
    "one batch": {"max_iter": 12},
    "batches": {"max_iter": 12, "batch_size": 16, "schedule": "constant"},
    "one epoch": {"max_iter": 1, "batch_size": 16},
}


def fitted(model, y, **params):
    """A copy of the model, fitted, and what it warned of."""
    model = type(model)(**{**model.get_params(), **params})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    return model, [w for w in caught if "Maximum iterations" not in str(w.message)]


@pytest.mark.parametrize(
    ("name", "course", "solver"),
    [
        tuple(row.values())
        for row in all_pairs({"name": list(CASES), "course": list(COURSES), "solver": SOLVERS})
    ],
)
def test_no_rate_ends_above_the_start(name, course, solver):
    """Every two of model, course and solver; at every rate.

    What a course does when a step is bad is the same for both solvers, and each of them meets
    every model and every course.
    """
    model, y, measure = CASES[name]
    how = {**COURSES[course], "solver": solver}
    start = measure(fitted(model, y, **how, learning_rate=NO_RATE)[0])
    told = []
    for rate in RATES:
        found, caught = fitted(model, y, **how, learning_rate=rate)
        assert measure(found) <= start + 1e-6 * abs(start), rate
        assert len(caught) <= 1
        told += [rate for w in caught if issubclass(w.category, ConvergenceWarning)]
        assert all(f"learning_rate={rate:g}" in str(w.message) for w in caught)
    assert not {rate for rate in told if rate <= 1e-4}
    if how["max_iter"] > 1:  # from PCA, the first epochs are allowed to go astray
        assert 1e8 in told


@pytest.mark.parametrize("name", sorted(CASES.keys() - {"variational"}))  # which refuse it
def test_lbfgs_ends_no_higher_than_it_starts(name):
    model, y, measure = CASES[name]
    start = measure(fitted(model, y, max_iter=1, learning_rate=NO_RATE)[0])
    for max_iter in (1, 2, 5, 20):
        found, caught = fitted(model, y, solver="lbfgs", max_iter=max_iter)
        assert measure(found) <= start * (1 + 1e-6)
        assert not caught


@pytest.mark.parametrize("rate", [10.0, 1e8])
def test_a_grid_search_meets_no_garbage(rate):
    search = GridSearchCV(
        RNNSequenceRegressor(**REGRESSOR, max_iter=12), {"learning_rate": [rate]}, cv=3
    )
    with pytest.warns(ConvergenceWarning, match=r"Lower\s+the\s+learning rate"):
        search.fit(X, Y)
    assert search.best_score_ > -1  # as constants of other thirds score, not -4 or -7.5e15


def test_early_stopping_on_few_rows_says_that_the_others_are_ruined():
    model = RNNSequenceRegressor(**REGRESSOR, early_stopping=True, max_iter=6, solver="sgd")
    found, caught = fitted(model, Y, learning_rate=10.0)
    assert found.score(X, Y) > -0.01 or len(caught) == 1


@pytest.mark.parametrize("name", CASES)
def test_partial_fit_does_not_run_away(name):
    model, y, measure = CASES[name]
    arguments = (X,) if y is None else (X, y)
    more = {"classes": [0, 1]} if name == "classifier" else {}
    start = measure(fitted(model, y, max_iter=1, learning_rate=NO_RATE)[0])
    model = type(model)(**{**model.get_params(), "learning_rate": 1e3, "solver": "sgd"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(5):
            model.partial_fit(*arguments, **more)
    assert {w.category for w in caught} == {ConvergenceWarning}
    assert len(caught) <= 5
    assert measure(model) <= start + 4 * abs(start)


def test_a_good_rate_on_noise_is_nothing_to_warn_of():
    noise = RNG.normal(size=60)
    for seed in range(5):
        for max_iter in (1, 3, 30):
            model = RNNSequenceRegressor(**{**REGRESSOR, "random_state": seed}, max_iter=max_iter)
            assert not fitted(model, noise)[1]
