"""Losses against targets: values and gradients against torch.distributions and autograd."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Normal
from torch.nn import functional

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor
from skaernn._losses.loss import Gradient
from skaernn._losses.targets import TARGET_LOSSES, CrossEntropy, Quantile
from skaernn._rows.class_weight import class_weights
from skaernn._rows.vectors import Rows
from skaernn.networks import SMALLEST_DEVIATION


def poisson(z, y):
    return functional.poisson_nll_loss(z, y, log_input=True, reduction="none").sum(-1)


def gaussian(z, y):
    mean, raw = z.chunk(2, dim=-1)
    scale = functional.softplus(raw) + SMALLEST_DEVIATION
    return -(Normal(mean, scale).log_prob(y) + 0.5 * math.log(2 * math.pi)).sum(-1)


def pinball(q):
    def loss(z, y):
        return torch.maximum(q * (y - z), (q - 1) * (y - z)).sum(-1)

    return loss


def cross_entropy(class_weight=None):
    def loss(z, y):
        weight = 1.0 if class_weight is None else torch.tensor(class_weight)[y[..., 0]]
        return -weight * Categorical(logits=z).log_prob(y[..., 0])

    return loss


CLASS_WEIGHT = (0.5, 2.0, 0.0)
CASES = {
    "poisson": (TARGET_LOSSES["poisson"], poisson),
    "gaussian": (TARGET_LOSSES["gaussian"], gaussian),
    "quantile .5": (TARGET_LOSSES["quantile"], pinball(0.5)),
    "quantile .9": (Quantile(0.9), pinball(0.9)),
    "classes": (CrossEntropy((0.2, 0.3, 0.5)), cross_entropy()),
    "weighted classes": (CrossEntropy((0.2, 0.3, 0.5), CLASS_WEIGHT), cross_entropy(CLASS_WEIGHT)),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("loss", "oracle"), CASES.values(), ids=CASES)
def test_value_and_gradient(loss, oracle, weighted):
    generator = torch.Generator().manual_seed(0)
    classes = isinstance(loss, CrossEntropy)
    k = 1 if classes else 3
    width = 3 if classes else k * loss.outputs_per_target
    z = 2 * torch.randn(1, 7, width, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (1, 7, k), generator=generator)
    y = y if classes else y.double()
    weight = torch.rand(7, 1, generator=generator, dtype=torch.float64) if weighted else None
    gradient, value = Gradient.of(torch.empty_like(z)), z.new_empty(1, 1, 1)
    loss.value_and_gradient(z, y, weight, gradient, value)

    z.requires_grad_()
    terms = oracle(z, y)
    expected = (terms if weight is None else terms * weight[:, 0]).sum()
    expected.backward()
    # 1e-12: a few roundings of numbers around one
    torch.testing.assert_close(value.reshape(()), expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient.full, z.grad, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", TARGET_LOSSES)
def test_the_start_is_the_best_constant(name):
    """Before the first step the network gives the mean, and that is where its loss is least."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 6))
    y = rng.random(50) if name == "binary_cross_entropy" else rng.poisson(3, 50).astype(float)
    parameters = {"loss": name, "hidden_size": 4, "max_iter": 1, "learning_rate": 1e-12, "tol": 0}
    parameters["linear_path"] = False
    model = RNNSequenceRegressor(**parameters).fit(X, y)
    # 1e-9: a step of 1e-12 moves the output by less
    np.testing.assert_allclose(model.predict(X), y.mean(), rtol=1e-9)
    if name == "gaussian":
        _, deviation = model.predict(X, return_std=True)
        # 2e-3: the floor under the deviation comes on top
        np.testing.assert_allclose(deviation, y.std(), rtol=2e-3)


def test_a_classifier_starts_at_the_shares():
    X, y = np.random.default_rng(0).normal(size=(40, 5)), np.repeat([0, 1, 2, 2], 10)
    model = RNNSequenceClassifier(
        hidden_size=4, max_iter=1, learning_rate=1e-12, tol=0, linear_path=False
    ).fit(X, y)
    shares = np.tile([0.25, 0.25, 0.5], (40, 1))
    np.testing.assert_allclose(model.predict_proba(X), shares, rtol=1e-9)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_quantiles_are_quantiles(q):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2000, 3)), rng.exponential(size=2000)
    model = RNNSequenceRegressor(
        "gru", 2, loss="quantile", quantile=q, max_iter=40, scaling=None, random_state=0
    ).fit(X, y)
    # .03: three standard errors of a share among 2000
    assert (y <= model.predict(X)).mean() == pytest.approx(q, abs=0.03)


def test_a_predicted_deviation_is_the_deviation():
    rng = np.random.default_rng(0)
    X = rng.choice([0.0, 1.0], size=(2000, 4))
    y = 5 + (1 + 3 * X[:, -1]) * rng.normal(size=2000)
    model = RNNSequenceRegressor("gru", 4, loss="gaussian", max_iter=60, random_state=0).fit(X, y)
    _, deviation = model.predict(X, return_std=True)
    for step, expected in [(0.0, 1.0), (1.0, 4.0)]:
        # .1: three standard errors of a deviation estimated from a thousand numbers, and some
        assert deviation[X[:, -1] == step].mean() == pytest.approx(expected, rel=0.1)


class TestClassWeight:
    @staticmethod
    def targets(labels, weight=None):
        index = torch.arange(len(labels))
        weight = None if weight is None else torch.tensor(weight)[:, None]
        return Rows(torch.tensor(labels)[:, None], index, weight, 1.0, torch.float64)

    def test_balanced_is_scikit_learns(self):
        from sklearn.utils.class_weight import compute_class_weight

        labels, classes = np.repeat([0, 1, 2], [1, 3, 6]), np.arange(3)
        _, weights = class_weights("balanced", classes, self.targets(labels))
        expected = compute_class_weight("balanced", classes=classes, y=labels)
        np.testing.assert_allclose(weights, expected)

    def test_balanced_counts_weights(self):
        classes = np.arange(2)
        _, repeated = class_weights("balanced", classes, self.targets([0, 1, 1, 1]))
        _, weighted = class_weights("balanced", classes, self.targets([0, 1], [0.5, 1.5]))
        np.testing.assert_allclose(weighted, repeated)

    def test_all_classes_twice_is_none(self):
        _, weights = class_weights({"a": 2, "b": 2}, np.array(["a", "b"]), self.targets([0, 1, 1]))
        np.testing.assert_allclose(weights, 1)

    def test_a_weight_of_no_class(self):
        with pytest.raises(ValueError, match="are not in class_weight"):
            class_weights({"a": 2, "c": 2}, np.array(["a", "b"]), self.targets([0, 1]))

    def test_nothing_that_counts(self):
        with pytest.raises(ValueError, match="no class that counts"):
            class_weights({"a": 0, "b": 0}, np.array(["a", "b"]), self.targets([0, 1]))
