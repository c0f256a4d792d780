"""Ctrl-C anywhere: a model with what one step has made of it, or none; all else as it was."""

import random
import signal
import warnings

import numpy as np
import pytest
from signals import Interrupted, of_process
from sklearn.base import clone

from skaernn import (
    AutoencoderTransformer,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skaernn._core.interrupts import check_interrupts, interrupts_deferred

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 6))
Y = RNG.normal(size=12)
FEW = {"max_iter": 3, "batch_size": 6, "random_state": 0}
CASES = {
    "autoencoder": (AutoencoderTransformer(2, (4,), **FEW), "transform"),
    "early stopping": (AutoencoderTransformer(2, (4,), early_stopping=True, **FEW), "score"),
    "lbfgs": (AutoencoderTransformer(2, (4,), solver="lbfgs", max_iter=3), "transform"),
    "convolutional": (
        AutoencoderTransformer(2, (3,), architecture="convolutional", **FEW),
        "reconstruction_error",
    ),
    "variational": (VariationalAutoencoderTransformer(2, (4,), **FEW), "score_samples"),
    "regressor": (RNNSequenceRegressor(hidden_size=3, **FEW), "predict"),
    "classifier": (RNNSequenceClassifier(hidden_size=3, cell="gru", **FEW), "predict_proba"),
    "members": (RNNSequenceRegressor(hidden_size=3, n_members=3, **FEW), "predict"),
    "sequences": (SequenceAutoencoderTransformer(2, 3, **FEW), "transform"),
}
EVERY = 151  # line events; prime, so that loops are met at each of their lines
every_case = pytest.mark.parametrize("name", CASES)


@pytest.fixture(autouse=True)
def quiet():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Training interrupted by user")
        warnings.filterwarnings("ignore", "Maximum iterations")
        yield
    signal.signal(signal.SIGINT, before)


def fitted_at(name, *at):
    """The run of a fit with interrupts, and the estimator after it, checked."""
    model = clone(CASES[name][0])
    y = Y if name == "regressor" else (Y > 0).astype(int)
    before = of_process()
    run = Interrupted(lambda: model.fit(X, y), *at)
    assert of_process() == before
    if hasattr(model, "module_"):
        assert len(model.loss_curve_) == model.n_iter_
        assert len(model.validation_scores_ or []) in (0, model.n_iter_)
        assert np.isfinite(getattr(model, CASES[name][1])(X)).all()
    else:
        assert run.raised
        assert vars(model).keys() == model.get_params().keys()
    return run, model


@every_case
def test_an_interrupt_of_fit_at_any_line(name):
    n_events = fitted_at(name)[0].events
    ended = {
        (run.raised, hasattr(model, "module_"))
        for run, model in (fitted_at(name, at) for at in range(1, n_events, EVERY))
    }
    # before the first step nothing is there; later the fit ends in peace; at last it has ended
    assert ended == {(True, False), (False, True), (True, True)}


@every_case
def test_two_interrupts_of_fit_at_any_distance(name):
    n_events = fitted_at(name)[0].events
    numbers = random.Random(0)
    for _ in range(25):
        first = numbers.randrange(1, n_events)
        second = first + numbers.choice([1, 2, 5, 30, 300, 3000])
        fitted_at(name, first, second)


@every_case
def test_an_interrupt_of_a_fit_after_a_fit_at_any_line(name):
    model, method = CASES[name]
    model = type(model)(**model.get_params())
    y = Y if name == "regressor" else (Y > 0).astype(int)
    model.fit(X, y)
    n_events = Interrupted(lambda: model.fit(X, y)).events
    for at in range(1, n_events, 7 * EVERY):
        before = of_process()
        Interrupted(lambda: model.fit(X, y), at)
        assert of_process() == before
        assert len(model.loss_curve_) == model.n_iter_
        assert np.isfinite(getattr(model, method)(X)).all()


@every_case
def test_an_interrupt_of_an_answer_at_any_line(name):
    model, method = CASES[name]
    model = type(model)(**model.get_params()).fit(X, Y if name == "regressor" else Y > 0)
    expected = getattr(model, method)(X)
    attributes, before = dict(vars(model)), of_process()
    n_events = Interrupted(lambda: getattr(model, method)(X)).events
    for at in range(1, n_events, 11):
        run = Interrupted(lambda: getattr(model, method)(X), at)
        assert run.raised
        assert of_process() == before
    assert vars(model) == attributes
    np.testing.assert_array_equal(getattr(model, method)(X), expected)


def test_a_third_interrupt_does_not_wait():
    with interrupts_deferred():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_an_interrupt_waits_for_a_check_and_no_longer():
    with interrupts_deferred(), interrupts_deferred():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            check_interrupts()
        check_interrupts()


def test_a_handler_of_the_users_own_is_called_once_and_kept():
    called = []

    def handler(number, frame):
        called.append(number)

    before = signal.signal(signal.SIGINT, handler)
    try:
        with interrupts_deferred():
            signal.raise_signal(signal.SIGINT)
            assert not called
            check_interrupts()
            assert called == [signal.SIGINT]
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert called == [signal.SIGINT]


def test_a_handler_set_meanwhile_stays():
    before = signal.getsignal(signal.SIGINT)
    try:
        with interrupts_deferred():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("name", ["autoencoder", "regressor"])
def test_callbacks_are_put_away_wherever_an_interrupt_falls(name):
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has no callbacks")
    y = Y if name == "regressor" else (Y > 0).astype(int)

    def make():
        return clone(CASES[name][0]).set_callbacks(callback.ProgressBar())

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*rich.*")
        n_events = Interrupted(lambda: make().fit(X, y)).events
        for at in range(1, n_events, 5 * EVERY):
            model = make()
            Interrupted(lambda model=model: model.fit(X, y), at)
            private = {attribute for attribute in vars(model) if attribute.startswith("_")}
            assert private <= {"_skl_callbacks", "_fitted", "_form"}
