"""A fit in float32 and the same fit in float64 tell the same story.

Its loss curves agree within 2e-3 of their largest value, where all rows are one batch: then their
order, which a hash of their bytes decides, does not matter. `dtype` chooses; X stays the same, and
so do the hashes that noise is a function of.
"""

import numpy as np
import pytest

from skaernn import (
    AutoencoderTransformer,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skaernn._losses.likelihoods import LIKELIHOODS
from skaernn._losses.reconstruction import LOSSES
from skaernn._losses.targets import TARGET_LOSSES
from skaernn._training.solvers import SOLVERS
from skaernn.networks import ACTIVATIONS, CELLS, CORRUPTIONS, PENALTIES, POOLINGS

WIDTHS = [(16,), (130, 70)]
ROWS = np.random.default_rng(0).random((60, 7))
STEPS = np.random.default_rng(1).random((20, 30, 3))
ANSWERS = np.sin(40 * STEPS.mean(axis=(1, 2))) ** 2  # that are no linear function
RAGGED = [x[: 3 + i] for i, x in enumerate(STEPS)]


# The output layer starts at zero: some first gradients are zero but for rounding, which Adam
# turns into whole steps.
PLAIN = {"solver": "sgd", "learning_rate": 0.1, "max_iter": 5}


def assert_same_story(make, *data):
    curves = []
    for dtype in ("float32", "float64"):
        model = make.set_params(dtype=dtype, random_state=0, batch_size=100)
        curves.append(np.array(model.fit(*data).loss_curve_))
    scale = np.abs(curves[1]).max()
    assert np.abs(curves[0] - curves[1]).max() <= 2e-3 * scale


class TestVectors:
    @pytest.mark.parametrize("linear_path", [True, False])
    @pytest.mark.parametrize("widths", WIDTHS, ids=str)
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_activations(self, activation, widths, linear_path):
        make = AutoencoderTransformer(
            3, widths, activation=activation, linear_path=linear_path, max_iter=10
        )
        assert_same_story(make, ROWS)

    @pytest.mark.parametrize("where", ["code_activation", "output_activation"])
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_activations_at_the_ends(self, activation, where):
        make = AutoencoderTransformer(
            70, (130,), linear_path=False, max_iter=10, **{where: activation}
        )
        assert_same_story(make, ROWS)

    @pytest.mark.parametrize("widths", WIDTHS, ids=str)
    @pytest.mark.parametrize("loss", LOSSES)
    def test_losses(self, loss, widths):
        assert_same_story(AutoencoderTransformer(3, widths, loss=loss, max_iter=10), ROWS)

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_solvers(self, solver):
        make = AutoencoderTransformer(3, (130,), solver=solver, max_iter=6, tol=0)
        assert_same_story(make, ROWS)

    @pytest.mark.parametrize("penalty", PENALTIES)
    def test_penalties(self, penalty):
        make = AutoencoderTransformer(
            70, (130,), code_penalty=penalty, code_activation="logistic", max_iter=6
        )
        assert_same_story(make, ROWS)

    @pytest.mark.parametrize("corruption", CORRUPTIONS)
    def test_corruptions(self, corruption):
        make = AutoencoderTransformer(3, (130,), corruption=corruption, max_iter=10)
        assert_same_story(make, ROWS)

    @pytest.mark.parametrize("options", [{"tied_weights": True}, {"dropout": 0.3},
                             {"architecture": "convolutional"}], ids=str)  # fmt: skip
    def test_other_networks(self, options):
        assert_same_story(AutoencoderTransformer(3, (70,), max_iter=6, **options), ROWS)

    @pytest.mark.parametrize("widths", WIDTHS, ids=str)
    @pytest.mark.parametrize("loss", LIKELIHOODS)
    def test_likelihoods(self, loss, widths):
        make = VariationalAutoencoderTransformer(3, widths, loss=loss, max_iter=10)
        assert_same_story(make, ROWS)


class TestSequences:
    @pytest.mark.parametrize("X", [STEPS, RAGGED], ids=["even", "ragged"])
    @pytest.mark.parametrize("hidden_size", [16, 70])
    @pytest.mark.parametrize("cell", CELLS)
    def test_cells(self, cell, hidden_size, X):
        y = [np.sin(x.sum()) for x in X]
        make = RNNSequenceRegressor(cell, hidden_size, n_layers=2, **PLAIN)
        assert_same_story(make, X, y)
        make = SequenceAutoencoderTransformer(3, hidden_size, cell=cell, **PLAIN)
        assert_same_story(make, X)

    @pytest.mark.parametrize("pooling", POOLINGS)
    def test_poolings(self, pooling):
        y = np.arange(len(RAGGED)) % 3
        make = RNNSequenceClassifier("gru", 70, pooling=pooling, bidirectional=True, **PLAIN)
        assert_same_story(make, RAGGED, y)

    @pytest.mark.parametrize("loss", TARGET_LOSSES)
    def test_losses(self, loss):
        y = ANSWERS
        make = RNNSequenceRegressor("gru", 70, loss=loss, quantile=0.3, **PLAIN)
        assert_same_story(make, STEPS, y)

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_output_activations(self, activation):
        make = RNNSequenceRegressor(
            "rnn", 70, output_activation=activation, return_sequences=True, **PLAIN
        )
        assert_same_story(make, STEPS, np.sin(9 * STEPS) ** 2)

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_solvers(self, solver):
        make = RNNSequenceRegressor("gru", 16, solver=solver, max_iter=4, tol=0)
        assert_same_story(make, STEPS, ANSWERS)
