"""Penalties on codes: are they what they are called, and do codes obey them?"""

import numpy as np
import pytest
import torch
from objectives import (
    TORCH_LOSSES,
    assert_equals_autograd,
    batch_of,
    make_objective,
    packed_gradient,
    several,
)
from sklearn.datasets import load_digits
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.func import jacrev, vmap

from skaernn import AutoencoderTransformer
from skaernn.networks import PENALTIES, StandardNormal
from skaernn.networks._vectors.module import LOG_VARIANCES

DIGITS = load_digits().data[:600] / 16


def l1(encoded, weight):
    return (weight * encoded.abs()).sum()


def bernoulli(encoded, weight):
    """From coins that fall heads once in twenty times to coins of a batch's mean."""
    counts = weight * torch.ones_like(encoded[:, :1])
    mean = (counts * encoded).sum(0) / counts.sum()
    wanted = Bernoulli(torch.tensor(0.05, dtype=torch.float64))
    return counts.sum() * kl_divergence(wanted, Bernoulli(mean)).sum()


def normal(encoded, weight):
    mean, raw = encoded.chunk(2, dim=1)
    posterior = Normal(mean, raw.clamp(*LOG_VARIANCES).exp().sqrt())
    prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    return (weight * kl_divergence(posterior, prior)).sum()


ORACLES = {
    "l1": (PENALTIES["l1"], l1),
    "kl": (PENALTIES["kl"], bernoulli),
    "standard_normal": (StandardNormal(), normal),
}


def encodings(name, n_models, n_rows=9):
    """What an encoder might give: probabilities, or means and log-variances, some beyond."""
    draw = torch.randn(n_models, n_rows, 6, generator=torch.Generator().manual_seed(n_models))
    draw = draw.double()
    if name == "kl":
        return draw.sigmoid()
    draw[:, 0, 3:] = torch.tensor([-31.0, 21.0, 0.0])
    return draw


def test_every_penalty_has_an_oracle():
    of_codes = {name for name, penalty in PENALTIES.items() if not penalty.of_jacobian}
    assert of_codes == set(ORACLES) - {"standard_normal"}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_models", [1, 2])
@pytest.mark.parametrize("name", ORACLES)
def test_value_and_gradient_equal_autograd(name, n_models, weighted):
    penalty, oracle = ORACLES[name]
    encoded = encodings(name, n_models).requires_grad_()
    weight = torch.rand(9, 1, dtype=torch.float64) + 0.5 if weighted else None
    gradient = torch.full_like(encoded, torch.nan)
    with torch.no_grad():
        value = penalty.value_and_gradient(encoded, weight, 0.3, gradient)
    expected = [0.3 * oracle(one, 1.0 if weight is None else weight) for one in encoded]
    torch.testing.assert_close(value, torch.stack(expected).detach(), rtol=1e-11, atol=0)
    (slope,) = torch.autograd.grad(sum(expected), encoded)
    torch.testing.assert_close(gradient, slope, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", ["kl", "standard_normal"])
def test_divergences_are_zero_where_codes_are_as_wanted(name):
    penalty, _ = ORACLES[name]
    encoded = torch.full((1, 4, 6), 0.05 if name == "kl" else 0.0, dtype=torch.float64)
    gradient = torch.full_like(encoded, torch.nan)
    assert float(penalty.value_and_gradient(encoded, None, 1.0, gradient)) == pytest.approx(
        0, abs=1e-14
    )
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-14)


@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_saturated_codes_have_a_finite_divergence(extreme):
    encoded = torch.full((1, 4, 2), extreme)
    gradient = torch.full_like(encoded, torch.nan)
    value = PENALTIES["kl"].value_and_gradient(encoded, None, 1.0, gradient)
    assert value.isfinite().all()
    assert gradient.isfinite().all()
    assert float(value) > 0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("linear_path", [False, True])
@pytest.mark.parametrize("name", ["l1", "kl"])
def test_penalised_objective_equals_autograd(name, linear_path, weighted):
    penalty, oracle = ORACLES[name]
    objective, theta = make_objective(
        alpha=0.0, penalty=penalty, strength=0.3, weighted=weighted, hidden_layer_sizes=(6, 4),
        activation="tanh", code_activation="logistic", linear_path=linear_path,
    )  # fmt: skip
    _, x, weight = batch_of(objective)

    def value_of(module):
        loss = (weight * TORCH_LOSSES["squared_error"](module(x), x)).sum()
        return loss + 0.3 * oracle(module.encode(x), weight)

    assert_equals_autograd(objective, several(theta), value_of)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("linear_path", [False, True])
def test_contractive_objective_equals_the_jacobian(linear_path, weighted):
    objective, theta = make_objective(
        alpha=0.0, penalty=PENALTIES["contractive"], strength=0.3, weighted=weighted,
        hidden_layer_sizes=(6,), activation="tanh", code_activation="logistic",
        linear_path=linear_path,
    )  # fmt: skip
    _, x, weight = batch_of(objective)

    def value_of(module):
        jacobian = vmap(jacrev(lambda row: module.encode(row[None])[0]))(x)  # (B, C, F)
        squares = jacobian.square().sum((1, 2))[:, None]
        loss = TORCH_LOSSES["squared_error"](module(x), x).sum(1, keepdim=True)
        return (weight * (loss + 0.3 * squares)).sum()

    assert_equals_autograd(objective, theta, value_of)


def test_no_strength_is_no_penalty():
    free, theta = make_objective(alpha=0.0, hidden_layer_sizes=(6,))
    _, x, weight = batch_of(free)
    expected = packed_gradient(
        free.network,
        module := free.network.module(theta[0]),
        (weight * TORCH_LOSSES["squared_error"](module(x), x)).sum(),
    )
    for penalty in (PENALTIES["l1"], PENALTIES["contractive"]):
        objective, _ = make_objective(
            alpha=0.0, hidden_layer_sizes=(6,), penalty=penalty, strength=0.0
        )
        (batch,) = objective.batches(0)
        grad = torch.empty_like(theta)
        with torch.no_grad():
            objective.bound(theta, grad).sums(batch)
        torch.testing.assert_close(grad[0], expected)


# What users see, on 600 small images.


def digits_codes(**parameters):
    options = {"n_components": 8, "hidden_layer_sizes": (32,), "max_iter": 40, "random_state": 0}
    return AutoencoderTransformer(**{**options, "learning_rate": 5e-3, **parameters}).fit(DIGITS)


@pytest.mark.parametrize("linear_path", [True, False])
def test_l1_makes_codes_small_and_some_vanish(linear_path):
    sizes, shares = [], []
    for strength in (0.0, 0.3, 3.0):
        estimator = digits_codes(
            code_penalty="l1", penalty_strength=strength, linear_path=linear_path
        )
        codes = np.abs(estimator.transform(DIGITS))
        sizes.append(codes.mean())
        shares.append((codes < 0.05).mean())
    assert sizes[0] > 1.5 * sizes[1] > 3 * sizes[2]
    assert shares[0] < 0.5 * shares[1] < shares[2]


def test_kl_pulls_mean_activations_to_a_twentieth():
    means = []
    for strength in (0.0, 1.0, 30.0):
        estimator = digits_codes(
            code_penalty="kl", penalty_strength=strength, code_activation="logistic", max_iter=100
        )
        means.append(estimator.transform(DIGITS).mean(0))
    assert (means[0] > 0.4).all()
    assert (means[1] < 0.3).all()
    assert (abs(means[2] - 0.05) < 0.03).all()
    assert estimator.transform(DIGITS).max() > 0.5  # for few rows, not for none


def jacobian_norm(estimator, X, step=1e-4):
    """Mean squared Frobenius norm of dh/dx over the rows of X, by finite differences."""
    codes = estimator.transform(X)
    moves = [estimator.transform(X + step * axis) - codes for axis in np.eye(X.shape[1])]
    return (np.square(moves) / step**2).sum(axis=(0, 2)).mean()


@pytest.mark.parametrize(
    "options",
    [
        {"code_activation": "tanh"},
        {"code_activation": "tanh", "linear_path": True},
        {"architecture": "convolutional", "hidden_layer_sizes": (4,), "image_shape": (8, 8)},
    ],
)
def test_contractive_shrinks_the_encoders_jacobian(options):
    options = {"max_iter": 20, "n_components": 3, **options}
    norms = []
    for strength in (0.0, 0.1, 1.0):
        estimator = digits_codes(code_penalty="contractive", penalty_strength=strength, **options)
        norms.append(jacobian_norm(estimator, DIGITS[:100]))
    assert norms[0] > 1.1 * norms[1] > 1.5 * norms[2]


@pytest.mark.parametrize("name", PENALTIES)
def test_reported_losses_hold_the_penalty(name):
    """Of one batch: what `loss_curve_` begins with is reconstruction and penalty together."""
    activation = PENALTIES[name].code_activation or "identity"
    firsts = [
        digits_codes(
            code_penalty=name, penalty_strength=strength, code_activation=activation, max_iter=1,
            batch_size=len(DIGITS), alpha=0.0, linear_path=False,
        ).loss_curve_[0]
        for strength in (0.0, 1.0, 2.0)
    ]  # fmt: skip
    assert firsts[1] > firsts[0]
    assert firsts[2] - firsts[1] == pytest.approx(firsts[1] - firsts[0], rel=1e-9)
