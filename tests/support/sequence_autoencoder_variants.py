"""Every variant of the sequence autoencoder, generated from the registries themselves."""

from itertools import product

import numpy as np
import pytest
from pairwise import all_pairs
from sequence_variants import assert_same, flat, ragged

from skaernn import SequenceAutoencoderTransformer
from skaernn._losses.reconstruction import LOSSES
from skaernn._training.solvers import SCHEDULES, SOLVERS
from skaernn.networks import CELLS

# Small and quick. Without a tolerance no plateau is waited for, so that three epochs are no
# ConvergenceWarning under any schedule.
SMALL = {"hidden_size": 3, "max_iter": 3, "tol": 0, "random_state": 0}


def unscaled(loss):
    """Whether a loss is defined on X as it is."""
    return LOSSES[loss].default_scaling is None


# A loss is read off the outputs of a decoder, whatever the cell in it: these two meet by turns,
# so that each is there with every shape of the network. Their numbers are tested by the oracles.
_FACTORS = {
    "cell": list(CELLS),
    "loss": list(LOSSES),
    "n_layers": [1, 2],
    "bidirectional": [False, True],
}


def _structures():
    usual = {"n_layers": 1, "bidirectional": False}
    for row in all_pairs(_FACTORS, most=len(CELLS) * len(LOSSES) - 1):
        yield {name: value for name, value in row.items() if usual.get(name, ...) != value}
    yield {"cell": "rnn", "activation": "relu"}


def _options():
    for solver, schedule in product(SOLVERS, SCHEDULES):
        yield {"solver": solver, "schedule": schedule}
    yield {"scaling": None}
    yield {"dtype": "float32"}
    yield {"dtype": "float64"}
    yield {"n_components": 5, "alpha": 0.1, "max_grad_norm": None}
    yield {"dropout": 0.3, "n_layers": 2, "bidirectional": True}
    yield {"early_stopping": True}
    yield {"batch_size": 7, "dropout": 0.3}


def _id(params):
    return "-".join(f"{name}={value}" for name, value in params.items())


def _params(variants):
    return [pytest.param(params, id=_id(params)) for params in variants]


STRUCTURES = _params(_structures())
VARIANTS = STRUCTURES + _params(_options())
CELLS_ALONE = _params({"cell": cell} for cell in CELLS)


def make(params=None, **more):
    """A small estimator with `params`."""
    return SequenceAutoencoderTransformer(**{**SMALL, **(params or {}), **more})


def data(params=None, n=24, n_channels=2, longest=6, seed=0, dtype=np.float64):
    """Sequences of unequal length that the loss of `params` takes."""
    X = ragged(n, n_channels, longest, seed, dtype)
    if unscaled((params or {}).get("loss", "squared_error")):
        X = [(0.5 + 0.5 * np.tanh(x)).astype(dtype) for x in X]
    return X


def answers(estimator, X, **how):
    """All that an estimator says of sequences, ragged answers in one piece."""
    lengths = how.get("lengths", [len(x) for x in X])
    codes = estimator.transform(X, **how)
    return {
        "transform": codes,
        "inverse_transform": flat(estimator.inverse_transform(codes, lengths=lengths)),
        "reconstruction_error": estimator.reconstruction_error(X, **how),
    }


def fitted_bits(estimator):
    """Everything a fit decides."""
    names = ("loss_curve_", "loss_", "best_loss_", "validation_scores_", "n_iter_", "t_",
             "best_validation_score_", "n_outputs_", "code_mean_", "code_covariance_",
             "n_steps_")  # fmt: skip
    weights = {name: w.numpy() for name, w in estimator.module_.state_dict().items()}
    return {**{name: getattr(estimator, name) for name in names}, **weights}


def assert_same_model(one, two, X):
    """The same fit, and the same answers, to the last bit."""
    assert_same(fitted_bits(two), fitted_bits(one))
    assert_same(answers(two, X), answers(one, X))
