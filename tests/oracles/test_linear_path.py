"""The linear path beside recurrent networks: its start, what it reads, what it promises."""

import warnings

import numpy as np
import pytest
import torch
from sequence_variants import ragged
from sklearn.linear_model import LogisticRegression, PoissonRegressor, RidgeCV

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor, sliding_windows
from skaernn._training import linear
from skaernn.networks import (
    POOLINGS,
    SMALLEST_DEVIATION,
    Bound,
    Packing,
    RecurrentNetwork,
    RecurrentPasses,
)

N, T, C = 60, 7, 2
# training that leaves the start where it is
STILL = {"hidden_size": 2, "max_iter": 1, "learning_rate": 1e-300, "random_state": 0}
STRENGTHS = linear._STRENGTHS.numpy()


def problem(n=N, n_outputs=1, noise=0.5, seed=0, dtype=np.float64):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(n, T, C)).cumsum(1) * [1.0, 5.0] + 3
    weights = generator.normal(size=(T * C, n_outputs))
    y = (X / X.std((0, 1))).reshape(n, -1) @ weights + noise * generator.normal(
        size=(n, n_outputs)
    )
    return X.astype(dtype), (y[:, 0] if n_outputs == 1 else y).astype(dtype)


def standardised(X):
    """Columns of windows, and what the path does to them first."""
    flat = X.reshape(len(X), -1)
    return (flat - flat.mean(0)) / flat.std(0)


def ridge(Z, y):
    """scikit-learn's, over the same strengths, by its own way of leaving out each row.

    But for strengths below 1e-12: with fewer rows than columns its errors there are rounding in
    1.6, and may seem the least.
    """
    strengths = np.linalg.svd(Z - Z.mean(0))[1][0] ** 2 * STRENGTHS[STRENGTHS > 0.9e-12]
    scaled = (y - y.mean(0)) / y.std(0)
    model = RidgeCV(alphas=strengths, gcv_mode="svd").fit(Z, scaled)
    return model.predict(Z) * y.std(0) + y.mean(0), model


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("n", [N, 11], ids=["rows", "columns"])
def test_a_window_starts_at_ridge_regression_by_leave_one_out(n, n_outputs):
    X, y = problem(n, n_outputs)
    model = RNNSequenceRegressor(**STILL).fit(X, y)
    assert model.linear_path_ == "window"
    expected, _ = ridge(standardised(X), y)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-7, atol=1e-7)


def test_lengths_are_filled_up_with_means():
    X, y = problem()
    lengths = np.random.default_rng(1).integers(3, T + 1, N)
    lengths[0] = T
    valid = np.arange(T) < lengths[:, None]
    mean, deviation = X[valid].mean(0), X[valid].std(0)
    padded = np.where(valid[..., None], (X - mean) / deviation, 0).reshape(N, -1)
    model = RNNSequenceRegressor(**STILL).fit(X, y, lengths=lengths)
    expected, _ = ridge(padded, y)
    np.testing.assert_allclose(model.predict(X, lengths=lengths), expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_a_pooled_path_starts_at_ridge_regression_on_what_is_pooled(pooling):
    X, y = problem()
    model = RNNSequenceRegressor(pooling=pooling, linear_path="pooled", **STILL).fit(X, y)
    assert model.linear_path_ == "pooled"
    scaled = (X - X.mean((0, 1))) / X.std((0, 1))
    pooled = {"last": scaled[:, -1], "mean": scaled.mean(1), "max": scaled.max(1)}[pooling]
    expected, _ = ridge((pooled - pooled.mean(0)) / pooled.std(0), y)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-7, atol=1e-7)


def test_an_output_a_step_starts_at_ridge_regression_on_the_steps():
    X, _ = problem()
    y = X[..., 0] - 0.3 * X[..., 1] + np.random.default_rng(0).normal(size=(N, T))
    model = RNNSequenceRegressor(return_sequences=True, **STILL).fit(X, y)
    assert model.linear_path_ == "pooled"
    steps = X.reshape(-1, C)
    expected, _ = ridge((steps - steps.mean(0)) / steps.std(0), y.ravel())
    np.testing.assert_allclose(model.predict(X).ravel(), expected, rtol=1e-7, atol=1e-7)


def test_classes_start_at_logistic_regression():
    X, y = problem(n_outputs=1)
    labels = np.digitize(y, np.quantile(y, [0.3, 0.6]))
    model = RNNSequenceClassifier(**STILL).fit(X, labels)
    Z, shares = standardised(X), np.bincount(labels) / N
    strengths = np.linalg.svd(Z)[1][0] ** 2 * STRENGTHS
    strength = RidgeCV(alphas=strengths, gcv_mode="svd").fit(Z, np.eye(3)[labels]).alpha_
    penalty = linear._FLATTER * (shares * (1 - shares)).mean() * strength
    expected = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000).fit(Z, labels)
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(Z), atol=2e-4)


def test_counts_start_at_the_minimum_of_their_loss():
    X, y = problem()
    counts = np.random.default_rng(0).poisson(np.exp(0.5 * y / y.std()))
    model = RNNSequenceRegressor(loss="poisson", **STILL).fit(X, counts)
    Z = standardised(X)
    strengths = np.linalg.svd(Z)[1][0] ** 2 * STRENGTHS
    strength = RidgeCV(alphas=strengths, gcv_mode="svd").fit(Z, counts).alpha_
    expected = PoissonRegressor(alpha=strength * counts.mean() / N, tol=1e-10, max_iter=10_000)
    np.testing.assert_allclose(model.predict(X), expected.fit(Z, counts).predict(Z), rtol=2e-4)


def test_shares_start_at_logistic_regression():
    X, y = problem()
    labels = (y > np.median(y) + 1).astype(int)
    model = RNNSequenceRegressor(loss="binary_cross_entropy", **STILL).fit(X, labels)
    Z, mean = standardised(X), labels.mean()
    strengths = np.linalg.svd(Z)[1][0] ** 2 * STRENGTHS
    strength = RidgeCV(alphas=strengths, gcv_mode="svd").fit(Z, labels).alpha_
    penalty = linear._FLATTER * mean * (1 - mean) * strength
    expected = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000).fit(Z, labels)
    np.testing.assert_allclose(model.predict(X), expected.predict_proba(Z)[:, 1], atol=2e-4)


@pytest.mark.parametrize(("how", "share"), [
    ({"loss": "quantile", "quantile": 0.8}, 0.8),
    ({"loss": "absolute_error"}, 0.5),
])  # fmt: skip
def test_quantiles_start_at_ridge_regression_moved(how, share):
    X, y = problem()
    weight = np.random.default_rng(3).integers(1, 4, N)
    model = RNNSequenceRegressor(**how, **STILL).fit(X, y, sample_weight=weight)
    below = (y <= model.predict(X) + 1e-9) @ weight / weight.sum()
    assert share <= below <= share + 3 / weight.sum()


def test_deviations_start_at_those_of_the_errors_left_out():
    X, y = problem()
    model = RNNSequenceRegressor(loss="gaussian", **STILL).fit(X, y)
    mean, deviation = model.predict(X, return_std=True)
    Z = standardised(X)
    expected, found = ridge(Z, y)
    np.testing.assert_allclose(mean, expected, rtol=1e-7, atol=1e-7)
    left = []
    for i in range(N):  # the mean is left out as well
        rest = np.arange(N) != i
        A, centre, middle = Z[rest], Z[rest].mean(0), y[rest].mean()
        gram = (A - centre).T @ (A - centre) + found.alpha_ * np.eye(T * C)
        weights = np.linalg.solve(gram, (A - centre).T @ (y[rest] - middle))
        left.append(y[i] - middle - (Z[i] - centre) @ weights)
    expected = np.sqrt(np.mean(np.square(left))) + SMALLEST_DEVIATION * y.std()
    np.testing.assert_allclose(deviation, expected, rtol=1e-6)


@pytest.mark.parametrize("estimator", [RNNSequenceRegressor, RNNSequenceClassifier])
def test_blocks_give_what_all_rows_at_once_do(estimator, monkeypatch):
    X, y = problem()
    y = y if estimator is RNNSequenceRegressor else np.digitize(y, [-2, 2])
    weight = np.random.default_rng(0).random(N)
    how = {"sample_weight": weight}
    whole = estimator(**STILL).fit(X, y, **how).module_.window_weight()
    monkeypatch.setattr(linear, "_BLOCK", 20 * T * C)
    blocks = estimator(**STILL).fit(X, y, **how).module_.window_weight()
    torch.testing.assert_close(blocks, whole, rtol=1e-6, atol=1e-7)


def test_float32_starts_near_float64():
    X, y = problem()
    wide, narrow = (
        RNNSequenceRegressor(**STILL).fit(X.astype(dtype), y.astype(dtype)).predict(X)
        for dtype in (np.float64, np.float32)
    )
    np.testing.assert_allclose(narrow, wide, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_and_equal_rows_start_somewhere(rows):
    X, y = problem(rows)
    model = RNNSequenceRegressor(**STILL).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    X = np.ones_like(X)
    model.fit(X, y)
    np.testing.assert_allclose(model.predict(X), y.mean())


# What is read of windows.


def windowed(rank, pooling="last", **how):
    network = RecurrentNetwork(
        C, 4, 2, pooling=pooling, linear_path="window", path_rank=rank, **how
    )
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    theta = normal(1, network.layout.size)
    constants = {"path_basis": normal(5 * C + 1, rank), "path_start": normal(5 * C + 1, 2)}
    return network, theta, constants, normal


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("rank", [0, 3])
def test_passes_equal_autograd_through_the_module(rank, pooling):
    network, theta, constants, normal = windowed(rank, pooling)
    lengths = torch.tensor([7, 5, 4, 1])
    packing, x = Packing.of_lengths(lengths), normal(4, 7, C)
    row, t = packing.positions()
    module = network.module(theta[0], **constants)
    output = module(x, lengths)
    delta = normal(*output.shape)
    (output * delta).sum().backward()
    grad = torch.full_like(theta, torch.nan)
    passes = RecurrentPasses(network, Bound(network, theta, grad), packing)
    passes.x.copy_(x[row, t])
    window = torch.where(torch.arange(5)[:, None] < lengths[:, None, None], x[:, :5], 0)
    window = torch.cat([window.flatten(1), torch.ones(4, 1)], dim=1)
    passes.set_path(window @ torch.cat([*constants.values()], dim=1))
    passes.forward()
    torch.testing.assert_close(passes.output[0], output.detach(), rtol=1e-12, atol=1e-12)
    passes.delta.copy_(delta)
    passes.backward()
    found = network.blocks(grad[0], "output")["weight"]
    expected = torch.cat([module.output.weight.grad.T, module.output.bias.grad[None]])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    expected = module.layers.weight_hh_l0.grad
    found = network.blocks(grad[0], "0.forward")["weight"][:4].T
    assert found.abs().sum() == pytest.approx(float(expected.abs().sum()), rel=1e-12)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_cut_anywhere_a_window_gives_the_same_bits(pooling):
    network, theta, constants, normal = windowed(2, pooling)
    x, n = normal(9, 3, C), torch.tensor([9, 9, 9])
    module = network.module(theta[0], **constants)
    stepper = network.stepper(module)
    state = x.new_zeros(3, sum(network.state_widths))
    with torch.inference_mode():
        whole, end = stepper.run(x, n, state)
        torch.testing.assert_close(whole, module(x.transpose(0, 1)), rtol=1e-12, atol=1e-12)
        for cut in (1, 4, 5, 6, 8):
            _, middle = stepper.run(x[:cut], n - n + cut, state)
            again, ended = stepper.run(x[cut:], n - cut, middle)
            assert torch.equal(again, whole), cut
            assert torch.equal(ended, end), cut


@pytest.mark.parametrize("rank", [0, 3])
def test_the_whole_map_is_the_start_and_what_was_learnt(rank):
    network, theta, constants, _ = windowed(rank)
    module = network.module(theta[0], **constants)
    trained = network.blocks(theta[0], "output")["weight"][network.n_pooled : -1]
    expected = constants["path_start"] + constants["path_basis"] @ trained
    torch.testing.assert_close(module.window_weight(), expected)
    again = network.module_from(module.state_dict())
    torch.testing.assert_close(again.window_weight(), expected)
    assert network.penalised.sum() == theta.shape[1] - 2 * (1 + rank) - 16


# What it promises.


def test_the_training_loss_is_never_above_the_linear_models():
    """Of 300 random problems, also where the learning rate is far too large."""
    trained = 0
    for seed in range(300):
        estimator, X, y, how = random_fit(np.random.default_rng(seed), seed % 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of one step, and of rates that are too large
            start = loss_of(estimator(**{**how, **STILL}).fit(X, y), X, y)
            end = loss_of(estimator(max_iter=12, **how).fit(X, y), X, y)
        assert end <= start * (1 + 1e-7) + 1e-12, (seed, how)
        trained += end < 0.99 * start
    assert trained > 100  # or it would be the start that is kept


def random_fit(generator, classifies):
    """An estimator, sequences, targets, parameters."""
    n, n_steps, n_channels = generator.integers([3, 1, 1], [40, 9, 4])
    X = generator.normal(size=(n, n_steps, n_channels)).cumsum(1)
    y = np.tanh(X[:, 0, 0]) * X[:, -1, 0] + generator.choice([0, 1.0]) * X.sum((1, 2))
    if classifies:
        y = np.digitize(y, np.quantile(y, [0.3, 0.6]))
    how = {
        "cell": str(generator.choice(["lstm", "gru", "rnn"])),
        "pooling": str(generator.choice(list(POOLINGS))),
        "linear_path": str(generator.choice(["auto", "window", "pooled"])),
        "batch_size": int(generator.integers(2, 30)),
        "learning_rate": 10.0 ** generator.uniform(-4, 0.5),
        "random_state": int(generator.integers(1000)),
        "hidden_size": 4,
    }
    return RNNSequenceClassifier if classifies else RNNSequenceRegressor, X, y, how


def loss_of(model, X, y):
    """As it is trained on."""
    if hasattr(model, "classes_"):
        found = model.predict_proba(X)[np.arange(len(y)), np.searchsorted(model.classes_, y)]
        return -np.log(found).mean()
    return 0.5 * np.mean((model.predict(X) - y) ** 2) / (np.var(y) or 1)


def test_a_window_helps_where_the_steps_are_far_from_the_end():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(400, 30, 1))
    y = X[:, 3, 0] - X[:, 17, 0] + 0.1 * generator.normal(size=400)
    fitted = {
        path: RNNSequenceRegressor(max_iter=20, linear_path=path, random_state=0)
        .fit(X[:200], y[:200])
        .score(X[200:], y[200:])
        for path in ("auto", False)
    }
    assert fitted["auto"] > 0.95
    assert fitted["auto"] > fitted[False] + 0.3


# Who has which.


def test_what_auto_comes_to(monkeypatch):
    X, y = problem(20)

    def path(X=X, y=y, fit=None, **how):
        model = RNNSequenceRegressor(max_iter=1, hidden_size=2, tol=0, **how)
        return model.fit(X, y, **(fit or {})).linear_path_

    assert path() == "window"
    assert path(bidirectional=True) == "window"
    assert path(input_skip=False) == "window"
    assert path(linear_path="pooled") == "pooled"
    assert path(linear_path=False) is False
    assert path(output_activation="tanh") is False
    assert path(X, X[..., 0], return_sequences=True) == "pooled"
    assert path(X, X[..., 0], return_sequences=True, input_skip=False) is False
    uneven = [np.ones((1 + 30 * (i == 0), C)) for i in range(20)]
    assert path(uneven) == "pooled"
    assert path(uneven, linear_path="window") == "window"
    assert path(fit={"initial_state": np.ones((20, 4))}, cell="lstm") == "pooled"
    monkeypatch.setattr("skaernn._estimators.predictor_base._WIDEST", T * C - 1)
    assert path(input_skip=False) is False
    assert path(X[:10], y[:10]) == "window"


@pytest.mark.parametrize(("how", "message"), [
    ({"linear_path": "window", "return_sequences": True}, "wants an output for each step"),
    ({"linear_path": "pooled", "input_skip": False}, "Use input_skip=True"),
    ({"linear_path": "window", "output_activation": "tanh"}, "linear up to the output"),
    ({"linear_path": True}, "does not say which one"),
    ({"linear_path": "windows"}, "Did you mean 'window'"),
    ({"weight_decay": -1.0}, "weight_decay"),
])  # fmt: skip
def test_paths_that_cannot_be(how, message):
    X, y = problem(20)
    with pytest.raises(ValueError, match=message):
        RNNSequenceRegressor(**how).fit(X, y)


def test_forecasts_read_the_window_that_ends_now():
    series = np.random.default_rng(0).normal(size=(200, 2)).cumsum(0)
    X, y = sliding_windows(series, window=6, horizon=2)
    model = RNNSequenceRegressor(max_iter=3, hidden_size=3, random_state=0, n_channels=2)
    model.fit(X, y)
    for begun in (X[-3:], X[-3:, 2:], np.concatenate([X[-6:-3, :2], X[-3:]], axis=1)):
        steps, expected = begun, []
        for _ in range(3):
            expected.append(model.predict(steps[:, -6:]).reshape(3, 2, 2))
            steps = np.concatenate([steps, expected[-1]], axis=1)
        expected = np.concatenate(expected, axis=1)
        np.testing.assert_array_equal(model.forecast(begun, 5), expected[:, :5])
    _, state = model.predict(X[-3:], return_state=True)
    with pytest.raises(ValueError, match="Pass the whole sequences"):
        model.forecast(X[-3:], 5, initial_state=state)


def test_training_goes_on_from_states_within_a_window():
    """In the second half of a window, from the sum of the first and at its place."""
    X, y = problem()
    model = RNNSequenceRegressor("gru", max_iter=2, hidden_size=3, random_state=0)
    model.fit(X, y).set_params(warm_start=True)
    _, state = model.predict(X[:, :3], return_state=True)
    before = model.score(X[:, 3:], y, initial_state=state)
    assert before == model.score(X, y)
    model.set_params(max_iter=40).fit(X[:, 3:], y, initial_state=state)
    assert model.score(X[:, 3:], y, initial_state=state) > before
    start = model.set_params(max_iter=1, learning_rate=1e-300)
    start.fit(X[:, 3:], y, initial_state=state)
    expected = np.mean((model.predict(X[:, 3:], initial_state=state) - y) ** 2) / np.var(y) / 2
    assert start.loss_ == pytest.approx(expected, rel=1e-6)


def test_padding_is_not_read_into_a_window():
    X = ragged(12)
    y = np.arange(12.0)
    array = np.full((12, 6, 2), 1e6)
    for row, x in zip(array, X, strict=True):
        row[: len(x)] = x
    lengths = np.array([len(x) for x in X])
    a = RNNSequenceRegressor(max_iter=3, random_state=0).fit(X, y)
    b = RNNSequenceRegressor(max_iter=3, random_state=0).fit(array, y, lengths=lengths)
    np.testing.assert_array_equal(a.predict(X), b.predict(array, lengths=lengths))
