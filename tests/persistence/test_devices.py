"""Devices: what "auto" finds, what is refused, and, where there is one, a GPU."""

import gc
import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaernn import AutoencoderTransformer
from skaernn._core.device import available_devices, resolve_device, threads_for
from skaernn._training.vectors import ReconstructionObjective

IRIS = load_iris().data
CPU = torch.device("cpu")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def test_auto_is_the_gpu_where_there_is_one():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert resolve_device("auto").type == expected
    assert "cpu" in available_devices()
    model = AutoencoderTransformer(device="auto", max_iter=1, random_state=0).fit(IRIS)
    assert model.device_.type == expected
    assert next(model.module_.parameters()).device.type == expected


@pytest.mark.parametrize("device", ["cpu", "cpu:0", torch.device("cpu")])
def test_names_of_the_cpu_give_the_same_bits(device):
    params = {"max_iter": 3, "random_state": 0}
    model = AutoencoderTransformer(device=device, **params).fit(IRIS)
    expected = AutoencoderTransformer(**params).fit(IRIS).transform(IRIS)
    np.testing.assert_array_equal(model.transform(IRIS), expected)


def test_small_products_run_on_one_thread_and_large_ones_do_not():
    before = torch.get_num_threads()
    with threads_for(1e6, CPU):
        assert torch.get_num_threads() == 1
        with threads_for(1e6, CPU):
            assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    with threads_for(1e9, CPU):
        assert torch.get_num_threads() == before


def test_the_number_of_threads_survives_an_error():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), threads_for(1e6, CPU):
        raise RuntimeError
    assert torch.get_num_threads() == before


def test_a_fit_leaves_nothing_behind_in_cycles():
    """Buffers, and on a GPU a copy of X, would wait there for the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        model = AutoencoderTransformer(max_iter=2, batch_size=16, early_stopping=True)
        model.fit(IRIS)
        assert not [o for o in gc.get_objects() if type(o) is ReconstructionObjective]
    finally:
        gc.enable()


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_autocast_of_the_caller_stays_outside(dtype, solver):
    X = IRIS.astype(dtype)
    params = {"max_iter": 3, "tol": 0, "solver": solver, "random_state": 0}
    plain = AutoencoderTransformer(**params).fit(X)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model = AutoencoderTransformer(**params).fit(X)
        codes, score = model.transform(X), model.score(X)
    np.testing.assert_array_equal(codes, plain.transform(X))
    np.testing.assert_array_equal(model.code_covariance_, plain.code_covariance_)
    assert score == plain.score(X)


@pytest.mark.parametrize(
    "params", [{}, {"dropout": 0.2}, {"early_stopping": True}, {"n_components": 9}]
)
def test_default_device_of_the_caller_stays_outside(params):
    params = {"max_iter": 3, "random_state": 0, **params}
    plain = AutoencoderTransformer(**params).fit(IRIS)
    with torch.device("meta"):
        model = AutoencoderTransformer(**params).fit(IRIS)
        codes, drawn = model.transform(IRIS), model.sample(3, random_state=0)
        score = model.score(IRIS)
    np.testing.assert_array_equal(codes, plain.transform(IRIS))
    np.testing.assert_array_equal(drawn, plain.sample(3, random_state=0))
    assert score == plain.score(IRIS)


@needs_cuda
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gpu_agrees_with_the_cpu(solver, dtype):
    X = IRIS.astype(dtype)
    params = {"solver": solver, "max_iter": 5, "tol": 0, "dropout": 0.0, "random_state": 0}
    on_cpu = AutoencoderTransformer(**params).fit(X)
    on_gpu = AutoencoderTransformer(**params, device="cuda").fit(X)
    tolerance = 1e-3 if dtype == np.float32 else 1e-6
    np.testing.assert_allclose(on_gpu.transform(X), on_cpu.transform(X), atol=tolerance)
    assert on_gpu.transform(X).dtype == dtype
    assert on_gpu.score(X) == pytest.approx(on_cpu.score(X), abs=tolerance)


@needs_cuda
@pytest.mark.parametrize(
    "params", [{}, {"dropout": 0.3}, {"early_stopping": True}, {"batch_size": 16}]
)
def test_gpu_gives_the_same_bits_for_the_same_seed(params):
    params = {"max_iter": 4, "random_state": 0, "device": "cuda", **params}
    first, second = (AutoencoderTransformer(**params).fit(IRIS) for _ in range(2))
    np.testing.assert_array_equal(first.transform(IRIS), second.transform(IRIS))
    assert first.sample(3, random_state=0).shape == (3, 4)


@needs_cuda
def test_gpu_models_travel_as_arrays_and_continue():
    pipeline = make_pipeline(
        StandardScaler(), AutoencoderTransformer(device="cuda", max_iter=3, random_state=0)
    ).fit(IRIS)
    data = pickle.dumps(pipeline)
    assert b"torch" not in data.replace(b"torch.device", b"")
    again = pickle.loads(data)
    np.testing.assert_array_equal(again.transform(IRIS), pipeline.transform(IRIS))
    model = again[-1].set_params(device="cpu").partial_fit(IRIS)
    assert model.device_.type == "cpu"


@needs_cuda
def test_gpu_tensor_as_input_is_refused_with_advice():
    with pytest.raises(TypeError, match=r"\.cpu\(\)"):
        AutoencoderTransformer().fit(torch.tensor(IRIS, device="cuda"))


def test_prediction_inside_a_fit_leaves_it_one_thread():
    cpu = torch.device("cpu")
    before = torch.get_num_threads()
    with threads_for(0, cpu):
        with threads_for(0, cpu):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
