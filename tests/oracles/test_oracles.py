"""Numbers against something that cannot share the mistake: autograd, torch.optim, numpy, PCA."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from objectives import TORCH_LOSSES, assert_equals_autograd, batch_of, make_objective
from scipy.optimize import minimize

from skaernn._core.noise import dropout_mask, mix, uniform
from skaernn._losses.reconstruction import LOSSES
from skaernn._rows.content import content_hash
from skaernn._rows.moments import moments
from skaernn._rows.principal import principal_components
from skaernn._rows.vectors import make_rows
from skaernn._training.loop import TrainingState
from skaernn._training.solvers import LBFGS, SCHEDULES, SOLVERS
from skaernn._training.vectors import ReconstructionObjective
from skaernn.networks import ACTIVATIONS


def test_every_loss_has_an_oracle():
    assert set(TORCH_LOSSES) == set(LOSSES)


def assert_same_gradient(loss, **spec):
    objective, theta = make_objective(loss=loss, alpha=0.0, **spec)
    _, x, weight = batch_of(objective)
    assert_equals_autograd(
        objective, theta, lambda module: (TORCH_LOSSES[loss](module(x), x) * weight).sum()
    )


@pytest.mark.parametrize("linear_path", [False, True])
@pytest.mark.parametrize("hidden", [(), (6,), (6, 4), (3, 5, 2)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_passes_equal_autograd_for_every_activation(activation, hidden, linear_path):
    assert_same_gradient(
        "squared_error",
        hidden_layer_sizes=hidden,
        activation=activation,
        code_activation=activation,
        output_activation=activation,
        linear_path=linear_path,
    )


# A loss with a link takes its own output activation and no other.
OUTPUTS = [(name, loss.output_activation) for name, loss in LOSSES.items()]
OUTPUTS += [(name, "logistic") for name, loss in LOSSES.items() if not loss.fixed_output]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("loss", "output"), OUTPUTS)
def test_passes_equal_autograd_for_every_loss(loss, output, weighted):
    assert_same_gradient(
        loss, hidden_layer_sizes=(5,), output_activation=output, weighted=weighted
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_several_models_at_once_equal_one_at_a_time(loss):
    output = LOSSES[loss].output_activation
    objective, one = make_objective(
        loss=loss, hidden_layer_sizes=(6, 4), output_activation=output, linear_path=True
    )
    theta = torch.cat([one, one.flip(1), 0.5 * one])
    grad = torch.empty_like(theta)
    (batch,) = objective.batches(0)
    sums = objective.bound(theta, grad).sums(batch)
    objective.penalty(theta, grad, sums)
    for k in range(3):
        single, single_grad = theta[k : k + 1].clone(), torch.empty_like(one)
        expected = objective.bound(single, single_grad).sums(batch)
        objective.penalty(single, single_grad, expected)
        torch.testing.assert_close(sums[k], expected[0])
        torch.testing.assert_close(grad[k], single_grad[0])


def test_large_batches_in_parts_equal_the_whole(monkeypatch):
    objective, theta = make_objective(hidden_layer_sizes=(6,), linear_path=True)
    (batch,) = objective.batches(0)
    whole, parts = torch.empty_like(theta), torch.empty_like(theta)
    expected = objective.bound(theta, whole).sums(batch).clone()
    monkeypatch.setattr(ReconstructionObjective, "most_rows", 10)
    objective._compiled = False  # the kernels' batches are never split
    evaluation = objective.bound(theta, parts)
    for _ in range(5):
        torch.testing.assert_close(evaluation.sums(batch), expected)
        torch.testing.assert_close(parts, whole)
    assert len(evaluation._part._workspaces) == 2  # for parts of 10 and of 1


@pytest.mark.parametrize("most_rows", [8192, 10])
def test_what_becomes_of_sums_is_no_matter_to_the_next(most_rows, monkeypatch):
    """Processes that share the rows add their sums in place."""
    objective, theta = make_objective(hidden_layer_sizes=(6,))
    monkeypatch.setattr(ReconstructionObjective, "most_rows", most_rows)
    (batch,) = objective.batches(0)
    evaluation = objective.bound(theta, torch.empty_like(theta))
    expected = evaluation.sums(batch).clone()
    for _ in range(2):
        sums = evaluation.sums(batch)
        assert torch.equal(sums, expected)
        sums.mul_(2).add_(1)


def test_penalty_acts_on_weights_and_spares_biases_and_path():
    objective, theta = make_objective(hidden_layer_sizes=(6, 4), linear_path=True, alpha=0.3)
    module = objective.network.module(theta[0])
    alpha = 0.3 / objective.rows.mean_weight
    expected = alpha / 2 * sum((p**2).sum() for p in _network_weights(module))
    grad, sums = torch.zeros_like(theta), torch.zeros(1, 3, dtype=torch.float64)
    objective.penalty(theta, grad, sums)
    assert float(sums[0, 2]) == pytest.approx(float(expected))
    pulled = objective.network.module(grad[0])
    for slot, weight in zip(_network_weights(pulled), _network_weights(module), strict=True):
        torch.testing.assert_close(slot, alpha * weight)
    spared = [side.path.weight for side in (pulled.encoder, pulled.decoder)]
    spared += [p for name, p in pulled.named_parameters() if name.endswith("bias")]
    assert all((p == 0).all() for p in spared)


def _network_weights(module):
    return [p.detach() for n, p in module.named_parameters() if "network" in n and "weight" in n]


@pytest.mark.parametrize("linear_path", [False, True])
@pytest.mark.parametrize("hidden", [(), (6,), (6, 4)])
def test_packing_a_module_gives_its_parameters_back(hidden, linear_path):
    objective, theta = make_objective(hidden_layer_sizes=hidden, linear_path=linear_path)
    again = objective.pack(objective.network.module(theta[0]))
    assert torch.equal(again, theta)


@pytest.mark.parametrize("name", ["adam", "sgd"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_solver_equals_torch_optim(name, dtype):
    target = torch.linspace(-1, 1, 50, dtype=dtype)
    state = TrainingState.at(torch.ones(1, 50, dtype=dtype))
    parameter = torch.nn.Parameter(torch.ones(50, dtype=dtype))
    reference = {
        "adam": lambda: torch.optim.Adam([parameter], lr=0.05),
        "sgd": lambda: torch.optim.SGD([parameter], lr=0.05, momentum=0.7),
    }[name]()
    solver = SOLVERS[name](momentum=0.7)

    def evaluate():
        torch.mul(state.theta - target, 8.0, out=state.grad)  # a sum over 8 rows
        return torch.tensor([[0.0, 8.0, 0.0]], dtype=dtype)

    for _ in range(30):
        solver.step(state, evaluate, 0.05)
        reference.zero_grad()
        (0.5 * (parameter - target) ** 2).sum().backward()
        reference.step()
    torch.testing.assert_close(state.theta[0], parameter.data)


def test_adam_on_several_models_equals_one_at_a_time():
    theta = torch.randn(3, 20, generator=torch.Generator().manual_seed(0))
    counts = torch.tensor([1.0, 5.0, 7.0])

    def run(rows):
        state = TrainingState.at(theta[rows].clone())

        def evaluate():
            torch.mul(state.theta, counts[rows, None], out=state.grad)
            return torch.stack([torch.zeros(len(rows)), counts[rows], torch.zeros(len(rows))], 1)

        for _ in range(5):
            SOLVERS["adam"]().step(state, evaluate, 0.1)
        return state.theta

    together = run([0, 1, 2])
    alone = torch.cat([run([k]) for k in range(3)])
    torch.testing.assert_close(together, alone)


def test_lbfgs_reaches_the_minimum_that_scipy_finds():
    objective, theta = make_objective(hidden_layer_sizes=(4,), activation="tanh", alpha=1.0)
    (batch,) = objective.batches(0)
    state = TrainingState.at(theta.clone())
    evaluation = objective.bound(state.theta, state.grad)

    def evaluate():
        sums = evaluation.sums(batch)
        objective.penalty(state.theta, state.grad, sums)
        return sums

    def value_and_gradient(flat):
        state.theta.copy_(torch.from_numpy(flat)[None])
        total, count, penalty = evaluate()[0].tolist()
        return (total + penalty) / count, (state.grad[0] / count).numpy().copy()

    start = theta[0].numpy().copy()
    expected = minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", tol=1e-12)
    state.theta.copy_(theta)
    solver, losses = LBFGS(), []
    for _ in range(500):
        total, count, penalty = solver.step(state, evaluate, 1.0)[0].tolist()
        losses.append((total + penalty) / count)
        if state.converged:
            break
    assert all(b <= a for a, b in pairwise(losses))
    assert losses[-1] <= expected.fun * (1 + 1e-4)


def test_lbfgs_solves_a_quadratic_exactly():
    scales = torch.logspace(0, 4, 12, dtype=torch.float64)
    state = TrainingState.at(torch.ones(1, 12, dtype=torch.float64))

    def evaluate():
        torch.mul(state.theta, scales, out=state.grad)
        value = 0.5 * float((scales * state.theta**2).sum())
        return torch.tensor([[value, 1.0, 0.0]], dtype=torch.float64)

    solver = LBFGS()
    for _ in range(600):  # scipy's L-BFGS-B takes 473 for this condition number of 10 000
        solver.step(state, evaluate, 1.0)
    assert float(state.theta.abs().max()) < 1e-9


def test_schedules():
    assert SCHEDULES["constant"](0.5, 17, 20) == 0.5
    rates = [SCHEDULES["cosine"](1.0, epoch, 4) for epoch in range(5)]
    assert rates == pytest.approx([1.0, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5, 0.0])


def test_moments_and_components_equal_numpy():
    rng = np.random.default_rng(0)
    for n in (8, 300):  # by singular vectors, by the covariance
        X = rng.normal(size=(n, 12)) @ np.diag(np.arange(1.0, 13)) + 1e3
        weight = rng.integers(1, 4, n)
        repeated = np.repeat(X, weight, axis=0)
        [rows] = make_rows(X, torch.from_numpy(X), weight.astype(float), torch.float64)
        mean, deviation = moments(rows)
        np.testing.assert_allclose(mean, repeated.mean(0))
        np.testing.assert_allclose(deviation, repeated.std(0))
        found = principal_components(rows)
        covariance = np.cov(repeated.T, bias=True)
        values = np.sort(np.linalg.eigvalsh(covariance))[::-1][: len(found.variances)]
        variances = found.variances.numpy() * found.unit**2
        np.testing.assert_allclose(variances, values, atol=1e-9 * values[0])
        axes = found.components.numpy()
        np.testing.assert_allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-12)
        projected = np.diag(axes.T @ covariance @ axes)
        np.testing.assert_allclose(projected, variances, atol=1e-9 * values[0])


@pytest.mark.parametrize("scale", [1e-310, 1e-150, 1.0, 1e150, 1e300])
def test_moments_neither_overflow_nor_underflow(scale):
    X = np.array([[1.0, 5.0], [3.0, 5.0]]) * scale
    [rows] = make_rows(X, torch.from_numpy(X), None, torch.float64)
    mean, deviation = moments(rows)
    np.testing.assert_allclose(mean / scale, [2.0, 5.0], rtol=1e-9)
    np.testing.assert_allclose(deviation / scale, [1.0, 0.0], rtol=1e-9)


def test_content_hash_tells_rows_apart_and_nothing_else():
    rng = np.random.default_rng(0)
    X = np.unique(rng.integers(0, 3, (20_000, 12)).astype(float), axis=0)
    assert len(np.unique(content_hash(X))) == len(X)
    np.testing.assert_array_equal(content_hash(X[::-1])[::-1], content_hash(X))
    np.testing.assert_array_equal(content_hash(np.asfortranarray(X)), content_hash(X))
    np.testing.assert_array_equal(content_hash(np.where(X == 0, -0.0, X)), content_hash(X))
    # single bits of the mantissa in single columns
    bits = np.tile(rng.normal(size=(1, 52)), (52, 1)).view(np.uint64)
    bits[np.arange(52), np.arange(52)] ^= np.uint64(1) << np.arange(52, dtype=np.uint64)
    assert len(np.unique(content_hash(bits.view(np.float64)))) == 52


def test_noise_is_uniform_and_depends_on_content_alone():
    keys = torch.from_numpy(np.random.default_rng(0).integers(-(2**63), 2**63, 4000))
    draws = uniform(keys, mix(1, 2, 3), 50)
    assert torch.equal(draws.flip(0), uniform(keys.flip(0), mix(1, 2, 3), 50))
    assert not torch.equal(draws, uniform(keys, mix(1, 2, 4), 50))
    counts = torch.histc(draws, 20, 0, 1)
    # chi-squared with 19 degrees of freedom exceeds 60 less than once in 100 000 times
    assert float(((counts - 10_000) ** 2 / 10_000).sum()) < 60
    centred = draws - draws.mean()
    neighbours = (centred[:, 1:] * centred[:, :-1]).mean() / centred.var()
    assert abs(float(neighbours)) < 5 / np.sqrt(draws.numel())


def test_dropout_mask_keeps_the_expectation():
    keys = torch.arange(2000) * 7919
    mask = dropout_mask(keys, 5, 100, 0.3)
    assert set(mask.unique().tolist()) == {0.0, float(torch.tensor(1.0) / 0.7)}
    assert float(mask.mean()) == pytest.approx(1.0, abs=0.01)
