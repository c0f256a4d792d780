"""Which passes a layer gets, and that they leave the processor's mode alone."""

from contextlib import contextmanager

import pytest
import torch

from skaernn._native.library import built
from skaernn.networks._sequences._layers import compiled
from skaernn.networks._sequences._layers.choice import FAST, layer_pass
from skaernn.networks._sequences._layers.compiled import CompiledPass
from skaernn.networks._sequences._layers.kernels import OneDNNPass, TorchPass
from skaernn.networks._sequences.cells import CELLS
from skaernn.networks._sequences.packing import Packing


@contextmanager
def threads(n):
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def without_kernels(monkeypatch):
    monkeypatch.setattr(compiled, "compiled_kernels", lambda: None)


def chosen(name, lengths, hidden_size, dtype, device="cpu", n_inputs=3, trains=True, cache=None):
    cell = CELLS[name](n_inputs, hidden_size)
    packing = Packing.of_lengths(torch.tensor(lengths))

    def new(*shape):
        return torch.empty(shape, dtype=dtype, device=device)

    blocks = {key: new(*shape) for key, shape in cell.shapes.items()}
    grads = {key: new(*shape) for key, shape in cell.shapes.items()} if trains else None
    x = new(packing.size, n_inputs)
    return type(layer_pass(cell, blocks, grads, packing, x, cache=cache)), FAST[type(cell)][-1]


@pytest.mark.parametrize(
    ("name", "lengths", "hidden_size", "dtype", "device", "expected"),
    [
        ("lstm", [50] * 16, 32, torch.float32, "cpu", OneDNNPass),
        ("lstm", [10] * 16, 32, torch.float32, "cpu", None),
        ("lstm", [50] * 200, 4, torch.float32, "cpu", None),
        ("lstm", [50] * 32, 64, torch.float32, "cpu", OneDNNPass),
        ("lstm", [50] * 64, 64, torch.float32, "cpu", None),
        ("lstm", [50] * 16, 32, torch.float64, "cpu", None),
        ("lstm", [50] * 16 + [9], 32, torch.float32, "cpu", None),
        ("gru", [50] * 16, 32, torch.float32, "cpu", None),
        ("rnn", [50] * 16, 32, torch.float32, "cpu", None),
        ("gru", [50] * 16, 32, torch.float32, "meta", TorchPass),
        ("mingru", [50] * 16, 32, torch.float32, "cpu", None),
        ("mingru", [50] * 16, 32, torch.float32, "meta", None),
        ("lstm", [50] * 16, 32, torch.float32, "meta", TorchPass),
    ],
)
def test_choice_of_the_pass(without_kernels, name, lengths, hidden_size, dtype, device, expected):
    found, last = chosen(name, lengths, hidden_size, dtype, device)
    assert found is (expected or last)


@pytest.mark.skipif(not built(), reason="no kernels are built here")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("name", "lengths", "hidden_size", "n_inputs", "expected"),
    [
        *((name, [50] * 200, 64, 30, True) for name in CELLS),
        *((name, [50] * 200, 128, 30, name == "mingru") for name in CELLS),
        *((name, [50] * 32, 128, 4, True) for name in CELLS),
        *((name, [50] * 9 + [3], 10, 300, True) for name in CELLS),
        *((name, [50] * 32, 64, 300, False) for name in CELLS),
        *((name, [50], 256, 30, name == "mingru") for name in CELLS),
        ("lstm", [50] * 9 + [3], 32, 4, True),
    ],
)
def test_kernels_are_chosen_for_small_products(
    name, lengths, hidden_size, n_inputs, dtype, expected
):
    with threads(1):
        found, _ = chosen(name, lengths, hidden_size, dtype, n_inputs=n_inputs, cache={})
    assert (found is CompiledPass) is expected


@pytest.mark.skipif(not built(), reason="no kernels are built here")
@pytest.mark.parametrize("name", CELLS)
def test_large_batches_use_the_threads_there_are(name):
    with threads(2):
        many, _ = chosen(name, [50] * 200, 64, torch.float32, n_inputs=30, cache={})
        few, _ = chosen(name, [50] * 32, 64, torch.float32, n_inputs=30, cache={})
    assert (many is CompiledPass) is (name == "mingru")  # the others' products are torch's
    assert few is CompiledPass


@pytest.mark.parametrize(
    ("name", "n_steps", "dtype", "expected"),
    [
        ("lstm", 50, torch.float32, OneDNNPass),
        ("lstm", 10, torch.float32, None),
        ("lstm", 50, torch.float64, None),
        ("gru", 50, torch.float32, None),
    ],
)
def test_choice_of_the_pass_without_gradients(without_kernels, name, n_steps, dtype, expected):
    found, last = chosen(name, [n_steps] * 200, 64, dtype, trains=False)
    assert found is (expected or last)


@pytest.mark.parametrize("flush", [False, True])
def test_denormal_numbers_are_to_the_caller_what_they_were(flush):
    if not torch.set_flush_denormal(flush):
        pytest.skip("this processor has no such mode")
    try:
        cell, packing = CELLS["lstm"](3, 4), Packing.uniform(400, 2)
        blocks = {key: torch.ones(shape) for key, shape in cell.shapes.items()}
        blocks["weight"].mul_(0.1)
        grads = {key: torch.empty(shape) for key, shape in cell.shapes.items()}
        layer = OneDNNPass(cell, blocks, grads, packing, torch.ones(packing.size, 3), None)
        layer.forward()
        layer.delta.zero_()[-2:] = 1
        layer.backward()
        assert ((torch.tensor(1e-40) * 1).item() == 0) is flush
        assert all(gradient.isfinite().all() for gradient in grads.values())
    finally:
        torch.set_flush_denormal(False)
