"""Networks of tokens against autograd, a loop in NumPy, and one-hot inputs of a linear layer."""

import itertools

import numpy as np
import pytest
import torch
from own_cells import wrapped_gru
from torch import nn

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor
from skaernn.networks import (
    CELLS,
    POOLINGS,
    EmbeddedNetwork,
    OwnRecurrentNetwork,
    Packing,
    RecurrentNetwork,
)

N, E, H, N_OUTPUTS = 7, 3, 4, 2
LENGTHS = {"equal": [5, 5, 5], "ragged": [6, 4, 4, 1], "one row": [3]}
SHAPES = list(itertools.product([1, 2], [False, True]))


def assert_passes_equal_autograd(
    reader, lengths, dtype=torch.float64, tolerance=1e-12, *, bag=False
):
    network = EmbeddedNetwork(reader, N, bag)
    generator = torch.Generator().manual_seed(0)
    theta = torch.empty(1, network.layout.size, dtype=dtype)
    network.start(theta[0], generator)
    theta += 0.3 * torch.randn(theta.shape, generator=generator, dtype=dtype)
    packing = Packing.of_lengths(torch.tensor(lengths))
    row, t = packing.positions()
    tokens = torch.randint(N, (len(lengths), max(lengths)), generator=generator)
    grad = torch.full_like(theta, torch.nan)
    passes = network.passes(network.bound(theta, grad), packing)
    passes.x.copy_(tokens[row, t][:, None])
    delta = torch.randn(passes.output.shape, generator=generator, dtype=dtype)
    for _ in range(2):  # buffers are used again
        passes.forward()
        passes.delta.copy_(delta)
        passes.backward()
    module = network.module(theta[0])
    output = module(tokens, torch.tensor(lengths))
    output = output[row, t] if reader.pooling is None else output
    (output * delta[0]).sum().backward()
    torch.testing.assert_close(passes.output[0], output.detach(), rtol=tolerance, atol=tolerance)
    own, table, of_bag = network.parts(grad[0])
    if bag:
        expected = module.bag.weight.grad
        torch.testing.assert_close(of_bag, expected, rtol=tolerance, atol=tolerance)
    expected = module.embedding.weight.grad
    torch.testing.assert_close(table, expected, rtol=tolerance, atol=tolerance)
    weight = module.network.output.weight.grad.T
    found = own[-weight.numel() - N_OUTPUTS : -N_OUTPUTS].view(weight.shape)
    if isinstance(reader, RecurrentNetwork):  # others have their own order
        torch.testing.assert_close(found, weight, rtol=tolerance, atol=tolerance)


class TestPasses:
    @pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    @pytest.mark.parametrize("pooling", [None, *POOLINGS])
    @pytest.mark.parametrize("cell", CELLS)
    def test_equal_autograd(self, cell, pooling, shape, lengths):
        how = {"n_layers": shape[0], "bidirectional": shape[1], "input_skip": False}
        reader = RecurrentNetwork(E, H, N_OUTPUTS, cell=cell, pooling=pooling, **how)
        assert_passes_equal_autograd(reader, lengths)

    @pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
    @pytest.mark.parametrize("cell", CELLS)
    def test_equal_autograd_in_single_precision(self, cell, lengths):
        reader = RecurrentNetwork(E, H, N_OUTPUTS, cell=cell, input_skip=False)
        # a few dozen roundings of numbers around one
        assert_passes_equal_autograd(reader, lengths, torch.float32, 2e-5)

    @pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    @pytest.mark.parametrize("pooling", [None, *POOLINGS])
    def test_bag_of_words(self, pooling, shape, lengths):
        how = {"n_layers": shape[0], "bidirectional": shape[1], "input_skip": False}
        reader = RecurrentNetwork(E, H, N_OUTPUTS, cell="gru", pooling=pooling, **how)
        assert_passes_equal_autograd(reader, lengths, bag=True)

    @pytest.mark.parametrize("bag", [False, True])
    @pytest.mark.parametrize("pooling", [None, *POOLINGS])
    def test_own_module(self, pooling, bag):
        reader = OwnRecurrentNetwork(
            wrapped_gru, E, H, N_OUTPUTS, pooling=pooling, input_skip=False
        )
        assert_passes_equal_autograd(reader, LENGTHS["ragged"], bag=bag)

    def test_module_that_does_not_look_at_its_input(self):
        class Blind(nn.Module):
            def __init__(self, n_inputs, hidden_size):
                super().__init__()
                self.constant = nn.Parameter(torch.ones(hidden_size))

            def forward(self, x, lengths):
                return self.constant.expand(*x.shape[:2], -1)

        X, y = [[1, 2], [3]], [0.0, 1.0]
        model = RNNSequenceRegressor(Blind, embedding_size=2, max_iter=2, random_state=0).fit(X, y)
        assert np.isfinite(model.predict(X)).all()

    def test_token_that_comes_often(self):
        """Its vector has the sum of all gradients, and those that do not come have none."""
        network = EmbeddedNetwork(RecurrentNetwork(E, H, 1, input_skip=False), N)
        theta = torch.randn(1, network.layout.size, dtype=torch.float64)
        grad = torch.full_like(theta, torch.nan)
        packing = Packing.uniform(4, 50)
        passes = network.passes(network.bound(theta, grad), packing)
        passes.x.fill_(2)
        passes.forward()
        passes.delta.fill_(1)
        passes.backward()
        table = network.parts(grad[0])[1]
        assert table[2].all()
        assert not table[[0, 1, 3, 4, 5, 6]].any()


def tokens_of(rng, n, n_tokens=12, longest=9):
    return [rng.integers(1, n_tokens, rng.integers(1, longest)) for _ in range(n)]


def test_a_loop_in_numpy():
    """An LSTM as the textbooks have it, on the vectors of the table."""
    rng = np.random.default_rng(0)
    X = tokens_of(rng, 40)
    y = rng.normal(size=40)
    model = RNNSequenceRegressor("lstm", 5, embedding_size=4, max_iter=5, dtype="float64")
    model.set_params(pooling="mean", linear_path=False, random_state=0).fit(X, y)
    weights = {name: value.numpy() for name, value in model.module_.state_dict().items()}

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    expected = []
    for x in X:
        h, c, total = np.zeros(5), np.zeros(5), np.zeros(5)
        for token in x:
            gates = weights["network.layers.weight_ih_l0"] @ weights["embedding.weight"][token]
            gates += weights["network.layers.bias_ih_l0"] + weights["network.layers.bias_hh_l0"]
            gates += weights["network.layers.weight_hh_l0"] @ h
            i, f, g, o = np.split(gates, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            total += h
        output = weights["network.output.weight"] @ (total / len(x))
        output += weights["network.output.bias"]
        expected.append(output[0] * weights["network.y_scale"] + weights["network.y_mean"])
    # a few hundred roundings of numbers around one
    np.testing.assert_allclose(model.predict(X), np.ravel(expected), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_passes_go_on_from_states(pooling):
    """As predictions do, which have a way of their own."""
    rng = np.random.default_rng(0)
    X = sorted(tokens_of(rng, 20), key=len, reverse=True)
    model = RNNSequenceRegressor("gru", 5, embedding_size=4, max_iter=5, dtype="float64")
    model.set_params(pooling=pooling, random_state=0).fit(X, rng.normal(size=20))
    assert model.linear_path_ == "pooled"
    state = model.predict(X[::-1], return_state=True)[1]
    network, module = model._fitted.network, model.module_
    theta = torch.empty(1, network.layout.size, dtype=torch.float64)
    with torch.no_grad():
        network.pack(module, theta[0])
        packing = Packing.of_lengths(torch.tensor([len(x) for x in X]))
        passes = network.passes(network.bound(theta, None), packing)
        row, t = packing.positions()
        passes.x[:, 0] = torch.tensor([X[i][j] for i, j in zip(row, t, strict=True)])
        passes.set_state(torch.from_numpy(state))
        passes.forward()
        found = module.to_units(passes.output[0])[:, 0]
    expected = model.predict(X, initial_state=state)
    assert (expected != model.predict(X)).all()
    # sums in another order
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


class LinearGRU(nn.Module):
    """A GRU on the vectors that a linear layer makes of one-hot steps."""

    def __init__(self, n_inputs, hidden_size):
        super().__init__()
        self.embed = nn.Linear(n_inputs, E, bias=False)
        self.gru = wrapped_gru(E, hidden_size)

    def forward(self, x, lengths):
        return self.gru(self.embed(x), lengths)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_linear_layer_of_one_hot_steps_learns_the_same(solver):
    rng = np.random.default_rng(0)
    X = tokens_of(rng, 60)
    y = np.array([np.sum(x == 3) > np.sum(x == 4) for x in X])
    how = {"hidden_size": H, "dtype": "float64", "random_state": 0, "max_iter": 1}
    how.update(solver=solver, alpha=0.01, tol=0, warm_start=True, linear_path=False)
    tokens = RNNSequenceClassifier(wrapped_gru, embedding_size=E, **how).fit(X, y)
    one_hot = RNNSequenceClassifier(LinearGRU, scaling=None, input_skip=False, **how)
    encoded = [np.eye(12)[x] for x in X]
    one_hot.fit(encoded, y)
    ours, theirs = tokens.module_, one_hot.module_
    with torch.no_grad():
        ours.embedding.weight.normal_(generator=torch.Generator().manual_seed(1))
        theirs.layers.own.embed.weight.copy_(ours.embedding.weight.T)
        theirs.layers.own.gru.load_state_dict(ours.network.layers.own.state_dict())
        theirs.output.load_state_dict(ours.network.output.state_dict())
    tokens.set_params(max_iter=15).fit(X, y)
    one_hot.set_params(max_iter=15).fit(encoded, y)
    # roundings, in another order, that Adam lets grow for fifteen steps
    np.testing.assert_allclose(tokens.loss_curve_[1:], one_hot.loss_curve_[1:], rtol=1e-7)
    np.testing.assert_allclose(
        tokens.predict_proba(X), one_hot.predict_proba(encoded), rtol=1e-6, atol=1e-8
    )
    assert tokens.loss_curve_[-1] < tokens.loss_curve_[1]
