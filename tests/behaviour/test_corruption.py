"""Corruption: is the noise what it is called, and does a network trained on it denoise?"""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from objectives import TORCH_LOSSES, assert_equals_autograd, batch_of, make_objective, several
from sklearn.datasets import load_digits

from skaernn import AutoencoderTransformer
from skaernn.networks import CORRUPTIONS, Corrupter, Range, normal

DIGITS = load_digits().data / 16
KEYS = torch.from_numpy(np.random.default_rng(0).integers(-(2**63), 2**63, 4000))
ROWS = torch.rand(4000, 30, generator=torch.Generator().manual_seed(0)).double() + 1
LIMITS = Range(-torch.arange(30.0).double() - 1, torch.arange(30.0).double() + 100)


def corrupted(name, level=0.2, x=ROWS, keys=KEYS, seed=5, epoch=1):
    return Corrupter(CORRUPTIONS[name], level, LIMITS)(x, keys, seed, epoch)


# A share of 120 000 numbers is off by more than five deviations once in a million times.
def share(found, expected):
    return found == pytest.approx(expected, abs=5 * np.sqrt(expected * (1 - expected) / 120_000))


@pytest.mark.parametrize("level", [0.05, 0.2, 0.7])
def test_masking_puts_zeros_at_its_rate(level):
    rows = corrupted("masking", level)
    hit = rows == 0
    assert share(float(hit.double().mean()), level)
    assert torch.equal(rows[~hit], ROWS[~hit])


@pytest.mark.parametrize("level", [0.05, 0.2, 0.7])
def test_salt_and_pepper_puts_each_features_ends_at_its_rate(level):
    rows = corrupted("salt_and_pepper", level)
    low, high = rows == LIMITS.low, rows == LIMITS.high
    assert share(float(low.double().mean()), level / 2)
    assert share(float(high.double().mean()), level / 2)
    assert torch.equal(rows[~(low | high)], ROWS[~(low | high)])


@pytest.mark.parametrize("level", [0.05, 0.2, 3.0])
def test_gaussian_adds_noise_of_its_deviation(level):
    noise = (corrupted("gaussian", level) - ROWS) / level
    assert float(noise.mean()) == pytest.approx(0, abs=5 / np.sqrt(noise.numel()))
    assert float(noise.var()) == pytest.approx(1, abs=5 * np.sqrt(2 / noise.numel()))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_whole_share_and_nothing(name):
    assert torch.equal(corrupted(name, 0.0), ROWS)
    changed = corrupted(name, 1.0) != ROWS
    assert changed.all()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_depends_on_seed_epoch_and_content_alone(name):
    rows = corrupted(name)
    order = torch.randperm(len(ROWS), generator=torch.Generator().manual_seed(1))[:99]
    assert torch.equal(corrupted(name, x=ROWS[order], keys=KEYS[order]), rows[order])
    same = corrupted(name, x=ROWS[:1].expand(50, -1), keys=KEYS[:1].expand(50))
    assert torch.equal(same, rows[:1].expand(50, -1))
    for change in ({"seed": 6}, {"epoch": 2}, {"keys": KEYS + 1}):
        assert not torch.equal(corrupted(name, **change), rows)


@pytest.mark.parametrize("width", [1, 2, 7, 50])
def test_normal_numbers_are_normal_and_independent(width):
    draws = normal(KEYS, 17, width)
    assert draws.shape == (4000, width)
    assert draws.isfinite().all()
    n = draws.numel()
    # Deviations of the first four moments of n standard normal numbers
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        found = float((draws**power).mean())
        assert found == pytest.approx(moment, abs=5 * np.sqrt(variance / n))
    # Kolmogorov & Smirnov: once in a million fits the distance exceeds 2.7 / sqrt(n)
    ranked = torch.special.ndtr(draws.flatten().sort().values)
    distance = (ranked - torch.arange(n).double() / n).abs().max()
    assert float(distance) < 2.7 / np.sqrt(n)
    covariance = draws.T @ draws / 4000 - torch.eye(width)
    assert float(covariance.fill_diagonal_(0).abs().max()) < 5.5 / np.sqrt(4000)
    assert torch.equal(normal(KEYS.flip(0), 17, width), draws.flip(0))
    assert not torch.equal(normal(KEYS, 18, width), draws)


def test_corruption_and_other_noise_are_apart():
    """A number that dropout or a code would draw from is not what corruption draws from."""
    noise = (corrupted("gaussian", 1.0) - ROWS).flatten()
    other = normal(KEYS, 5, 30).flatten()
    assert abs(float((noise * other).mean())) < 5 / np.sqrt(len(noise))


@pytest.mark.parametrize("epoch", [0, 7])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corrupted_rows_are_read_and_clean_ones_are_the_target(name, epoch):
    limits = Range(-torch.ones(7).double(), torch.linspace(2, 3, 7).double())
    corrupter = Corrupter(CORRUPTIONS[name], 0.3, limits)
    objective, theta = make_objective(
        alpha=0.0, corrupter=corrupter, hidden_layer_sizes=(6,), activation="tanh",
        linear_path=True,
    )  # fmt: skip
    batch, x, weight = batch_of(objective, epoch)
    noisy = corrupter(x, batch.keys, objective.seed, epoch)
    assert not torch.equal(noisy, x)

    def value_of(module):
        return (weight * TORCH_LOSSES["squared_error"](module(noisy), x)).sum()

    assert_equals_autograd(objective, several(theta), value_of, epoch)


# What users see, on images.

PIXELS = {
    "gaussian": lambda X, rng, level: X + level * rng.normal(size=X.shape),
    "masking": lambda X, rng, level: np.where(rng.random(X.shape) < level, X.mean(0), X),
    "salt_and_pepper": lambda X, rng, level: np.where(
        rng.random(X.shape) < level,
        np.where(rng.random(X.shape) < 0.5, X.min(0), X.max(0)),
        X,
    ),
}


def test_every_corruption_is_tried_on_images():
    assert set(PIXELS) == set(CORRUPTIONS)


def fitted(X=DIGITS[:1200], **parameters):
    options = {"n_components": 16, "max_iter": 15, "learning_rate": 3e-3, "random_state": 0}
    return AutoencoderTransformer(**{**options, **parameters}).fit(X)


@pytest.mark.parametrize(
    ("name", "level"), [("gaussian", 0.3), ("masking", 0.3), ("salt_and_pepper", 0.2)]
)
def test_noisy_images_come_back_cleaner(name, level):
    clean = DIGITS[1200:]
    plain = fitted(n_components=40)
    noisy = PIXELS[name](clean, np.random.default_rng(0), level)
    denoiser = fitted(n_components=40, corruption=name, corruption_level=level)
    back = denoiser.inverse_transform(denoiser.transform(noisy))
    ordinary = plain.inverse_transform(plain.transform(noisy))
    error = ((back - clean) ** 2).mean()
    assert error < 0.75 * ((noisy - clean) ** 2).mean()
    assert error < 0.75 * ((ordinary - clean) ** 2).mean()


@pytest.mark.parametrize("options", [{}, {"batch_size": 50}, {"early_stopping": True}])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_level_zero_is_no_corruption(name, options):
    X = DIGITS[:200]
    options = {"max_iter": 3, "learning_rate": 1e-3, "tol": 0, **options}
    with_it = fitted(X, corruption=name, corruption_level=0.0, **options)
    without = fitted(X, **options)
    np.testing.assert_array_equal(with_it.transform(X), without.transform(X))
    assert with_it.loss_curve_ == pytest.approx(without.loss_curve_, rel=1e-12)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_only_training_corrupts(name):
    X = DIGITS[:200]
    estimator = fitted(X, corruption=name, corruption_level=0.9, max_iter=2)
    codes = estimator.transform(X)
    np.testing.assert_array_equal(estimator.transform(X), codes)
    with torch.inference_mode():
        plain = estimator.module_.encode(torch.from_numpy(X))
    np.testing.assert_allclose(codes, plain, rtol=1e-12, atol=1e-12)
    back = estimator.inverse_transform(codes)
    np.testing.assert_allclose(estimator.reconstruction_error(X), ((back - X) ** 2).mean(1))


def test_ends_of_the_first_rows_hold_for_later_ones():
    first, later = DIGITS[:100], 5 * DIGITS[100:200] - 2
    estimator = fitted(first, corruption="salt_and_pepper", max_iter=1, scaling=None)
    low, high = (end.copy() for end in estimator._fitted.limits)
    np.testing.assert_array_equal(low, first.min(0))
    np.testing.assert_array_equal(high, first.max(0))
    twin = copy.deepcopy(estimator)
    estimator.partial_fit(later)
    np.testing.assert_array_equal(estimator._fitted.limits, (low, high))
    ends = later.min(0), later.max(0)  # what they would be, if calls set their own
    twin._fitted = dataclasses.replace(twin._fitted, limits=ends)
    twin.partial_fit(later)
    assert not np.array_equal(twin.transform(first), estimator.transform(first))


def test_ends_are_those_of_scaled_rows_that_count():
    X = np.vstack([DIGITS[:100], np.full((1, 64), 1e3)])
    weight = np.r_[np.ones(100), 0.0]
    estimator = AutoencoderTransformer(
        corruption="salt_and_pepper", scaling="standard", max_iter=1, random_state=0
    ).fit(X, sample_weight=weight)
    deviation = X[:100].std(0)
    scaled = (X[:100] - X[:100].mean(0)) / np.where(deviation > 0, deviation, 1)
    np.testing.assert_allclose(estimator._fitted.limits, (scaled.min(0), scaled.max(0)), atol=1e-9)


UNITS = np.geomspace(1e-3, 1e3, 6)


def read_by_the_encoder(X, **parameters):
    """What the noise of the first epoch adds to X, in X's own units."""
    from skaernn._training.vectors import _ReconstructionWorkspace

    seen = []
    load = _ReconstructionWorkspace._load

    def noting(self, batch):
        load(self, batch)
        seen.append((self._passes.x[0].clone(), self._target[0].clone()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_ReconstructionWorkspace, "_load", noting)
        patch.setattr("skaernn._training.vectors.pays", lambda *sizes: False)
        model = fitted(X, n_components=2, max_iter=1, corruption="gaussian", **parameters)
    scale = 1.0 if model.module_.scale is None else model.module_.scale
    noisy, clean = seen[0]
    return ((noisy - clean) * scale).numpy()


@pytest.mark.parametrize("scaling", ["global", "standard", None])
@pytest.mark.parametrize("level", [0.05, 7.0])
def test_gaussian_noise_is_in_the_units_of_X(level, scaling):
    X = np.random.default_rng(0).normal(size=(3000, 6)) * UNITS
    noise = read_by_the_encoder(X, corruption_level=level, scaling=scaling)
    np.testing.assert_allclose(noise.std(0), level, rtol=0.2)  # of the 200 rows of a batch
    np.testing.assert_allclose(noise.std(), level, rtol=0.1)


@pytest.mark.parametrize("scaling", ["global", "standard", None])
def test_noise_that_is_not_said_goes_with_the_spread_of_X(scaling):
    X = np.random.default_rng(0).normal(size=(3000, 6)) * UNITS
    noise = read_by_the_encoder(X, scaling=scaling)
    own = X.std(0) if scaling == "standard" else np.full(6, X.var(0).mean() ** 0.5)
    np.testing.assert_allclose(noise.std(0), 0.2 * own, rtol=0.2)


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - {"gaussian"}))
def test_a_share_that_is_not_said(name):
    X = DIGITS[:200]
    said, not_said = (
        fitted(X, corruption=name, max_iter=2, tol=0, **level)
        for level in ({"corruption_level": 0.2}, {})
    )
    np.testing.assert_array_equal(said.transform(X), not_said.transform(X))
