"""The same training in each library: one function each, all with one signature.

Every function builds the network, trains it on X with Adam and mean squared error, and returns
a `Result`. That call is what is timed. The libraries are imported inside the functions, since a
peer may not be installed; a first call that is not timed pays for the import.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ACTIVATIONS = {"identity": nn.Identity, "relu": nn.ReLU, "logistic": nn.Sigmoid}


@dataclass(frozen=True)
class Result:
    """A finished fit.

    `predict` is a function and not its answer, because the clock must stop between the two: it
    takes X and returns an array of the shape of the targets, which for autoencoders are X.
    """

    predict: Callable[[np.ndarray], np.ndarray]
    n_epochs: int


def build_network(problem, n_features):
    """The problem's network as anybody would write it: `nn.Sequential` of `nn.Linear`."""
    widths = problem.widths(n_features)
    layers = []
    for sizes, activation in zip(pairwise(widths), problem.activations(), strict=True):
        layers.append(nn.Linear(*sizes))
        if activation != "identity":
            layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


def plain_loop(problem, X, seed):
    """A loop by hand: DataLoader, autograd, `torch.optim.Adam`. No logging, no validation."""
    torch.manual_seed(seed)
    model = build_network(problem, X.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=problem.learning_rate)
    criterion = nn.MSELoss()
    dataset = TensorDataset(torch.from_numpy(X))
    loader = DataLoader(dataset, batch_size=problem.batch_size, shuffle=True)

    for _ in range(problem.epochs):
        for (batch,) in loader:
            optimizer.zero_grad()
            loss = criterion(model(batch), batch)
            loss.backward()
            optimizer.step()

    def predict(X):
        with torch.no_grad():
            return model(torch.from_numpy(X)).numpy()

    return Result(predict, problem.epochs)


# Of skorch's nets: the loop's training, without printing, scoring or validation.
QUIET = {
    "criterion": nn.MSELoss,
    "optimizer": torch.optim.Adam,
    "iterator_train__shuffle": True,
    "train_split": None,
    "callbacks__print_log": None,
    "callbacks__valid_loss": None,
    "verbose": 0,
}


def skorch_net(problem, X, seed):
    """Skorch's `NeuralNet` on the same network, without printing, scoring or validation."""
    from skorch import NeuralNet

    torch.manual_seed(seed)
    net = NeuralNet(
        build_network,
        module__problem=problem,
        module__n_features=X.shape[1],
        lr=problem.learning_rate,
        batch_size=problem.batch_size,
        max_epochs=problem.epochs,
        **QUIET,
    )
    net.fit(X, X)
    return Result(net.predict, len(net.history))


def mlp_regressor(problem, X, seed):
    """scikit-learn's `MLPRegressor` from X to X: the same widths and batches.

    It knows one activation for all hidden layers, the code among them, and an identity output,
    so the network is not quite the same everywhere: see `mlp_differences`.
    """
    model = MLPRegressor(
        hidden_layer_sizes=problem.widths(X.shape[1])[1:-1],
        activation=problem.activation,
        solver="adam",
        alpha=0,
        batch_size=problem.batch_size,
        learning_rate_init=problem.learning_rate,
        max_iter=problem.epochs,
        tol=0,
        n_iter_no_change=10**6,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # It is told to stop after a number of epochs, and warns that it did.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, X)
    return Result(model.predict, model.n_iter_)


def mlp_differences(problem):
    """In words, where `mlp_regressor` cannot build the problem's network."""
    differences = []
    if problem.code_activation != problem.activation:
        differences.append(f"{problem.activation} on the code, not {problem.code_activation}")
    if problem.output_activation != "identity":
        differences.append(f"identity on the output, not {problem.output_activation}")
    return "; ".join(differences)


def transformer(problem, seed, **network):
    """`AutoencoderTransformer` with every reason to stop early, or to slow down, removed."""
    from skaernn import AutoencoderTransformer

    return AutoencoderTransformer(
        problem.n_components,
        hidden_layer_sizes=problem.hidden_layer_sizes,
        activation=problem.activation,
        code_activation=problem.code_activation,
        output_activation=problem.output_activation,
        learning_rate=problem.learning_rate,
        batch_size=problem.batch_size,
        max_iter=problem.epochs,
        schedule="constant",
        alpha=0,
        tol=0,
        n_iter_no_change=10**6,
        random_state=seed,
        **network,
    )


def autoencoder(problem, X, seed, **network):
    """`transformer`, fitted."""
    model = transformer(problem, seed, **network)
    model.fit(X)
    return Result(lambda X: model.inverse_transform(model.transform(X)), model.n_iter_)


# The table follows this order.
BASELINE = "PyTorch loop"
CLASSIC = "AutoencoderTransformer, classic network"
LINEAR_PATH = "AutoencoderTransformer, linear path"
CONTENDERS = {
    BASELINE: plain_loop,
    "skorch": skorch_net,
    "MLPRegressor": mlp_regressor,
    CLASSIC: partial(autoencoder, linear_path=False, scaling=None),
    # True and not "auto", so that nothing but the linear path can be timed under this name.
    LINEAR_PATH: partial(autoencoder, linear_path=True),
}
