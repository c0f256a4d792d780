"""Autoencoders in odd places: far from the training rows, at odd scales, with odd parameters."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from skaernn import (
    AutoencoderTransformer,
    SequenceAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skaernn._rows.principal import PrincipalComponents

X = load_iris().data
BOTH = [AutoencoderTransformer, VariationalAutoencoderTransformer]


def make(kind=VariationalAutoencoderTransformer, **parameters):
    return kind(max_iter=5, random_state=0, **parameters)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_counts_far_away_are_anomalous(kind, dtype):
    model = make(kind, loss="poisson").fit(X.astype(dtype))
    far = X[:5].astype(dtype) * dtype(1e4)
    assert np.isinf(model.inverse_transform(model.transform(far))).any()
    with np.errstate(all="raise"):
        scores = model.score_samples(far)
    assert not np.isnan(scores).any()
    assert scores.max() < model.score_samples(X).min()


def test_counts_far_away_have_importance_weighted_bounds():
    model = make(loss="poisson").fit(X)
    assert (model.score_samples(X[:5] * 1e4, 3) < model.score_samples(X, 3).min()).all()


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("now", ["poisson", "binary_cross_entropy", "no loss at all"])
def test_scores_are_of_the_loss_that_was_fitted(kind, now):
    model = make(kind).fit(X)
    before = model.score_samples(X), model.reconstruction_error(X)
    model.set_params(loss=now)
    np.testing.assert_array_equal(model.score_samples(X), before[0])
    np.testing.assert_array_equal(model.reconstruction_error(X), before[1])


def test_counts_stay_counts():
    model = make(loss="poisson").fit(X)
    before = model.score_samples(X)
    model.set_params(loss="squared_error")
    np.testing.assert_array_equal(model.score_samples(X), before)
    with pytest.raises(ValueError, match="loss='poisson' needs X to be non-negative"):
        model.score_samples(-X)


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_unscaled_variance_out_of_range(scale):
    model = make(scaling=None, dtype="float32")
    with pytest.raises(ValueError, match=r"out of the range of float32\. Scale X"):
        model.fit((X * scale).astype(np.float32))
    assert not hasattr(model, "module_")
    make().fit((X * scale).astype(np.float32))


def test_later_rows_at_other_scales():
    model = make().partial_fit(X)
    with pytest.warns(ConvergenceWarning, match="not finite"):
        model.partial_fit(X * 1e200)
    model.partial_fit((X - X[0]) * 1e-200)
    assert np.isfinite(model.score_samples(X)).all()


def test_probabilistic_start_in_any_units():
    variances = torch.tensor([4.0, 2.0, 1.0, 0.5], dtype=torch.float64)
    axes = torch.eye(4, dtype=torch.float64)
    small, large = (PrincipalComponents(axes[0], axes, variances, u) for u in (1.0, 2.0**1000))
    for units, one, other in zip(
        (2.0**1000, 2.0**-1000, 1.0), small.probabilistic(2), large.probabilistic(2), strict=True
    ):
        assert torch.equal(one * units, other)


def test_counts_too_large_to_be_squared():
    with pytest.warns(ConvergenceWarning, match="scale X"):
        model = make(loss="poisson").fit(X * 1e299)
    assert np.isfinite(model.transform(X * 1e299)).all()


@pytest.mark.parametrize("kind", BOTH)
def test_validation_rows_are_named(kind):
    model = make(kind, loss="poisson", early_stopping=True)
    with pytest.raises(ValueError, match="needs X_val to be non-negative, but it lies in"):
        model.fit(X, X_val=-X)


@pytest.mark.parametrize("kind", [AutoencoderTransformer, SequenceAutoencoderTransformer])
def test_errors_beyond_float32_are_infinite_without_a_warning(kind):
    large = (X * 1e30).astype(np.float32)
    model = make(kind, scaling="standard").fit(large)
    assert np.isfinite(model.score_samples(large)).all()
    assert np.isposinf(model.reconstruction_error(large, raw_units=True)).any()


def test_a_module_is_no_architecture():
    with pytest.raises(TypeError, match=r"makes networks, got a torch\.nn\.Module"):
        AutoencoderTransformer(architecture=torch.nn.Linear(4, 2)).fit(np.eye(4))


def test_autograd_needs_no_import_that_an_interrupt_could_break():
    code = (
        "import sys, numpy as np\n"
        "from skaernn import AutoencoderTransformer\n"
        "X = np.random.default_rng(0).normal(size=(20, 9))\n"
        "AutoencoderTransformer(architecture='convolutional', max_iter=1).fit(X)\n"
        "print('sympy' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False"]
