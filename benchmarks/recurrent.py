"""What recurrent networks are trained on for speed, and the contenders that train them."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from contenders import BASELINE, Result
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
SAME = "RNNSequenceRegressor, same network"
SAME_CODES = "SequenceAutoencoderTransformer, same network"
CODES = "SequenceAutoencoderTransformer, scaled, clipped"
DEFAULTS = "RNNSequenceRegressor, scaled, clipped, with x in the output"


class Network(nn.Module):
    """A recurrent layer of torch and a linear output, of the last step or of each."""

    def __init__(self, problem):
        super().__init__()
        layer = LAYERS[problem.cell]
        self.layer = layer(problem.n_channels, problem.hidden_size, batch_first=True)
        self.output = nn.Linear(problem.hidden_size, problem.n_outputs)
        self.per_step = problem.per_step

    def forward(self, x, *state):
        if not state:
            h, _ = self.layer(x)
        else:
            h, _ = self.layer(x, state if len(state) > 1 else state[0])
        return self.output(h if self.per_step else h[:, -1])


class AutoencoderNetwork(nn.Module):
    """A recurrent layer of torch to a code, and another from the code to every step."""

    def __init__(self, problem):
        super().__init__()
        layer, n_components, n_hidden = (
            LAYERS[problem.cell], problem.n_components, problem.hidden_size,
        )  # fmt: skip
        self.encoder = layer(problem.n_channels, n_hidden, batch_first=True)
        self.code = nn.Linear(n_hidden, n_components)
        self.begin = nn.Linear(n_components, n_hidden)
        self.decoder = layer(n_components, n_hidden, batch_first=True)
        self.output = nn.Linear(n_hidden + n_components, problem.n_channels)

    def forward(self, x):
        h, _ = self.encoder(x)
        code = self.code(h[:, -1])
        repeated = code[:, None].expand(-1, x.shape[1], -1)
        h, _ = self.decoder(repeated, self.begin(code)[None])
        return self.output(torch.cat([h, repeated], dim=2))


def plain_loop(problem, X, seed):
    """A loop by hand: DataLoader, autograd, `torch.optim.Adam`. No logging, no validation."""
    torch.manual_seed(seed)
    model = problem.network()
    optimizer = torch.optim.Adam(model.parameters(), lr=problem.learning_rate)
    criterion = nn.MSELoss()
    target = torch.from_numpy(problem.target(X))
    dataset = TensorDataset(torch.from_numpy(X), target)
    loader = DataLoader(dataset, batch_size=problem.batch_size, shuffle=True)
    n_states = 2 if problem.cell == "lstm" else 1

    for _ in range(problem.epochs):
        for x, y in loader:
            state = []
            if problem.initial_state:
                state = [torch.zeros(1, len(x), problem.hidden_size) for _ in range(n_states)]
            optimizer.zero_grad()
            loss = criterion(model(x, *state), y)
            loss.backward()
            optimizer.step()

    def predict(X):
        with torch.no_grad():
            return model(torch.from_numpy(X)).numpy()

    return Result(predict, problem.epochs)


def estimator(problem, X, seed, **network):
    """`RNNSequenceRegressor` with every reason to stop early, or to slow down, removed."""
    from skaernn import RNNSequenceRegressor

    model = RNNSequenceRegressor(
        problem.cell,
        problem.hidden_size,
        return_sequences=problem.per_step,
        learning_rate=problem.learning_rate,
        batch_size=problem.batch_size,
        max_iter=problem.epochs,
        schedule="constant",
        tol=0,
        random_state=seed,
        **network,
    )
    state = None
    if problem.initial_state:
        width = (2 if problem.cell == "lstm" else 1) * problem.hidden_size
        state = np.zeros((len(X), width), dtype=np.float32)
    y = problem.target(X)
    model.fit(X, y if problem.per_step else y.ravel(), initial_state=state)
    return Result(lambda X: model.predict(X).reshape(y.shape), model.n_iter_)


def sequence_autoencoder(problem, X, seed, **network):
    """`SequenceAutoencoderTransformer`, likewise."""
    from skaernn import SequenceAutoencoderTransformer

    model = SequenceAutoencoderTransformer(
        problem.n_components,
        problem.hidden_size,
        cell=problem.cell,
        learning_rate=problem.learning_rate,
        batch_size=problem.batch_size,
        max_iter=problem.epochs,
        schedule="constant",
        tol=0,
        random_state=seed,
        **network,
    ).fit(X)
    return Result(lambda X: model.inverse_transform(model.transform(X)), model.n_iter_)


CONTENDERS = {
    BASELINE: plain_loop,
    SAME: partial(
        estimator, scaling=None, input_skip=False, linear_path=False, max_grad_norm=None
    ),
    DEFAULTS: estimator,
}


@dataclass(frozen=True)
class RecurrentProblem:
    """One training task, and how many times as fast as the plain loop it should be.

    Parameters
    ----------
    name : str
        What the command line calls it.
    cell : str
        "rnn", "lstm" or "gru".
    n_samples, n_steps, n_channels : int
        Shape of X, which is noise.
    hidden_size, batch_size, epochs : int
    learning_rate : float
        Of Adam, constant.
    per_step : bool
        Learn X itself at every step, or a mean over the last steps once.
    initial_state : bool
        Hand a state of zeros to the network.
    bar : float or None
        Speed demanded of the same network.
    """

    name: str
    cell: str
    n_samples: int
    n_steps: int
    n_channels: int
    hidden_size: int
    batch_size: int
    epochs: int
    learning_rate: float = 1e-3
    per_step: bool = False
    initial_state: bool = False
    bar: float | None = None

    contenders = CONTENDERS
    same_training = (SAME,)
    notes = ()

    def network(self):
        """What the loop trains."""
        return Network(self)

    @property
    def bars(self):
        """Speeds demanded, by contender."""
        return {SAME: self.bar, DEFAULTS: None}

    @property
    def n_outputs(self):
        """Numbers in a target."""
        return self.n_channels if self.per_step else 1

    def make_data(self):
        """X, float32 of shape (n_samples, n_steps, n_channels)."""
        shape = self.n_samples, self.n_steps, self.n_channels
        return np.random.default_rng(0).random(shape, dtype=np.float32)

    def target(self, X):
        """What is to be predicted."""
        return X if self.per_step else X[:, -5:, 0].mean(axis=1, keepdims=True)

    def describe(self, X):
        """In words."""
        return (
            f"{self.cell.upper()}, {len(X)} sequences of {self.n_steps} steps of "
            f"{self.n_channels} channels, {self.hidden_size} units, batches of {self.batch_size}, "
            f"{self.epochs} epoch(s), Adam at {self.learning_rate:g}, float32."
        )


@dataclass(frozen=True)
class SequenceAutoencoderProblem(RecurrentProblem):
    """The same for codes of sequences, in networks of one state a layer.

    Parameters
    ----------
    n_components : int
        Size of the code.
    """

    n_components: int = 16

    contenders = {
        BASELINE: plain_loop,
        SAME_CODES: partial(sequence_autoencoder, scaling=None, max_grad_norm=None),
        CODES: sequence_autoencoder,
    }
    same_training = (SAME_CODES,)

    def network(self):
        """What the loop trains."""
        return AutoencoderNetwork(self)

    @property
    def bars(self):
        """Speeds demanded, by contender."""
        return {SAME_CODES: self.bar, CODES: None}

    def target(self, X):
        """What is to be reconstructed."""
        return X

    def describe(self, X):
        """In words."""
        return f"Autoencoder, codes of {self.n_components}; {super().describe(X)}"


_MIDDLE = {"n_samples": 1000, "n_steps": 50, "n_channels": 8, "hidden_size": 64}
_MIDDLE |= {"batch_size": 64, "epochs": 5}


def _middle(cell, bar):
    return RecurrentProblem(f"{cell}-64", cell, **_MIDDLE, bar=bar)


RECURRENT_PROBLEMS = (
    RecurrentProblem(
        "recurrent-100x10x10",
        "lstm",
        n_samples=100,
        n_steps=10,
        n_channels=10,
        hidden_size=10,
        batch_size=32,
        epochs=100,
        per_step=True,
        initial_state=True,
        bar=3.0,
    ),
    _middle("gru", 2.0),
    _middle("rnn", 2.0),
    _middle("lstm", 1.1),
    SequenceAutoencoderProblem("sequence-autoencoder-64", "gru", **_MIDDLE, bar=1.5),
)
