"""What is answered, by whom: fitted models, and contenders that give the same answers.

Every contender goes from an array of numpy to an array of numpy. Weights are those of our fitted
`module_`, put into layers of torch, into Keras, into `MLPRegressor`; what each has to answer is
computed by torch in float64.
"""

import copy
import gc
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from keras_peer import CELLS as KERAS_CELLS
from recurrent import LAYERS
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from torch import nn

import skaernn

N_CHANNELS, N_UNITS, N_STEPS = 4, 32, 50
WIDTHS = 64, 128, 16
CHUNK = 4096  # rows at a time, of our own module
FEW = 512  # sequences at a time, of torch's layer: its buffers fit into the cache

LABELS = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU", "mingru": "minGRU"}
OURS = "predict"
OURS_DEFAULTS = "predict, scaled, with x in the output"
ROWS = "transform"
ROWS_DEFAULTS = "transform, scaled, linear path"
STREAM = "Stream.push"
STEP = "predict, state in and out"
LAYER = "torch's layer"
LAYER_FEW = f"torch's layer, {FEW} at a time"
MODULE = "its own module_"
MODULE_CHUNKS = f"its own module_, {CHUNK} at a time"
SKORCH = "skorch"
PERCEPTRON = "MLPRegressor"
SCALER = "StandardScaler"
PRINCIPAL = "PCA"
KERAS = "Keras"


@dataclass
class Local:
    """A contender in this process.

    Parameters
    ----------
    call : callable
        What is timed.
    read : callable
        From what `call` returns to an array (n, width).
    expected : ndarray or None
        What it has to answer, where that is not the task's.
    """

    call: Callable[[], object]
    read: Callable[[object], np.ndarray]
    expected: np.ndarray | None = None

    def answer(self):
        return self.read(self.call())

    def seconds(self, n_calls):
        """CPU seconds of so many calls, without the garbage of others."""
        call = self.call
        gc.disable()
        start = time.process_time()
        for _ in range(n_calls):
            call()
        seconds = time.process_time() - start
        gc.enable()
        return seconds


@dataclass
class Bar:
    """What is demanded of a contender.

    Parameters
    ----------
    contender : str
    kind : str
        "beyond": seconds beyond those of `beside`; "at most": seconds; "speed": times as fast as
        `beside`; "rate": items a second.
    value : float
    beside : str or None
    """

    contender: str
    kind: str
    value: float
    beside: str | None = None


@dataclass
class Task:
    """Something to be answered.

    Parameters
    ----------
    group, column : str
        Its table and its column there.
    dtype : str
    n_items : int
        What a call answers: sequences, steps or rows.
    expected : ndarray of shape (n_items, width)
        In float64.
    contenders : dict
    left_out : dict
        Contenders that cannot take part, and why.
    bars : list of Bar
    facts : dict
        More to be told.
    """

    group: str
    column: str
    dtype: str
    n_items: int
    expected: np.ndarray
    contenders: dict = field(default_factory=dict)
    left_out: dict = field(default_factory=dict)
    bars: list = field(default_factory=list)
    facts: dict = field(default_factory=dict)

    def add_skorch(self, network, x):
        """skorch around `network`, if it is installed."""
        try:
            from skorch import NeuralNetRegressor
        except ImportError as error:
            self.left_out[SKORCH] = str(error)
            return
        size = min(max(128, len(x)), CHUNK)  # 128 is its default
        net = NeuralNetRegressor(network, batch_size=size).initialize()
        self.contenders[SKORCH] = Local(lambda: net.predict(x), as_columns)

    def add_keras(self, peer, kind, **arrays):
        """Keras in its own process, if there is one."""
        if peer is None:
            self.left_out[KERAS] = "the option --keras names no environment"
        elif kind.removeprefix("step-") not in (*KERAS_CELLS, "dense"):
            self.left_out[KERAS] = f"has no layer {kind.removeprefix('step-')}"
        else:
            self.contenders |= peer.build(kind, **arrays)


class MinGRU(nn.Module):
    """A minimal gated recurrent unit as anybody would write it: torch has no such layer."""

    def __init__(self, n_inputs, n_hidden, batch_first=True):
        super().__init__()
        self.gates = nn.Linear(n_inputs, 2 * n_hidden)

    def forward(self, x, h=None):
        z, a = self.gates(x).chunk(2, dim=-1)
        z, candidate = z.sigmoid(), torch.where(a >= 0, a + 0.5, a.sigmoid())
        h = torch.zeros_like(z[:, 0]) if h is None else h[0]
        for t in range(x.shape[1]):
            h = torch.lerp(h, candidate[:, t], z[:, t])
        return h[:, None], h[None]


class Network(nn.Module):
    """A recurrent layer and a linear output of its last step."""

    def __init__(self, cell, n_hidden):
        super().__init__()
        self.layer = (LAYERS | {"mingru": MinGRU})[cell](N_CHANNELS, n_hidden, batch_first=True)
        self.output = nn.Linear(n_hidden, 1)

    def forward(self, x):
        return self.step(x)[0]

    def step(self, x, state=None):
        """Outputs, and the state behind them."""
        h, state = self.layer(x, state)
        return self.output(h[:, -1]), state


def noise(*shape, dtype="float64", seed=1):
    """Normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def as_columns(answer):
    """An answer as (n, width)."""
    return answer.reshape(len(answer), -1)


def by_torch(network, x):
    """From array to array, as one would write it."""

    def call():
        with torch.inference_mode():
            return network(torch.from_numpy(x)).numpy()

    return Local(call, as_columns)


def by_torch_in_parts(network, x, size):
    """The same, so many rows at a time, into one array."""

    def call():
        with torch.inference_mode():
            parts = torch.from_numpy(x).split(size)
            return torch.cat([network(part) for part in parts]).numpy()

    return Local(call, as_columns)


def wide(network, *arrays):
    """What `network` answers in float64."""
    with torch.inference_mode():
        x = [torch.from_numpy(a.astype(np.float64)) for a in arrays]
        return as_columns(copy.deepcopy(network).double()(*x).numpy())


class Recurrent:
    """A fitted regressor of sequences, and the same network as a layer of torch.

    Parameters
    ----------
    cell, dtype : str
    n_units : int
    """

    def __init__(self, cell, dtype, n_units=N_UNITS):
        self.cell, self.dtype, self.n_units = cell, dtype, n_units
        self.model = self._fitted(scaling=None, input_skip=False, linear_path=False)
        module = self.model.module_
        self.network = Network(cell, n_units).to(module.dtype).eval()
        self._copy(module.layers.state_dict())
        self.network.output.load_state_dict(module.output.state_dict())

    def _fitted(self, **network):
        X = noise(64, 10, N_CHANNELS, dtype=self.dtype, seed=0)
        y = 4 * X[:, -5:].mean(axis=(1, 2))
        rate = min(0.01, 0.5 / self.n_units)
        model = skaernn.RNNSequenceRegressor(
            self.cell, self.n_units, max_iter=30, learning_rate=rate, random_state=0, **network
        ).fit(X, y)
        if not model.predict(X).std() > 0.1:
            raise RuntimeError("a network that answers the same to everything is no test")
        return model

    def _copy(self, weights):
        layer = self.network.layer
        if self.cell == "mingru":  # rows read [x | 1]
            weight = weights["weight_l0"].T
            weights = {"gates.weight": weight[:, :-1], "gates.bias": weight[:, -1]}
        layer.load_state_dict(weights)

    @cached_property
    def defaults(self):
        """As a user gets it who says nothing."""
        return self._fitted()

    @property
    def weights(self):
        """By torch's names, as arrays."""
        state = {k.removesuffix("_l0"): v for k, v in self.network.layer.state_dict().items()}
        state |= {f"output_{k}": v for k, v in self.network.output.state_dict().items()}
        return {name: value.numpy() for name, value in state.items()}

    def start(self, n):
        """A state of n sequences, as `predict` takes it."""
        return 0.5 * np.tanh(noise(n, self.model.state_size_, dtype=self.dtype, seed=2))

    def torch_state(self, state):
        """The same as torch's layer takes it."""
        parts = tuple(p[None] for p in torch.from_numpy(state).split(self.n_units, dim=1))
        return parts if len(parts) > 1 else parts[0]


def sequences(fitted, n, n_steps, peer=None, only=None):
    """`predict` of n sequences.

    Parameters
    ----------
    fitted : Recurrent
    n, n_steps : int
    peer : KerasPeer or None
    only : sequence of str or None
        Contenders; None: all.
    """
    x = noise(n, n_steps, N_CHANNELS, dtype=fitted.dtype)
    model, network = fitted.model, fitted.network
    task = Task("", LABELS[fitted.cell], fitted.dtype, n, wide(network, x))
    task.contenders = {
        OURS: Local(lambda: model.predict(x), as_columns),
        LAYER: by_torch(network, x),
        MODULE: by_torch(model.module_, x),
    }
    if only is not None:
        return task
    if n > FEW:
        task.contenders[LAYER_FEW] = by_torch_in_parts(network, x, FEW)
    task.add_skorch(network, x)
    task.add_keras(peer, fitted.cell, x=x, **fitted.weights)
    other = fitted.defaults
    task.contenders[OURS_DEFAULTS] = Local(
        lambda: other.predict(x), as_columns, wide(other.module_, x)
    )
    return task


def steps(fitted, n, peer=None):
    """One step of each of n sequences that are under way."""
    x, began = noise(n, N_CHANNELS, dtype=fitted.dtype), fitted.start(n)
    model, network = fitted.model, fitted.network
    state = fitted.torch_state(began)

    def together(found):
        answers, ended = found
        return np.hstack([as_columns(answers), as_columns(ended)])

    def by_layer(network=network, x=x, state=state):
        with torch.inference_mode():
            return network.step(torch.from_numpy(x[:, None]), state)

    def read_layer(found):
        answers, ended = found
        ended = ended if isinstance(ended, tuple) else (ended,)
        return torch.cat([answers, *(part[0] for part in ended)], dim=1).numpy()

    expected = read_layer(
        by_layer(
            copy.deepcopy(network).double(),
            x.astype(np.float64),
            fitted.torch_state(began.astype(np.float64)),
        )
    )
    task = Task("", LABELS[fitted.cell], fitted.dtype, n, expected)
    task.contenders[STEP] = Local(
        lambda: model.predict(x[:, None], initial_state=began, return_state=True), together
    )
    task.facts["bytes a stream"] = began.nbytes / n
    if hasattr(skaernn, "Stream"):
        task.contenders[STREAM] = _Pushed(model, x, began)
        task.facts["bytes a stream"] = skaernn.Stream(model, n).states.nbytes / n
    else:
        task.left_out[STREAM] = "skaernn.Stream is not there yet"
    task.contenders[LAYER] = Local(by_layer, read_layer)
    task.left_out[SKORCH] = "its predict takes and gives no state"
    parts = {
        f"state_{i}": np.ascontiguousarray(part)
        for i, part in enumerate(np.split(began, began.shape[1] // fitted.n_units, axis=1))
    }
    task.add_keras(peer, f"step-{fitted.cell}", x=x[:, None], **parts, **fitted.weights)
    return task


class _Pushed(Local):
    """A stream that goes on and on while it is timed, and is looked at from a known state."""

    def __init__(self, model, x, began):
        self.stream = skaernn.Stream(model, len(x))
        self.x, self.began = x, began
        super().__init__(lambda: self.stream.push(x), as_columns)

    def answer(self):
        self.stream.states = self.began
        return np.hstack([super().answer(), self.stream.states])


def rows(dtype, n, peer=None):
    """`transform` of n rows to their codes."""
    n_features, n_hidden, n_codes = WIDTHS
    X, x = noise(500, n_features, dtype=dtype, seed=0), noise(n, n_features, dtype=dtype)
    options = {"hidden_layer_sizes": (n_hidden,), "activation": "relu", "max_iter": 5}
    kind, options = skaernn.AutoencoderTransformer, options | {"random_state": 0}
    model = kind(n_codes, linear_path=False, scaling=None, **options).fit(X)
    other = kind(n_codes, **options).fit(X)
    encoder = model.module_.encoder.network
    task = Task("", "64-128-16", dtype, n, wide(encoder, x))
    task.contenders = {
        ROWS: Local(lambda: model.transform(x), as_columns),
        MODULE: by_torch(model.module_.encode, x),
    }
    if n > CHUNK:
        task.contenders[MODULE_CHUNKS] = by_torch_in_parts(model.module_.encode, x, CHUNK)
    task.add_skorch(encoder, x)
    perceptron = _perceptron(encoder, X)
    task.contenders[PERCEPTRON] = Local(lambda: perceptron.predict(x), as_columns)
    layers = [layer for layer in encoder if isinstance(layer, nn.Linear)]
    weights = {f"weight_{i}": layer.weight.detach().numpy() for i, layer in enumerate(layers)}
    weights |= {f"bias_{i}": layer.bias.detach().numpy() for i, layer in enumerate(layers)}
    task.add_keras(peer, "dense", x=x, **weights)
    other_expected = copy.deepcopy(other.module_).double().encode
    task.contenders[ROWS_DEFAULTS] = Local(
        lambda: other.transform(x), as_columns, _no_grad(other_expected, x)
    )
    add_scaler(task, x)
    pca = PCA(n_codes).fit(X)
    projected = (x.astype(np.float64) - pca.mean_) @ pca.components_.T.astype(np.float64)
    task.contenders[PRINCIPAL] = Local(lambda: pca.transform(x), as_columns, projected)
    return task


def _no_grad(function, x):
    with torch.inference_mode():
        return function(torch.from_numpy(x.astype(np.float64))).numpy()


def _perceptron(encoder, X):
    """scikit-learn's perceptron with the weights of `encoder`."""
    layers = [layer for layer in encoder if isinstance(layer, nn.Linear)]
    widths = tuple(len(layer.bias) for layer in layers[:-1])
    model = MLPRegressor(hidden_layer_sizes=widths, max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its weights are replaced
        model.fit(X, X[:, : len(layers[-1].bias)])
    model.coefs_ = [np.ascontiguousarray(layer.weight.detach().numpy().T) for layer in layers]
    model.intercepts_ = [layer.bias.detach().numpy() for layer in layers]
    return model


def add_scaler(task, x):
    """scikit-learn's scaler of the same numbers, a row for each item: what checks alone cost."""
    x = as_columns(x)
    scaler = StandardScaler().fit(noise(500, x.shape[1], dtype=x.dtype, seed=0))
    scaled = (x.astype(np.float64) - scaler.mean_) / scaler.scale_
    task.contenders[SCALER] = Local(lambda: scaler.transform(x), as_columns, scaled)
