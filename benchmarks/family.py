"""Variational and convolutional autoencoders: what they are trained on, and who trains them."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from contenders import BASELINE, Result
from problems import scaled_digits
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

VARIATIONAL = "VariationalAutoencoderTransformer, same network"
VARIATIONAL_PATH = "VariationalAutoencoderTransformer, with linear path"
CONVOLUTIONAL = "AutoencoderTransformer, same network, X scaled"
CONVOLUTIONAL_PATH = "AutoencoderTransformer, with linear path"


class VariationalNetwork(nn.Module):
    """A dense encoder to means and log-variances, and a dense decoder."""

    def __init__(self, problem, n_features):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(n_features, problem.width),
            nn.ReLU(),
            nn.Linear(problem.width, 2 * problem.n_components),
        )
        self.decoder = nn.Sequential(
            nn.Linear(problem.n_components, problem.width),
            nn.ReLU(),
            nn.Linear(problem.width, n_features),
        )

    def loss(self, x):
        """Minus the bound, up to a constant, with the variance that fits the batch best."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        noise = torch.randn_like(mean)
        output = self.decoder(mean + (0.5 * log_variance).exp() * noise)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        return 0.5 * x.shape[1] * functional.mse_loss(output, x).log() + divergence

    def forward(self, x):
        return self.decoder(self.encoder(x).chunk(2, dim=1)[0])


class ConvolutionalNetwork(nn.Module):
    """Two convolutions of stride 2 and a linear layer to the code; their mirror image back."""

    def __init__(self, problem, n_features):
        super().__init__()
        first, second = problem.channels
        side = round(n_features**0.5)
        left = -(-side // 4)
        how = {"kernel_size": 3, "stride": 2, "padding": 1}
        self.network = nn.Sequential(
            nn.Unflatten(1, (1, side, side)),
            nn.Conv2d(1, first, **how),
            nn.ReLU(),
            nn.Conv2d(first, second, **how),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(second * left * left, problem.n_components),
            nn.Linear(problem.n_components, second * left * left),
            nn.ReLU(),
            nn.Unflatten(1, (second, left, left)),
            nn.ConvTranspose2d(second, first, output_padding=1, **how),
            nn.ReLU(),
            nn.ConvTranspose2d(first, 1, output_padding=1, **how),
            nn.Flatten(),
        )

    def loss(self, x):
        """Mean squared error."""
        return functional.mse_loss(self.network(x), x)

    def forward(self, x):
        return self.network(x)


def plain_loop(problem, X, seed):
    """A loop by hand: DataLoader, autograd, `torch.optim.Adam`. No logging, no validation."""
    torch.manual_seed(seed)
    model = problem.network(problem, X.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=problem.learning_rate)
    dataset = TensorDataset(torch.from_numpy(X))
    for _ in range(problem.epochs):
        for (batch,) in DataLoader(dataset, batch_size=problem.batch_size, shuffle=True):
            optimizer.zero_grad()
            loss = model.loss(batch)
            loss.backward()
            optimizer.step()

    def predict(X):
        with torch.no_grad():
            return model(torch.from_numpy(X)).numpy()

    return Result(predict, problem.epochs)


def fitted(estimator, problem, X, seed, **network):
    """An estimator with every reason to stop early, or to slow down, removed."""
    model = estimator(
        problem.n_components,
        learning_rate=problem.learning_rate,
        batch_size=problem.batch_size,
        max_iter=problem.epochs,
        schedule="constant",
        alpha=0.0,
        tol=0,
        random_state=seed,
        **network,
    ).fit(X)
    return Result(lambda X: model.inverse_transform(model.transform(X)), model.n_iter_)


def variational(problem, X, seed, **network):
    """`VariationalAutoencoderTransformer`."""
    from skaernn import VariationalAutoencoderTransformer as Estimator

    return fitted(Estimator, problem, X, seed, hidden_layer_sizes=(problem.width,), **network)


def convolutional(problem, X, seed, **network):
    """`AutoencoderTransformer` on images."""
    from skaernn import AutoencoderTransformer as Estimator

    side = round(X.shape[1] ** 0.5)
    network |= {"architecture": "convolutional", "image_shape": (side, side)}
    return fitted(Estimator, problem, X, seed, hidden_layer_sizes=problem.channels, **network)


def images(n_samples=5000, size=28):
    """Digits of scikit-learn at 28 by 28 pixels between 0 and 1, shifted at random."""
    rng = np.random.default_rng(0)
    small = torch.from_numpy(load_digits().images[:, None] / 16)
    chosen = small[rng.integers(len(small), size=n_samples)]
    large = functional.interpolate(chosen, size=size - 4, mode="bilinear").numpy()[:, 0]
    canvas = np.zeros((n_samples, size, size), dtype=np.float32)
    for row, (down, right) in enumerate(rng.integers(0, 5, size=(n_samples, 2))):
        canvas[row, down : down + size - 4, right : right + size - 4] = large[row]
    return canvas.reshape(n_samples, -1)


class _Problem:
    notes = ()

    def target(self, X):
        """What is to be predicted."""
        return X

    def _training(self, X):
        return (
            f"{len(X)} rows of {X.shape[1]}, codes of {self.n_components}, batches of "
            f"{self.batch_size}, {self.epochs} epoch(s), Adam at {self.learning_rate:g}, float32."
        )


@dataclass(frozen=True)
class VariationalProblem(_Problem):
    """A dense variational autoencoder, and how many times as fast as the loop it should be."""

    name: str = "variational-digits"
    n_components: int = 16
    width: int = 128
    batch_size: int = 64
    epochs: int = 20
    learning_rate: float = 1e-3
    bar: float = 2.0

    make_data = staticmethod(scaled_digits)
    network = VariationalNetwork
    contenders = {
        BASELINE: plain_loop,
        VARIATIONAL: partial(variational, linear_path=False, scaling=None),
        VARIATIONAL_PATH: variational,
    }
    same_training = (VARIATIONAL,)

    @property
    def bars(self):
        """Speeds demanded, by contender."""
        return {VARIATIONAL: self.bar, VARIATIONAL_PATH: None}

    def describe(self, X):
        """In words."""
        return f"Variational, {self.width} hidden units; {self._training(X)}"


@dataclass(frozen=True)
class ConvolutionalProblem(_Problem):
    """A convolutional autoencoder, and how many times as fast as the loop it should be."""

    name: str = "convolutional-5000x28x28"
    n_components: int = 16
    channels: tuple[int, ...] = (16, 32)
    batch_size: int = 128
    epochs: int = 3
    learning_rate: float = 1e-3
    bar: float = 1.0

    make_data = staticmethod(images)
    network = ConvolutionalNetwork
    contenders = {
        BASELINE: plain_loop,
        CONVOLUTIONAL: convolutional,
        CONVOLUTIONAL_PATH: partial(convolutional, linear_path=True),
    }
    same_training = (CONVOLUTIONAL,)

    @property
    def bars(self):
        """Speeds demanded, by contender."""
        return {CONVOLUTIONAL: self.bar, CONVOLUTIONAL_PATH: None}

    def describe(self, X):
        """In words."""
        return f"Convolutional, channels {self.channels}; {self._training(X)}"


FAMILY_PROBLEMS = (VariationalProblem(), ConvolutionalProblem())
