"""Tied weights: the decoder reads the encoder's, transposed, in training and ever after."""

import copy
import pickle

import numpy as np
import pytest
import torch
from guarantee import assert_not_worse
from objectives import TORCH_LOSSES, assert_equals_autograd, batch_of, make_objective, several
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA

from skaernn import AutoencoderTransformer
from skaernn.networks import ACTIVATIONS

IRIS = load_iris().data


def squared(module, x, weight):
    return (weight * TORCH_LOSSES["squared_error"](module(x), x)).sum()


@pytest.mark.parametrize("linear_path", [False, True])
@pytest.mark.parametrize("hidden", [(), (6,), (6, 4)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_passes_equal_autograd(activation, hidden, linear_path):
    objective, theta = make_objective(
        alpha=0.0, tied_weights=True, hidden_layer_sizes=hidden, linear_path=linear_path,
        activation=activation, code_activation=activation, output_activation=activation,
    )  # fmt: skip
    _, x, weight = batch_of(objective)
    assert_equals_autograd(objective, several(theta), lambda module: squared(module, x, weight))


@pytest.mark.parametrize("linear_path", [False, True])
def test_more_components_than_features_equal_autograd(linear_path):
    objective, theta = make_objective(
        n_features=3, n_components=5, alpha=0.0, tied_weights=True, hidden_layer_sizes=(6,),
        linear_path=linear_path,
    )  # fmt: skip
    _, x, weight = batch_of(objective)
    assert_equals_autograd(objective, several(theta), lambda module: squared(module, x, weight))


def test_gradient_equals_that_of_a_formula_in_numpy():
    """x' = W tanh(W'x + b) + c, whose weight is read twice: by hand, without torch."""
    objective, theta = make_objective(
        alpha=0.0, tied_weights=True, hidden_layer_sizes=(), code_activation="tanh"
    )
    batch, x, weight = batch_of(objective)
    grad = torch.empty_like(theta)
    with torch.no_grad():
        objective.bound(theta, grad).sums(batch)
    module, slots = (objective.network.module(flat[0]) for flat in (theta, grad))
    names = "encoder.network.0.weight", "encoder.network.0.bias", "decoder.network.0.bias"
    W, b, c = (dict(module.named_parameters())[name].detach().numpy() for name in names)
    found = [dict(slots.named_parameters())[name].detach().numpy() for name in names]
    x, weight = x.numpy(), weight.numpy()
    h = np.tanh(x @ W.T + b)
    delta = weight * (h @ W + c - x)
    inner = (delta @ W.T) * (1 - h**2)
    for slot, expected in zip(
        found, (inner.T @ x + h.T @ delta, inner.sum(0), delta.sum(0)), strict=True
    ):
        np.testing.assert_allclose(slot, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("linear_path", [False, True])
@pytest.mark.parametrize("hidden", [(), (6,), (6, 4)])
def test_packing_a_module_gives_its_parameters_back(hidden, linear_path):
    objective, theta = make_objective(
        hidden_layer_sizes=hidden, linear_path=linear_path, tied_weights=True
    )
    again = objective.pack(objective.network.module(theta[0]))
    assert torch.equal(again, theta)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (6, 4), "linear_path": False},
        {"hidden_layer_sizes": (6, 4), "solver": "lbfgs"},
        {"hidden_layer_sizes": (6,), "dropout": 0.3, "batch_size": 40},
    ],
)
def test_fitted_weights_are_transposes_and_stay_so(options):
    """Seen from outside: numpy decodes with the encoder's weights and the decoder's biases."""
    estimator = AutoencoderTransformer(
        tied_weights=True,
        activation="tanh",
        max_iter=5,
        tol=0,
        output_range=None,
        random_state=0,
        **options,
    ).fit(IRIS)
    twin = pickle.loads(pickle.dumps(estimator))
    fits = [estimator, copy.deepcopy(estimator), twin]
    if hasattr(twin, "partial_fit"):
        fits.append(copy.deepcopy(twin).partial_fit(IRIS))
    for fit in fits:
        codes = fit.transform(IRIS)
        np.testing.assert_allclose(
            fit.inverse_transform(codes), decoded_by_numpy(fit.module_, codes), rtol=1e-9
        )


def decoded_by_numpy(module, codes):
    inward = {name: p.detach().numpy() for name, p in module.encoder.named_parameters()}
    outward = {name: p.detach().numpy() for name, p in module.decoder.named_parameters()}
    assert all(name.endswith("bias") for name in outward)
    layers = [inward[name] for name in inward if name.startswith("net") and "weight" in name]
    rows, biases = codes, list(outward.values())
    for i, (weight, bias) in enumerate(zip(reversed(layers), biases, strict=True)):
        rows = (np.tanh(rows) if i else rows) @ weight + bias
    if "path.weight" in inward:
        rows = rows + codes @ inward["path.weight"]
    return rows * module.scale.numpy() + module.mean.numpy()


@pytest.mark.parametrize("hidden", [(), (16,), (8, 5)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_start_is_pca_whatever_an_activation_is_at_zero(activation, hidden):
    estimator = AutoencoderTransformer(
        2, hidden, tied_weights=True, activation=activation, max_iter=1, learning_rate=1e-14,
        output_range=None, random_state=0,
    ).fit(IRIS)  # fmt: skip
    pca = PCA(2).fit(IRIS)
    expected = pca.inverse_transform(pca.transform(IRIS))
    back = estimator.inverse_transform(estimator.transform(IRIS))
    np.testing.assert_allclose(back, expected, atol=1e-10)
    codes = pca.transform(IRIS) / float(estimator.module_.scale)
    signs = np.sign((codes * estimator.transform(IRIS)).sum(0))
    np.testing.assert_allclose(estimator.transform(IRIS), codes * signs, atol=1e-10)


@pytest.mark.parametrize("rate", [1e-3, 1.0])
@pytest.mark.parametrize("batch_size", ["auto", 32])
@pytest.mark.parametrize("activation", ["relu", "logistic", "softplus"])
def test_training_error_is_never_above_that_of_pca(activation, batch_size, rate):
    for n_components in (1, 3, 6):
        estimator = AutoencoderTransformer(
            n_components, (16,), tied_weights=True, activation=activation, max_iter=3,
            learning_rate=rate, batch_size=batch_size, random_state=0,
        )  # fmt: skip
        assert_not_worse(estimator.fit(IRIS), IRIS, n_components)


def test_training_makes_more_of_it_than_pca_with_half_the_weights():
    X = load_digits().data[:600]
    options = {"max_iter": 40, "learning_rate": 3e-3, "random_state": 0}
    tied, free = (
        AutoencoderTransformer(4, (64,), tied_weights=tied, **options).fit(X)
        for tied in (True, False)
    )
    assert tied.score(X) > 1.1 * PCA(4).fit(X).explained_variance_ratio_.sum()
    sizes = [sum(p.numel() for p in one.module_.parameters()) for one in (tied, free)]
    assert sizes[0] < 0.52 * sizes[1]
