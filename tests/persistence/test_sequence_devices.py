"""Recurrent estimators: other devices, modes of the caller, memory that is given back."""

import gc
import pickle

import numpy as np
import pytest
import torch

from skaernn import (
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
)
from skaernn._training.objective import Evaluation
from skaernn._training.sequences import RecurrentObjective
from skaernn.networks import CELLS

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(n, 3)) for n in RNG.integers(2, 9, size=40)]
Y = np.array([x[:, 0].sum() for x in X])
SMALL = {"hidden_size": 4, "max_iter": 4, "tol": 0, "random_state": 0}
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def _variants():
    for cell in CELLS:
        yield {"cell": cell}
        yield {"cell": cell, "n_layers": 2, "bidirectional": True, "dropout": 0.2}
    yield {"pooling": "attention", "batch_size": 16}
    yield {"pooling": "max", "early_stopping": True}
    yield {"loss": "gaussian", "solver": "lbfgs"}


VARIANTS = list(_variants())


@pytest.mark.parametrize("params", VARIANTS, ids=str)
def test_modes_of_the_caller_stay_outside(params):
    plain = RNNSequenceRegressor(**SMALL, **params).fit(X, Y)
    with torch.device("meta"), torch.autocast("cpu", dtype=torch.bfloat16):
        model = RNNSequenceRegressor(**SMALL, **params).fit(X, Y)
        answer, score = model.predict(X), model.score(X, Y)
    np.testing.assert_array_equal(answer, plain.predict(X))
    assert score == plain.score(X, Y)


def test_classes_in_modes_of_the_caller():
    plain = RNNSequenceClassifier(**SMALL, class_weight="balanced").fit(X, Y > 0)
    with torch.device("meta"), torch.inference_mode():
        model = RNNSequenceClassifier(**SMALL, class_weight="balanced").fit(X, Y > 0)
        answer = model.predict_proba(X)
    np.testing.assert_array_equal(answer, plain.predict_proba(X))


TOKENS = [np.random.default_rng(i).integers(0, 9, len(x)) for i, x in enumerate(X)]
OF_TOKENS = [{}, {"linear_path": False}, {"pooling": "mean", "bidirectional": True}]


@pytest.mark.parametrize("params", OF_TOKENS, ids=str)
def test_tokens_in_modes_of_the_caller(params):
    params = {**SMALL, "embedding_size": 3, **params}
    plain = RNNSequenceRegressor(**params).fit(TOKENS, Y)
    for mode in (torch.device("meta"), torch.inference_mode(),
                 torch.autocast("cpu", dtype=torch.bfloat16)):  # fmt: skip
        with mode:
            answer = RNNSequenceRegressor(**params).fit(TOKENS, Y).predict(TOKENS)
        np.testing.assert_array_equal(answer, plain.predict(TOKENS))


CODES = [{"cell": cell} for cell in CELLS] + [{"n_layers": 2, "bidirectional": True}]
LENGTHS = [len(x) for x in X]


def codes(params, data, **more):
    """A sequence autoencoder, its codes, and what becomes of them."""
    model = SequenceAutoencoderTransformer(**SMALL, **params, **more).fit(data)
    found = model.transform(data)
    decoded = np.concatenate(list(model.inverse_transform(found, lengths=LENGTHS)))
    return model, {"codes": found, "decoded": decoded, "errors": model.reconstruction_error(data)}


@pytest.mark.parametrize("params", CODES, ids=str)
def test_codes_in_modes_of_the_caller(params):
    _, expected = codes(params, X)
    for mode in (torch.device("meta"), torch.inference_mode(),
                 torch.autocast("cpu", dtype=torch.bfloat16)):  # fmt: skip
        with mode:
            _, found = codes(params, X)
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, name)


def test_memory_is_given_back_without_a_collection():
    gc.collect()
    gc.disable()
    try:
        RNNSequenceRegressor(**SMALL, batch_size=16, early_stopping=True).fit(X, Y)
        assert not [o for o in gc.get_objects() if type(o) is RecurrentObjective]
    finally:
        gc.enable()


def test_workspaces_do_not_pile_up():
    """Nearly every batch of ragged sequences is packed in its own way."""
    model = RNNSequenceRegressor(**{**SMALL, "max_iter": 30}, batch_size=5)
    seen = []
    sums = Evaluation.sums

    def spy(self, batch):
        found = sums(self, batch)
        seen.append(len(self._workspaces))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Evaluation, "sums", spy)
        model.fit(X, Y)
    assert 0 < max(seen) <= 8


@needs_cuda
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("params", VARIANTS, ids=str)
def test_gpu_agrees_with_the_cpu(params, dtype):
    data = [x.astype(dtype) for x in X]
    params = {**SMALL, **params, "dropout": 0.0}
    on_cpu = RNNSequenceRegressor(**params).fit(data, Y)
    on_gpu = RNNSequenceRegressor(**params, device="cuda").fit(data, Y)
    # four steps of Adam make of a rounding what they please in float32
    tolerance = 1e-2 if dtype == np.float32 else 1e-6
    np.testing.assert_allclose(on_gpu.predict(data), on_cpu.predict(data), atol=tolerance)
    assert on_gpu.predict(data).dtype == dtype


@needs_cuda
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("params", CODES, ids=str)
def test_codes_of_the_gpu_agree_with_the_cpu(params, dtype):
    data = [x.astype(dtype) for x in X]
    # not Adam, which makes of a rounding what it pleases in float32
    params = {**params, "solver": "sgd", "learning_rate": 0.1}
    _, on_cpu = codes(params, data)
    model, on_gpu = codes(params, data, device="cuda")
    tolerance = 1e-3 if dtype == np.float32 else 1e-6
    for name, value in on_cpu.items():
        np.testing.assert_allclose(on_gpu[name], value, atol=tolerance)
        assert on_gpu[name].dtype == dtype
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(data), on_gpu["codes"])
    assert again.set_params(device="cpu").partial_fit(data).device_.type == "cpu"


@needs_cuda
@pytest.mark.parametrize("params", OF_TOKENS, ids=str)
def test_tokens_on_the_gpu_agree_with_the_cpu_and_with_themselves(params):
    params = {**SMALL, "embedding_size": 3, "dtype": "float64", **params}
    on_cpu = RNNSequenceRegressor(**params).fit(TOKENS, Y)
    one, two = (RNNSequenceRegressor(**params, device="cuda").fit(TOKENS, Y) for _ in "ab")
    np.testing.assert_allclose(one.predict(TOKENS), on_cpu.predict(TOKENS), atol=1e-6)
    np.testing.assert_array_equal(one.predict(TOKENS), two.predict(TOKENS))


@needs_cuda
@pytest.mark.parametrize("params", VARIANTS, ids=str)
def test_gpu_models_travel_and_continue(params):
    model = RNNSequenceRegressor(**SMALL, **params, device="cuda").fit(X, Y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    if hasattr(again, "partial_fit"):
        assert again.set_params(device="cpu").partial_fit(X, Y).device_.type == "cpu"
