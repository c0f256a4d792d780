"""Autoencoders of images and of counts, as users meet them."""

import numpy as np
import pytest
import torch
from guarantee import assert_not_worse
from sklearn.datasets import load_digits
from sklearn.metrics import mean_poisson_deviance
from torch.nn import functional

from skaernn import AutoencoderTransformer, VariationalAutoencoderTransformer

DIGITS = load_digits().data[:300]
COUNTS = DIGITS.round()


def images(shape, n=60):
    """Rows that are blobs of light at random places."""
    rng = np.random.default_rng(0)
    height, width = shape[:2]
    rows, columns = np.indices((height, width))
    at = rng.random((n, 2)) * (height, width)
    distance = (rows - at[:, :1, None]) ** 2 + (columns - at[:, 1:, None]) ** 2
    light = np.exp(-distance / 4)
    if len(shape) == 3:
        light = light[..., None] * rng.random((n, 1, 1, shape[2]))
    return light.reshape(n, -1)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((8, 8), {}),
        ((7, 9), {}),
        ((5, 4, 3), {}),
        ((7, 9), {"linear_path": True}),
        ((5, 4, 3), {"tied_weights": True}),
        ((8, 8), {"corruption": "masking"}),
        ((7, 9), {"loss": "binary_cross_entropy"}),
        ((5, 4, 3), {"estimator": VariationalAutoencoderTransformer}),
    ],
)
def test_images_come_back_in_their_shape(shape, options):
    """Each shape and each option: layers know shapes, and options know nothing of them."""
    X = images(shape)
    options = {"estimator": AutoencoderTransformer, **options}
    estimator = options.pop("estimator")(
        3, (4, 6), architecture="convolutional", image_shape=shape, max_iter=300,
        learning_rate=0.01, random_state=0, **options,
    ).fit(X)  # fmt: skip
    codes = estimator.transform(X)
    back = estimator.inverse_transform(codes)
    assert codes.shape == (60, 3)
    assert back.shape == X.shape
    assert estimator.n_features_in_ == X.shape[1]
    assert estimator.score(X) > 0.1
    assert estimator.loss_ < estimator.loss_curve_[0]
    np.testing.assert_array_equal(X, images(shape))


@pytest.mark.parametrize("rate", [1e-14, 1e-3, 1.0])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("shape", [(8, 8), (7, 9), (5, 4, 3), None])
def test_a_linear_path_beside_convolutions_is_never_worse_than_pca(shape, tied, rate):
    X = images(shape or (1, 20))
    estimator = AutoencoderTransformer(
        3, (4,), architecture="convolutional", image_shape=shape, linear_path=True,
        tied_weights=tied, max_iter=3, learning_rate=rate, random_state=0,
    ).fit(X)  # fmt: skip
    assert_not_worse(estimator, X, 3)


def test_a_shape_says_which_pixels_are_neighbours():
    """The same pixels in another order are other images to convolutions, not to dense layers."""
    X = images((8, 8), 400)
    order = np.random.default_rng(1).permutation(64)
    scores = []
    for rows in (X, X[:, order]):
        estimator = AutoencoderTransformer(
            4, (8, 16), architecture="convolutional", image_shape=(8, 8), max_iter=30,
            learning_rate=0.01, random_state=0,
        ).fit(rows[:300])  # fmt: skip
        scores.append(estimator.score(rows[300:]))
    assert scores[0] > scores[1] + 0.02


@pytest.fixture(scope="module")
def of_counts():
    return AutoencoderTransformer(
        4, (32,), loss="poisson", max_iter=40, learning_rate=3e-3, alpha=0.0, random_state=0
    ).fit(COUNTS)


def test_counts_come_back_as_positive_means(of_counts):
    back = of_counts.inverse_transform(of_counts.transform(COUNTS))
    assert (back > 0).all()
    assert (of_counts.inverse_transform(10 * np.eye(4)) >= 0).all()
    assert (of_counts.sample(100, random_state=0) >= 0).all()
    assert of_counts.scaling_ is None


def test_error_of_counts_is_their_deviance(of_counts):
    back = of_counts.inverse_transform(of_counts.transform(COUNTS))
    expected = [mean_poisson_deviance(x, mean) for x, mean in zip(COUNTS, back, strict=True)]
    np.testing.assert_allclose(of_counts.reconstruction_error(COUNTS), expected, rtol=1e-6)


def test_loss_of_counts_is_torchs():
    estimator = AutoencoderTransformer(
        4, (8,), loss="poisson", max_iter=1, learning_rate=1e-12, alpha=0.0, random_state=0,
        batch_size=len(COUNTS),
    ).fit(COUNTS)  # fmt: skip
    x = torch.tensor(COUNTS)
    with torch.inference_mode():
        mean = estimator.module_(x)
    expected = functional.poisson_nll_loss(mean, x, log_input=False, eps=0, reduction="sum")
    assert estimator.loss_ == pytest.approx(float(expected) / len(x), rel=1e-8)


def test_counts_are_learned_better_than_their_means(of_counts):
    deviance = mean_poisson_deviance(
        COUNTS.ravel(), np.broadcast_to(COUNTS.mean(0) + 1e-9, COUNTS.shape).ravel()
    )
    assert of_counts.reconstruction_error(COUNTS).mean() < 0.6 * deviance
    assert of_counts.loss_ < of_counts.loss_curve_[0]
    assert of_counts.score(COUNTS) > 0.4
