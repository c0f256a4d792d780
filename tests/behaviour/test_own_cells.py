"""Do networks around a user's own module of sequences train, answer and refuse as others do?"""

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
from own_cells import (
    GOOD,
    Attention,
    FromTheEnd,
    MeanOfTheBatch,
    WrappedGRU,
    attention,
    normalised,
    wrapped_gru,
)
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from skaernn import (
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
)
from skaernn.networks import POOLINGS, OwnRecurrentNetwork, Packing
from skaernn.testing import check_sequence_estimator

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(n, 3)) for n in RNG.integers(2, 9, size=30)]
Y = np.array([x.sum() for x in X])
LENGTHS = [5, 4, 4, 1]
every_good = pytest.mark.parametrize("cell", GOOD.values(), ids=GOOD)


def make(cell=attention, **parameters):
    common = {"hidden_size": 4, "max_iter": 3, "random_state": 0, "batch_size": 10}
    return RNNSequenceRegressor(cell, **{**common, **parameters})


def no_dropout(n_inputs, hidden_size):
    module = Attention(n_inputs, hidden_size)
    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
        if isinstance(layer, nn.MultiheadAttention):
            layer.dropout = 0.0
    return module


class TestPasses:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
    @pytest.mark.parametrize("lengths", [LENGTHS, [4, 4, 4]], ids=str)
    @pytest.mark.parametrize("pooling", [None, *POOLINGS])
    def test_equal_autograd_around_the_module(self, pooling, lengths, dtype):
        network = OwnRecurrentNetwork(no_dropout, 3, 70, 2, pooling=pooling)
        generator = torch.Generator().manual_seed(0)
        theta = torch.empty(1, network.layout.size, dtype=dtype)
        network.start(theta[0], generator, 0.5)
        theta += 0.1 * torch.randn(theta.shape, generator=generator)
        grad = torch.full_like(theta, torch.nan)
        packing = Packing.of_lengths(torch.tensor(lengths))
        row, t = packing.positions()
        x = torch.randn(len(lengths), max(lengths), 3, dtype=dtype)
        passes = network.passes(network.bound(theta, grad), packing)
        passes.x.copy_(x[row, t])
        for _ in range(2):
            passes.forward()
            delta = torch.randn(passes.output.shape, dtype=dtype)
            passes.delta.copy_(delta)
            passes.backward()
        module = network.module(theta[0])
        output = module(x, torch.tensor(lengths))
        output = output[row, t] if pooling is None else output
        (output * delta[0]).sum().backward()
        expected = torch.zeros_like(theta[0])
        for name, place in network.places(expected).items():
            place.copy_(module.get_parameter(name).grad)
        # sums of some hundred products, relative to the largest
        tolerance = 1e-4 if dtype == torch.float32 else 1e-10
        assert (passes.output[0] - output).abs().max() <= tolerance * output.abs().max()
        assert (grad[0] - expected).abs().max() <= tolerance * expected.abs().max()

    def test_a_fit_is_that_of_a_plain_loop(self):
        """The same start, the same batches, Adam of torch's: the same losses."""
        rows = np.stack([x[:2] for x in X])
        model = make(wrapped_gru, batch_size=100, schedule="constant", scaling=None,
                     max_grad_norm=None, pooling="mean", tol=0, linear_path=False,
                     weight_decay=0).fit(rows, Y)  # fmt: skip
        network = model._fitted.network
        theta = torch.empty(network.layout.size, dtype=torch.float64)
        network.start(theta, torch.Generator().manual_seed(0), Y.mean())
        module = network.module(theta).train()
        solver, losses = torch.optim.Adam(module.parameters(), lr=1e-2), []
        for _ in range(3):
            loss = 0.5 * (module(torch.from_numpy(rows))[:, 0] - torch.from_numpy(Y)).square()
            losses.append(loss.mean())
            solver.zero_grad()
            losses[-1].backward()
            solver.step()
        np.testing.assert_allclose(
            model.loss_curve_, [float(loss.detach()) for loss in losses], rtol=1e-9
        )


@every_good
class TestContracts:
    @pytest.mark.parametrize("pooling", POOLINGS)
    def test_learns_and_answers_the_same_in_every_form(self, cell, pooling):
        model = make(cell, pooling=pooling, max_iter=20).fit(X, Y)
        assert model.loss_curve_[-1] < model.loss_curve_[0]
        padded = np.zeros((len(X), 12, 3))
        for row, x in zip(padded, X, strict=True):
            row[: len(x)] = x
        lengths = [len(x) for x in X]
        expected = model.predict(X)
        np.testing.assert_allclose(model.predict(padded, lengths=lengths), expected, rtol=1e-9)
        np.testing.assert_allclose(model.predict(X[:3]), expected[:3], rtol=1e-9)
        with torch.inference_mode():
            plain = model.module_(torch.from_numpy(padded), torch.tensor(lengths))[:, 0]
        np.testing.assert_allclose(plain, expected, rtol=1e-9)

    def test_the_same_seed_gives_the_same_bits_and_touches_nothing(self, cell):
        state = torch.get_rng_state()
        first, second = make(cell).fit(X, Y), make(cell).fit(X, Y)
        assert torch.equal(torch.get_rng_state(), state)
        assert first.loss_curve_ == second.loss_curve_
        assert np.array_equal(first.predict(X), second.predict(X))

    def test_copies_go_on_alike(self, cell):
        model = make(cell).fit(X, Y)
        for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            assert np.array_equal(other.predict(X), model.predict(X))
            other.partial_fit(X, Y)
        here = copy.deepcopy(model).partial_fit(X, Y)
        assert np.array_equal(other.predict(X), here.predict(X))
        assert clone(model).get_params() == model.get_params()

    def test_weights_count_as_repetition(self, cell):
        weight = np.arange(len(X)) % 3
        rows = zip(X, weight, strict=True)
        twice = list(itertools.chain.from_iterable([x] * w for x, w in rows))
        one = make(cell, batch_size=1000).fit(X, Y, sample_weight=weight)
        other = make(cell, batch_size=1000).fit(twice, np.repeat(Y, weight))
        if cell is normalised:  # a batch's moments know no weights
            return
        np.testing.assert_allclose(one.predict(X), other.predict(X), atol=1e-7)

    def test_codes(self, cell):
        model = SequenceAutoencoderTransformer(2, 4, cell=cell, max_iter=3, random_state=0).fit(X)
        codes = model.transform(X)
        assert codes.shape == (len(X), 2)
        back = pickle.loads(pickle.dumps(model)).inverse_transform(codes, lengths=[4] * len(X))
        assert back[0].shape == (4, 3)

    def test_early_stopping_warm_start_and_steps(self, cell):
        make(cell, early_stopping=True).fit(X, Y)
        model = make(cell, warm_start=True).fit(X, Y)
        assert model.fit(X, Y).n_iter_ == 6
        steps = make(cell, return_sequences=True, dropout=0.3).fit(X, X)
        assert steps.predict(X)[0].shape == X[0].shape


def test_in_a_grid_search_and_as_a_classifier():
    y = (Y > 0).astype(int)
    model = RNNSequenceClassifier(wrapped_gru, 4, max_iter=3, random_state=0)
    search = GridSearchCV(model, {"cell": ["gru", wrapped_gru]}, cv=2).fit(X, y)
    assert search.predict_proba(X).shape == (len(X), 2)


def test_forecasts_read_the_whole_again():
    series = [np.cumsum(RNG.normal(size=(8, 3)), axis=0) for _ in range(6)]
    model = make(return_sequences=True).fit([s[:-1] for s in series], [s[1:] for s in series])
    assert model.forecast(series, n_steps=2).shape == (6, 2, 3)


class TestChecks:
    @pytest.mark.parametrize("cell", [attention, wrapped_gru])
    def test_good_modules_pass(self, cell):
        check_sequence_estimator(make(cell, batch_size="auto"))

    @pytest.mark.parametrize("module", [FromTheEnd, MeanOfTheBatch])
    def test_careless_modules_are_told(self, module):
        def cell(n_inputs, hidden_size):
            return module(n_inputs, hidden_size)

        with pytest.raises(AssertionError):
            check_sequence_estimator(make(cell, batch_size="auto"))


class TestRefusals:
    @pytest.mark.parametrize(
        ("parameters", "words"),
        [
            ({"n_layers": 2}, "n_layers=2 is not possible"),
            ({"bidirectional": True}, "bidirectional=True is not possible"),
            ({"activation": "relu"}, "activation='relu' is not possible"),
            ({"solver": "lbfgs"}, "does not support cell="),
        ],
    )
    def test_parameters(self, parameters, words):
        with pytest.raises(ValueError, match=words):
            make(**parameters).fit(X, Y)

    def test_states(self):
        model = make().fit(X, Y)
        for call in (
            lambda: model.predict(X, return_state=True),
            lambda: model.predict(X, initial_state=np.zeros((len(X), 0))),
            lambda: make().fit(X, Y, initial_state=np.zeros((len(X), 4))),
        ):
            with pytest.raises(ValueError, match="a cell of your own"):
                call()

    @pytest.mark.parametrize(
        ("cell", "error", "words"),
        [
            (WrappedGRU(3, 4), TypeError, "must be a function"),
            (lambda n, h: "nothing", TypeError, "it returned str"),
            (lambda n, h: nn.Linear(n, h), ValueError, "failed on"),
            (lambda n, h: nn.Bilinear(3, 3, 4), ValueError, "failed on"),
            (nn.GRU, ValueError, "failed on"),
            (lambda n, h: WrappedGRU(n, 5), ValueError, r"\(2, 3, 5\)"),
        ],
        ids=["module", "no module", "one argument", "other arguments", "torch's", "width"],
    )  # fmt: skip
    def test_what_a_factory_returns(self, cell, error, words):
        with pytest.raises(error, match=words):
            make(cell).fit(X, Y)
