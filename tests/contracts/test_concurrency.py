"""Contract 13: threads and processes side by side give the bits of one after another."""

import hashlib
import threading

import numpy as np
import pytest
import torch
from processes import output_of

from skaernn import (
    AutoencoderTransformer,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)

GENERATOR = np.random.default_rng(0)
X = GENERATOR.random((60, 12), dtype=np.float32)
SERIES = X.reshape(60, 4, 3)
SMALL = {"max_iter": 4, "batch_size": 20, "dropout": 0.1, "random_state": 0}


def pair(n_features, n_components):
    """Draws as it is made and as it is trained, from torch's own generators."""
    encoder = torch.nn.Sequential(torch.nn.Linear(n_features, n_components), torch.nn.Dropout(0.2))
    return encoder, torch.nn.Linear(n_components, n_features)


OWN = {name: value for name, value in SMALL.items() if name != "dropout"}
CASES = {
    "autoencoder": (AutoencoderTransformer(2, 8, **SMALL), (X,)),
    "modules": (AutoencoderTransformer(2, architecture=pair, **OWN), (X,)),
    "convolutional": (AutoencoderTransformer(2, 4, architecture="convolutional", **SMALL), (X,)),
    "variational": (VariationalAutoencoderTransformer(2, 8, **SMALL), (X,)),
    "regressor": (RNNSequenceRegressor(hidden_size=8, **SMALL), (SERIES, X[:, 0])),
    "classifier": (RNNSequenceClassifier(cell="gru", **SMALL), (SERIES, X[:, 0] > 0.5)),
    "sequences": (SequenceAutoencoderTransformer(2, hidden_size=8, **SMALL), (SERIES,)),
}  # fmt: skip


def answers(model, data):
    method = model.predict if hasattr(model, "predict") else model.transform
    return hashlib.sha256(np.ascontiguousarray(method(data[0]))).hexdigest()


def fitted_answers(name):
    model, data = CASES[name]
    return answers(type(model)(**model.get_params()).fit(*data), data)


def at_once(functions):
    """What functions return that are called in threads of their own at the same time."""
    found, barrier = [None] * len(functions), threading.Barrier(len(functions))

    def run(i):
        barrier.wait()
        try:
            found[i] = functions[i]()
        except BaseException as error:
            found[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_eight_threads_fit_and_predict():
    """One of each kind, and a fitted model that several ask and others fit beside."""
    expected = {name: fitted_answers(name) for name in CASES}
    fitted = {name: type(m)(**m.get_params()).fit(*data) for name, (m, data) in CASES.items()}
    n_threads = torch.get_num_threads()
    fits = [lambda name=name: fitted_answers(name) for name in CASES]
    predictions = [lambda name=name: answers(fitted[name], CASES[name][1]) for name in CASES]
    for functions in (
        [*fits, fits[0]],
        [*predictions, predictions[0]],
        [f for both in zip(fits, predictions, strict=True) for f in both][:8],
        [fits[0]] * 4 + [predictions[0]] * 4,
    ):
        wanted = [function() for function in functions]
        assert at_once(functions) == wanted
        assert set(wanted) <= set(expected.values())
    assert torch.get_num_threads() == n_threads


def test_backends_of_joblib():
    """Processes that are forked, processes that are not, and threads."""
    printed = output_of(
        """
import warnings
import joblib
import numpy as np
import torch
from skaernn import AutoencoderTransformer, RNNSequenceRegressor

warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*multi-threaded.*")
X = np.random.default_rng(0).random((60, 12), dtype=np.float32)
small = {"max_iter": 4, "batch_size": 20, "dropout": 0.1, "random_state": 0}

def fit(i):
    if i % 2:
        model = AutoencoderTransformer(2, 8, **small).fit(X)
        return model.transform(X).tobytes()
    series = X.reshape(60, 4, 3)
    model = RNNSequenceRegressor(hidden_size=8, **small).fit(series, X[:, 0])
    return model.predict(series).tobytes()

torch.set_num_threads(2)
torch.ones(1000, 1000) @ torch.ones(1000, 1000)  # there are threads that wait for work
expected = [fit(i) for i in range(4)]
for backend in ("multiprocessing", "loky", "threading"):
    found = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(fit)(i) for i in range(4))
    print(backend, found == expected)
"""
    )
    assert printed == "multiprocessing True\nloky True\nthreading True\n"
