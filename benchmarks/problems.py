"""What is trained: the data and the network, the same for every contender."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from contenders import CLASSIC, CONTENDERS, LINEAR_PATH, mlp_differences
from sklearn.datasets import load_digits


@dataclass(frozen=True)
class Problem:
    """One training task, and how many times as fast as the plain loop it should be.

    Parameters
    ----------
    name : str
        What the command line calls it.
    make_data : callable
        Returns X, float32 of shape (n_samples, n_features); the same X at every call.
    n_components : int
        Width of the code.
    hidden_layer_sizes : tuple of int
        Widths of the encoder; the decoder mirrors them.
    activation, code_activation, output_activation : str
        Of the hidden layers, of the code, of the output.
    batch_size, epochs : int
        Rows of a batch (the short last one is kept), passes over X.
    learning_rate : float
        Of Adam, constant.
    bar : float or None
        Speed demanded of `AutoencoderTransformer` with the classic network.
    linear_path_bar : float or None
        Speed demanded of it with the linear path.
    """

    name: str
    make_data: Callable[[], np.ndarray]
    n_components: int
    hidden_layer_sizes: tuple[int, ...]
    activation: str
    code_activation: str
    output_activation: str
    batch_size: int
    epochs: int
    learning_rate: float
    bar: float | None
    linear_path_bar: float | None

    contenders = CONTENDERS
    same_training = (CLASSIC,)

    @property
    def bars(self):
        """Speeds demanded, by contender."""
        return {CLASSIC: self.bar, LINEAR_PATH: self.linear_path_bar}

    @property
    def notes(self):
        """What a reader of the table must know about the contenders."""
        differences = mlp_differences(self)
        return [f"MLPRegressor trains another network here: {differences}."] * bool(differences)

    def widths(self, n_features):
        """Widths of all layers, input and output included."""
        hidden = self.hidden_layer_sizes
        return (n_features, *hidden, self.n_components, *reversed(hidden), n_features)

    def target(self, X):
        """What is to be predicted."""
        return X

    def describe(self, X):
        """In words."""
        widths = "-".join(map(str, self.widths(X.shape[1])))
        return (
            f"{len(X)} rows, {widths}, batches of {self.batch_size}, {self.epochs} epoch(s), Adam "
            f"at {self.learning_rate:g}, float32."
        )

    def activations(self):
        """Name of the function behind every layer, the output's included."""
        hidden = [self.activation] * len(self.hidden_layer_sizes)
        return (*hidden, self.code_activation, *hidden, self.output_activation)


def uniform_noise():
    """100 rows of 10 independent uniform features: nothing to learn but the mean."""
    return np.random.default_rng(0).random((100, 10), dtype=np.float32)


def scaled_digits():
    """The 1797 digits of scikit-learn, 8 by 8 pixels between 0 and 1."""
    return (load_digits().data / 16).astype(np.float32)


def curved_surface(n_samples=10_000, n_features=784, n_latent=16, width=64):
    """A 16-dimensional surface, bent by a random tanh layer, with noise around it."""
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((n_samples, n_latent))
    bent = np.tanh(latent @ rng.standard_normal((n_latent, width)) / np.sqrt(n_latent))
    clean = bent @ rng.standard_normal((width, n_features)) / np.sqrt(width)
    return (clean + 0.1 * rng.standard_normal(clean.shape)).astype(np.float32)


PROBLEMS = (
    Problem(
        name="100x10",
        make_data=uniform_noise,
        n_components=5,
        hidden_layer_sizes=(),
        activation="relu",
        code_activation="relu",
        output_activation="logistic",
        batch_size=32,
        epochs=100,
        learning_rate=1e-3,
        bar=8.0,
        linear_path_bar=6.0,
    ),
    Problem(
        name="digits",
        make_data=scaled_digits,
        n_components=32,
        hidden_layer_sizes=(128,),
        activation="relu",
        code_activation="identity",
        output_activation="identity",
        batch_size=64,
        epochs=20,
        learning_rate=1e-3,
        bar=5.0,
        linear_path_bar=2.5,
    ),
    Problem(
        name="10000x784",
        make_data=curved_surface,
        n_components=32,
        hidden_layer_sizes=(512, 256),
        activation="relu",
        code_activation="identity",
        output_activation="identity",
        batch_size=256,
        epochs=1,
        learning_rate=1e-3,
        bar=1.3,
        linear_path_bar=None,
    ),
)
