"""Weight decay: what it takes of which weights, and how strong it is by itself."""

import numpy as np
import pytest
import torch

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor
from skaernn._losses.targets import TARGET_LOSSES
from skaernn._training.decay import NoiseDecay

N, T = 40, 6
STILL = {"hidden_size": 3, "random_state": 0, "tol": 0}


def problem(noise=1.0, n=N, seed=0):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(n, T, 1))
    y = np.tanh(X[:, 0, 0] + X[:, 3, 0]) + noise * generator.normal(size=n)
    return X, y


def weights(model):
    return {name: w.clone() for name, w in model.module_.named_parameters()}


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("path", ["window", "pooled", False])
def test_weights_lose_their_share_and_nothing_else_does(path, solver):
    """Three steps, whose rate is too small to be seen, and each takes half."""
    X, y = problem()
    how = {**STILL, "linear_path": path, "solver": solver, "schedule": "constant"}
    whole, lost = (
        weights(
            RNNSequenceRegressor(max_iter=3, learning_rate=1e-9, weight_decay=d, **how).fit(X, y)
        )
        for d in (0, 0.5e9)
    )
    for name in whole:
        rest = whole[name].clone()
        if "weight" in name and "output" not in name:
            rest *= 0.125
        if name == "output.weight":
            rest[:, :3] *= 0.125  # of the window's map there is nothing yet
        torch.testing.assert_close(lost[name], rest, rtol=1e-6, atol=1e-7, msg=name)


class Gru(torch.nn.Module):
    def __init__(self, n_inputs, hidden_size):
        super().__init__()
        self.gru = torch.nn.GRU(n_inputs, hidden_size, batch_first=True)

    def forward(self, x, lengths):
        return self.gru(x)[0]


@pytest.mark.parametrize("cell", ["lstm", Gru])
def test_a_map_of_windows_is_drawn_to_where_it_starts(cell):
    """Each step takes all that there is."""
    X, y = problem(noise=0.1, n=300)
    how = {**STILL, "cell": cell, "max_iter": 5, "schedule": "constant", "learning_rate": 1e-3}
    kept, none = (
        RNNSequenceRegressor(weight_decay=d, **how).fit(X, y).module_.output.weight
        for d in (0, 1000)
    )
    assert kept.shape[1] == 3 + 1 + T  # states, the last step, directions
    assert kept.abs().min() > 0
    assert none[:, 4:].abs().max() == 0


def perfect(loss, y):
    """The least mean loss that any outputs have."""
    if loss == "poisson":
        return np.mean(y - y * np.log(y))
    if loss == "binary_cross_entropy":
        return -np.mean(y * np.log(y) + (1 - y) * np.log(1 - y))
    return 0.0


def decays(monkeypatch):
    """Of fits to come."""
    seen = []
    original = NoiseDecay.on.__func__
    monkeypatch.setattr(
        NoiseDecay, "on", classmethod(lambda cls, o: seen.append(original(cls, o)) or seen[-1])
    )
    return seen


@pytest.mark.parametrize("loss", TARGET_LOSSES)
def test_the_decay_is_as_strong_as_what_is_left_of_the_beginning(loss, monkeypatch):
    n = 3000
    X, _ = problem(n=n)
    y = np.random.default_rng(0).uniform(0.1, 0.9, n)
    seen = decays(monkeypatch)
    RNNSequenceRegressor(loss=loss, max_iter=1, scaling=None, **STILL).fit(X, y)
    [decay] = seen
    least = perfect(loss, y)
    if loss == "gaussian":  # there is no end to its likelihood: half the deviation is a quarter
        first, half, quarter = 1.0, 1.0 - 0.5 * np.log(2), 1.0 - np.log(2)
    else:
        first, half, quarter = (least + 0.3 * share for share in (1, 0.5, 0.25))
    assert decay.n_losses == n
    assert decay([first] * 19) == 0  # the network is to try first
    assert decay([first] * 20) == pytest.approx(1)
    assert decay([first] * 19 + [half]) == pytest.approx(0.5)
    assert decay([first] * 30 + [quarter]) == pytest.approx(0.25)
    if loss != "gaussian":
        assert decay([first] * 20 + [least]) == pytest.approx(0, abs=1e-6)


def test_few_sequences_leave_a_network_of_values_some_and_of_classes_none(monkeypatch):
    seen = decays(monkeypatch)
    X, y = problem()
    RNNSequenceRegressor(max_iter=1, **STILL).fit(X, y)
    RNNSequenceClassifier(max_iter=1, **STILL).fit(X, y > 0)
    values, classes = seen
    assert values([1.0] * 20) == 2
    assert values([1.0] * 20 + [0.008]) == pytest.approx(0.6)
    assert classes([1.0] * 9) == 0
    assert classes([1.0] * 10) == pytest.approx(12.5)
    assert classes([1.0] * 20 + [0.008]) == pytest.approx(0.1)


def test_a_sequence_of_weight_two_is_two_losses(monkeypatch):
    seen = decays(monkeypatch)
    X, y = problem()
    model = RNNSequenceRegressor(max_iter=1, **STILL)
    model.fit(X, y, sample_weight=np.full(N, 2.0))
    model.fit(np.r_[X, X], np.r_[y, y])
    model.set_params(return_sequences=True).fit(X, X[..., 0])
    model.set_params(return_sequences=False, linear_path=False).fit(X, y)  # none
    RNNSequenceClassifier(max_iter=1, **STILL).fit(X, y > 0, sample_weight=np.full(N, 0.5))
    assert [decay.n_losses for decay in seen] == [2 * N, 2 * N, N * T**0.5, N / 2]


def test_noise_is_not_learnt_by_heart():
    X, y = problem(n=1300)
    score = {
        decay: RNNSequenceRegressor(weight_decay=decay, random_state=0, max_iter=100)
        .fit(X[:300], y[:300])
        .score(X[300:], y[300:])
        for decay in ("auto", 0)
    }
    linear = RNNSequenceRegressor(weight_decay=0, max_iter=1, learning_rate=1e-300, random_state=0)
    linear = linear.fit(X[:300], y[:300]).score(X[300:], y[300:])
    assert score[0] < linear  # all that is to be lost
    assert linear - score["auto"] < 0.5 * (linear - score[0])


def test_what_has_no_noise_is_learnt():
    X, y = problem(noise=0, n=1200)
    score = RNNSequenceRegressor(random_state=0).fit(X[:400], y[:400]).score(X[400:], y[400:])
    assert score > 0.95


def test_line_searches_have_none():
    """They go on from the gradients where they have been."""
    X, y = problem()
    one, two = (
        weights(
            RNNSequenceRegressor(solver="lbfgs", max_iter=5, weight_decay=d, **STILL).fit(X, y)
        )
        for d in (0, 5.0)
    )
    assert all(torch.equal(one[name], two[name]) for name in one)
