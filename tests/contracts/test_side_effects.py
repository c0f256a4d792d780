"""Contract 8: prediction changes nothing, and nothing is said unless asked."""

import logging
import os
import threading
import warnings

import numpy as np
import pytest
from sklearn.neural_network import MLPRegressor
from variants import ALL_VARIANTS, EACH_SETTING, make

X = np.random.default_rng(0).random((300, 5))  # three blocks of answers
FEW = X[:40]  # to fit
CALLS = {
    "transform": lambda e: e.transform(X),
    "inverse_transform": lambda e: e.inverse_transform(X[:, : e.n_components_]),
    "reconstruction_error": lambda e: e.reconstruction_error(X),
    "score_samples": lambda e: e.score_samples(X),
    "score": lambda e: e.score(X),
    "weighted score": lambda e: e.score(X, sample_weight=np.arange(len(X))),
    "sample": lambda e: e.sample(300, random_state=0),
    "get_feature_names_out": lambda e: e.get_feature_names_out(),
}


def snapshot(estimator):
    """Names, identities and values of all that an estimator holds."""
    values = {
        name: value.tobytes() if isinstance(value, np.ndarray) else repr(value)
        for name, value in vars(estimator).items()
    }
    module = estimator.module_
    weights = {name: value.numpy().tobytes() for name, value in module.state_dict().items()}
    modes = [(id(part), part.training, sorted(vars(part))) for part in module.modules()]
    identities = {name: id(value) for name, value in vars(estimator).items()}
    gradients = [(id(p), p.grad, p.requires_grad) for p in module.parameters()]
    return values, weights, modes, identities, gradients


def asked(params):
    # codes of inverse_transform are columns of X, of which there are five
    return make({**params, "n_components": 3}).fit(FEW)


@pytest.mark.parametrize("params", ALL_VARIANTS)
def test_calls_change_nothing(params):
    fitted = asked(params)
    before, rows = snapshot(fitted), X.tobytes()
    for name, call in CALLS.items():
        call(fitted)
        assert snapshot(fitted) == before, name
        assert X.tobytes() == rows, name


@pytest.mark.parametrize("params", EACH_SETTING)
def test_calls_from_eight_threads_at_once(params):
    """Each setting once: answers that change nothing share nothing but what one part keeps."""
    fitted = asked(params)
    expected = {name: call(fitted) for name, call in CALLS.items()}
    wrong, start = [], threading.Barrier(8)

    def work(turn):
        start.wait(30)
        names = list(CALLS)
        for name in names[turn:] + names[:turn]:
            if not np.array_equal(CALLS[name](fitted), expected[name]):
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("params", ALL_VARIANTS)
def test_nothing_is_said_or_written(params, capfd, caplog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.DEBUG):
        warnings.simplefilter("always")
        estimator = make(params).fit(FEW)
        estimator.fit(FEW, sample_weight=np.arange(len(FEW)))
        if hasattr(estimator, "partial_fit"):
            estimator.partial_fit(FEW)
        for name in ("transform", "reconstruction_error", "score"):
            getattr(estimator, name)(X)
        estimator.inverse_transform(estimator.transform(X))
        estimator.sample(3, random_state=0)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert [str(warning.message) for warning in caught] == []
    assert os.listdir() == []


@pytest.mark.parametrize("params", ALL_VARIANTS)
def test_fit_leaves_its_input_alone(params):
    rows, weight = FEW.copy(), np.arange(len(FEW), dtype=float)
    rows.flags.writeable = weight.flags.writeable = False
    make(params).fit(rows, sample_weight=weight)
    np.testing.assert_array_equal(rows, FEW)


def spoken(estimator, capfd, *data):
    estimator.fit(*data)
    return capfd.readouterr().out.splitlines()


class TestVerbose:
    def test_lines_are_those_of_mlp_regressor(self, capfd):
        options = {"hidden_layer_sizes": (4,), "max_iter": 200, "tol": 1e9, "verbose": True}
        options |= {"n_iter_no_change": 2, "random_state": 0}
        theirs = spoken(MLPRegressor(**options), capfd, X, X)
        # no loss falls by a whole multiple of itself, so that both stop at the first chance
        ours = spoken(make(**{**options, "tol": 1.0}, schedule="constant"), capfd, X)
        assert len(ours) == len(theirs)
        for line, other in zip(ours[:-1], theirs[:-1], strict=True):
            words, expected = line.split(" = "), other.split(" = ")
            assert words[0] == expected[0]
            assert len(words[1].split(".")[1]) == len(expected[1].split(".")[1])
        assert ours[-1] == theirs[-1].replace("tol=1000000000.000000", "tol=1.000000")

    def test_with_early_stopping(self, capfd):
        options = {"hidden_layer_sizes": (4,), "max_iter": 200, "verbose": True}
        options |= {"early_stopping": True, "n_iter_no_change": 2, "random_state": 0}
        theirs = spoken(MLPRegressor(tol=1e9, **options), capfd, X, X)
        estimator = make(tol=1.0, **options)
        ours = spoken(estimator, capfd, X)
        assert [line.split(" = ")[0].split(":")[0] for line in ours[:2]] == [
            line.split(" = ")[0].split(":")[0] for line in theirs[:2]
        ]
        assert ours[1] == f"Validation score: {estimator.validation_scores_[0]:f}"
        assert ours[-1] == theirs[-1].replace("tol=1000000000.000000", "tol=1.000000")

    @pytest.mark.parametrize("params", ALL_VARIANTS)
    def test_every_variant_says_its_loss_curve(self, params, capfd):
        estimator = make(params, verbose=True)
        lines = spoken(estimator, capfd, FEW)
        said = [line for line in lines if line.startswith("Iteration")]
        assert said == [
            f"Iteration {epoch}, loss = {loss:.8f}"
            for epoch, loss in enumerate(estimator.loss_curve_, start=1)
        ]

    def test_partial_fit(self, capfd):
        estimator = make(verbose=True).partial_fit(X).partial_fit(X)
        assert capfd.readouterr().out.splitlines() == [
            f"Iteration {epoch}, loss = {loss:.8f}"
            for epoch, loss in enumerate(estimator.loss_curve_, start=1)
        ]
