"""Where training starts: at PCA, with hidden units that bend, and off the saddle."""

import numpy as np
import pytest
import torch
from guarantee import assert_not_worse, pca_error
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA

from skaernn import AutoencoderTransformer
from skaernn.networks import ACTIVATIONS

DIGITS, WINE = load_digits().data, load_wine().data
BENT = sorted(set(ACTIVATIONS) - {"identity"})


def at_start(X, n_components, **params):
    """A fit whose one step is of no length."""
    params = {"max_iter": 1, "learning_rate": 1e-14, "output_range": None, **params}
    return AutoencoderTransformer(n_components, random_state=0, **params).fit(X)


def given(layer, x):
    """What a layer's units are given but for their biases, (n, units)."""
    with torch.no_grad():
        return (layer(x) - layer.bias).numpy()


@pytest.mark.parametrize("X", [DIGITS, WINE, 1e6 * WINE + 1e3, np.eye(178, 64) + WINE[:, :1]])
@pytest.mark.parametrize("scaling", ["global", "standard", None])
def test_first_layers_are_given_numbers_of_one_size(X, scaling):
    module = at_start(X, 3, scaling=scaling, hidden_layer_sizes=(2000,)).module_
    with torch.no_grad():
        x = module.to_scaled(torch.from_numpy(X))
        h = module.code(x)
    for layer, numbers in ((module.encoder.network[0], x), (module.decoder.network[0], h)):
        # of 2000 units the mean variance is met to some hundredths
        assert given(layer, numbers).std(0).__pow__(2).mean() ** 0.5 == pytest.approx(0.5, rel=0.1)
        with torch.no_grad():
            at_mean = layer(numbers.mean(0))
        assert float(at_mean.abs().max()) <= 1 + 1e-6
        assert float(at_mean.std()) == pytest.approx(3**-0.5, rel=0.1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", [(6,), (6, 5), (6, 5, 4)])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_is_pca_whatever_the_network(activation, tied, hidden, dtype):
    X = WINE.astype(dtype)
    estimator = at_start(X, 3, activation=activation, tied_weights=tied, hidden_layer_sizes=hidden)
    pca = PCA(3).fit(X)
    expected = pca.inverse_transform(pca.transform(X))
    atol = 1e-3 if dtype == "float32" else 1e-9  # of numbers up to 1680
    found = estimator.inverse_transform(estimator.transform(X))
    np.testing.assert_allclose(found, expected, atol=atol, rtol=0)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("activation", BENT)
def test_it_leaves_pca_with_every_activation(activation, tied):
    """Tied weights used to stay there: neither side learnt while the other was zero."""
    X = DIGITS[:600]
    estimator = AutoencoderTransformer(
        8, activation=activation, tied_weights=tied, max_iter=100, random_state=0
    ).fit(X)
    assert_not_worse(estimator, X, 8)
    assert estimator.reconstruction_error(X).mean() < 0.93 * pca_error(X, 8)


@pytest.mark.parametrize("hidden", [(64, 32), (32, 32, 16)])
def test_deep_tied_networks_leave_it_too(hidden):
    X = DIGITS[:600]
    estimator = AutoencoderTransformer(
        8, hidden, tied_weights=True, max_iter=60, random_state=0
    ).fit(X)
    assert estimator.reconstruction_error(X).mean() < 0.93 * pca_error(X, 8)


@pytest.mark.parametrize("scale", [1e-8, 1e30])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("activation", BENT)
def test_numbers_of_any_size_without_scaling(activation, tied, scale):
    X = np.random.default_rng(0).normal(size=(40, 5)) * scale
    estimator = AutoencoderTransformer(
        2, activation=activation, tied_weights=tied, scaling=None, max_iter=3, random_state=0
    ).fit(X)
    unit = X / scale
    found = estimator.inverse_transform(estimator.transform(X)) / scale
    assert ((found - unit) ** 2).mean() <= pca_error(unit, 2) * (1 + 1e-6)


@pytest.mark.parametrize("tied", [False, True])
def test_constant_rows(tied):
    X = np.full((9, 4), 3.0)
    estimator = AutoencoderTransformer(2, tied_weights=tied, max_iter=2, random_state=0).fit(X)
    np.testing.assert_allclose(estimator.inverse_transform(estimator.transform(X)), X, atol=1e-9)
