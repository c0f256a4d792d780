"""The bag of words beside a network of tokens: where it starts, against scikit-learn."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor
from skaernn._losses.targets import TARGET_LOSSES, CrossEntropy
from skaernn._rows.selection import Selection
from skaernn._rows.sequences import SequenceRows
from skaernn._training.bag import _Bags, _Problem
from skaernn.networks import POOLINGS

N = 30


def texts(n=200, seed=0, longest=12):
    rng = np.random.default_rng(seed)
    return [rng.integers(1, N, rng.integers(1, longest)) for _ in range(n)]


X = texts()
EFFECT = np.random.default_rng(1).normal(size=N)
SCORE = np.array([EFFECT[x].mean() for x in X])
NOISE = 0.2 * np.random.default_rng(2).normal(size=len(X))
Y = SCORE + NOISE
LABELS = np.digitize(Y, [-0.2, 0.3])


def means(X, n_tokens=N):
    """Shares of the tokens (n, n_tokens)."""
    return np.array([np.bincount(x, minlength=n_tokens) / len(x) for x in X])


def problem(loss, targets, weight=None):
    steps = torch.from_numpy(np.concatenate(X))[:, None]
    lengths = torch.tensor([len(x) for x in X])
    starts = lengths.cumsum(0) - lengths
    index = np.arange(len(X))
    weight = np.ones(len(X)) if weight is None else weight
    rows = SequenceRows.of(
        steps,
        starts,
        lengths,
        torch.from_numpy(targets)[:, None],
        torch.from_numpy(index),
        Selection(index, weight, None),
        torch.float64,
        per_step=False,
    )
    return _Problem(loss, rows, _Bags.of(rows, N, torch.float64))


WEIGHTS = [None, np.random.default_rng(3).integers(1, 4, len(X)).astype(float)]


@pytest.mark.parametrize("weight", WEIGHTS, ids=["alike", "weighted"])
@pytest.mark.parametrize("strength", [1e-1, 1e-2, 1e-4])
def test_minimum_is_that_of_ridge_regression(strength, weight):
    found = problem(TARGET_LOSSES["squared_error"], Y, weight).minimum(
        torch.zeros(N + 1, 1, dtype=torch.float64), strength
    )
    total = len(X) if weight is None else weight.sum()
    expected = Ridge(alpha=strength * total).fit(means(X), Y, sample_weight=weight)
    # the search ends where a step gains less than 1e-10 of the loss, whose root is 1e-5
    np.testing.assert_allclose(found[:-1, 0], expected.coef_, atol=3e-4)
    np.testing.assert_allclose(found[-1, 0], expected.intercept_, atol=3e-4)


@pytest.mark.parametrize("weight", WEIGHTS, ids=["alike", "weighted"])
@pytest.mark.parametrize("strength", [1e-1, 1e-2, 1e-3])
def test_minimum_is_that_of_logistic_regression(strength, weight):
    loss = CrossEntropy(priors=(1 / 3, 1 / 3, 1 / 3))
    start = torch.zeros(N + 1, 3, dtype=torch.float64)
    found = problem(loss, LABELS, weight).minimum(start, strength).numpy()
    total = len(X) if weight is None else weight.sum()
    other = LogisticRegression(C=1 / (strength * total), max_iter=10_000, tol=1e-10)
    expected = other.fit(means(X), LABELS, sample_weight=weight).predict_proba(means(X))
    output = np.exp(means(X) @ found[:-1] + found[-1])
    # as above
    np.testing.assert_allclose(output / output.sum(1, keepdims=True), expected, atol=3e-4)


def still(cls, **more):
    """A model that does not leave its start."""
    how = {"embedding_size": 3, "max_iter": 1, "learning_rate": 1e-30, "dtype": "float64"}
    return cls(**{**how, "hidden_size": 4, "tol": 0, "random_state": 0, **more})


@pytest.mark.parametrize("pooling", POOLINGS)
def test_training_begins_at_a_bag_of_words(pooling):
    model = still(RNNSequenceClassifier, pooling=pooling).fit(X, LABELS)
    assert model.linear_path_ == "pooled"
    bag = model.module_.bag.weight.detach().numpy()
    output = np.exp(means(X) @ bag + model.module_.network.output.bias.detach().numpy())
    expected = output / output.sum(1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-12)
    assert not model.module_.network.output.weight.any()


def test_strength_is_a_good_one():
    """Nearly as good on new texts as the best of many strengths, which those texts choose."""
    new = texts(2000, seed=5)
    score = np.array([EFFECT[x].mean() for x in new])
    y = score + 0.2 * np.random.default_rng(6).normal(size=len(new))
    model = still(RNNSequenceRegressor).fit(X, Y)
    found = np.mean((model.predict(new) - y) ** 2)
    best = min(
        np.mean((Ridge(alpha=a).fit(means(X), Y).predict(means(new)) - y) ** 2)
        for a in 10.0 ** np.arange(-4, 3, 0.5)
    )
    assert found < 1.1 * best
    classifier = still(RNNSequenceClassifier).fit(X, LABELS)
    labels = np.digitize(y, [-0.2, 0.3])
    found = log_loss(labels, classifier.predict_proba(new))
    best = min(
        log_loss(labels, LogisticRegression(C=c, max_iter=5000).fit(means(X), LABELS)
                 .predict_proba(means(new)))
        for c in 10.0 ** np.arange(-2, 4, 0.5)
    )  # fmt: skip
    assert found < 1.1 * best


def test_noise_is_not_learnt_by_heart():
    rng = np.random.default_rng(0)
    model = still(RNNSequenceRegressor).fit(X, rng.normal(size=len(X)))
    assert model.predict(texts(seed=9)).std() < 0.3


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([*POOLINGS, None]), st.booleans())
def test_training_does_not_end_above_its_start(seed, pooling, classes):
    rng = np.random.default_rng(seed)
    some = [rng.integers(0, 8, rng.integers(1, 6)) for _ in range(rng.integers(4, 40))]
    per_step = pooling is None
    y = [rng.integers(0, 3, len(x)) for x in some] if per_step else rng.integers(0, 3, len(some))
    if not per_step:
        y[:2] = 0, 1
    else:
        y[0][:] = 0
        y[1][:] = 1
    cls = RNNSequenceClassifier if classes else RNNSequenceRegressor
    how = {"pooling": pooling or "last", "return_sequences": per_step}
    begin = still(cls, **how).fit(some, y)
    model = still(cls, max_iter=5, learning_rate=float(rng.choice([0.01, 1])), **how)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a rate that is too high: the start is kept
        model.fit(some, y)

    def loss(model):
        if classes:
            p = np.concatenate([*model.predict_proba(some)]) if per_step else None
            p = model.predict_proba(some) if p is None else p
            at = np.searchsorted(model.classes_, np.concatenate(y) if per_step else y)
            return -np.log(p[np.arange(len(at)), at]).mean()
        error = (
            np.concatenate(model.predict(some) - np.array([*y, None], object)[:-1])
            if (per_step)
            else model.predict(some) - y
        )
        return np.square(error).mean()

    # 1e-9: roundings of sums in another order
    assert loss(model) <= loss(begin) * (1 + 1e-9) + 1e-9


def test_steps_of_their_own():
    """At every step the row of its token alone."""
    y = [EFFECT[x] for x in X]
    model = still(RNNSequenceRegressor, return_sequences=True).fit(X, y)
    found = np.concatenate(list(model.predict(X)))
    np.testing.assert_allclose(found, np.concatenate(y), atol=0.05)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("absolute_error", Y),
        ("quantile", Y),
        ("gaussian", Y),
        ("poisson", np.exp(2 * SCORE + 1).round()),
        ("huber", Y),
    ],
)
def test_other_losses_start_better_than_the_best_constant(loss, y):
    model = still(RNNSequenceRegressor, loss=loss).fit(X, y)
    none = still(RNNSequenceRegressor, loss=loss, linear_path=False).fit(X, y)
    assert model.loss_ < none.loss_ - 0.01


def test_large_vocabularies_take_time_by_the_tokens_of_the_data():
    """A dense matrix of these would be 32 GB."""
    rng = np.random.default_rng(0)
    many = [rng.integers(0, 200_000, 30) for _ in range(20_000)]
    y = np.array([(x < 20_000).mean() for x in many])
    begin = time.perf_counter()
    model = RNNSequenceRegressor("rnn", 1, embedding_size=1, max_iter=1, random_state=0)
    model.fit(many, y)
    assert time.perf_counter() - begin < 60
    assert model.linear_path_ == "pooled"
