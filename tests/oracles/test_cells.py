"""Recurrent layers against a loop in numpy and against torch's own layers through autograd."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skaernn.networks._linear import with_memory
from skaernn.networks._sequences._layers import compiled
from skaernn.networks._sequences._layers.choice import FAST, layer_pass
from skaernn.networks._sequences._layers.kernels import OneDNNPass, TorchPass
from skaernn.networks._sequences._layers.padded import PaddedPass, padded_steps
from skaernn.networks._sequences._layers.step import StepPass
from skaernn.networks._sequences.cells import CELLS, TorchCell
from skaernn.networks._sequences.packing import Packing

# Sums of some hundred products in float64, each wrong by 1e-16 of its terms, over tens of steps.
CLOSE = {"rtol": 1e-12, "atol": 1e-12}
KINDS = [("rnn", "relu"), *((name, "tanh") for name in CELLS)]
LENGTHS = [[1], [6, 6, 6], [5, 1], [9, 9, 4, 4, 4, 3, 1], [30] * 5 + [12]]
every_kind = pytest.mark.parametrize(("name", "activation"), KINDS)
every_length = pytest.mark.parametrize("lengths", LENGTHS, ids=str)
every_way = pytest.mark.parametrize("way", ["hand-written", "steps", "torch"])


def fast(cell):
    """Passes of the cell; those that serve any, if it has none of its own."""
    return FAST.get(type(cell), (StepPass,))


def pass_class(cell, way):
    classes = {"hand-written": fast(cell)[-1], "steps": StepPass, "oneDNN": OneDNNPass}
    # what torch has no layer of goes step by step
    return {**classes, "torch": TorchPass if isinstance(cell, TorchCell) else StepPass}[way]


@pytest.fixture
def without_kernels(monkeypatch):
    monkeypatch.setattr(compiled, "compiled_kernels", lambda: None)


class Problem:
    """A layer with random parameters, inputs, initial states and gradients of its output."""

    def __init__(
        self, name, activation, lengths, n_inputs=3, hidden_size=4, seed=0, dtype=torch.float64
    ):
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape):
            return torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)

        self.cell = CELLS[name](n_inputs, hidden_size, activation)
        self.lengths = lengths
        self.packing = Packing.of_lengths(torch.tensor(lengths))
        self.blocks = {
            key: 0.7 / hidden_size**0.5 * draw(*shape) for key, shape in self.cell.shapes.items()
        }
        self.x = draw(self.packing.size, n_inputs)
        self.delta = draw(self.packing.size, hidden_size)
        self.states = [draw(len(lengths), hidden_size) for _ in range(self.cell.n_states)]

    def run(self, way, with_delta_x=True, repeat=2, cache=None):
        """Output, gradients of the blocks and of the input; the second use of one pass."""
        grads = {key: torch.full_like(block, torch.nan) for key, block in self.blocks.items()}
        delta_x = torch.full_like(self.x, torch.nan) if with_delta_x else None
        arguments = self.blocks, grads, self.packing, self.x, delta_x
        if cache is None:
            layer = pass_class(self.cell, way)(self.cell, *arguments)
        else:
            layer = layer_pass(self.cell, *arguments, cache)
            assert isinstance(layer, PaddedPass) == (way == "padded")
        for initial, state in zip(layer.initial, self.states, strict=True):
            assert not initial.any()
            initial.copy_(state)
        for _ in range(repeat):
            layer.forward()
            output = layer.h.clone()
            layer.delta.copy_(self.delta)
            layer.backward()
        return output, grads, delta_x

    def autograd(self):
        """The same by the layer of a fitted module, the gradients in its arrangement."""
        cell = self.cell
        layer = with_memory(cell.layers(1, False, self.x.dtype), "cpu")
        with torch.no_grad():
            for parameter, value in zip(
                layer.parameters(), cell.to_module(self.blocks), strict=True
            ):
                parameter.copy_(value)
        x = self.x.clone().requires_grad_()
        states = tuple(state[None] for state in self.states)
        states = states if cell.n_states == 2 else states[0]
        sizes = torch.tensor(self.packing.batch_sizes)
        output = layer(nn.utils.rnn.PackedSequence(x, sizes), states)[0].data
        output.backward(self.delta)
        return output.detach(), [p.grad for p in layer.parameters()], x.grad

    def sequences(self, packed):
        """Packed rows as one array a sequence."""
        row, t = self.packing.positions()
        return [packed[row == i][t[row == i].argsort()] for i in range(len(self.lengths))]


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def numpy_step(name, activation, x, states, weight, candidate_bias):
    """One step of one sequence, from the definitions and the documented arrangement."""
    h = states[0]
    H = len(h)
    if name == "mingru":
        z, a = (np.append(x, 1.0) @ weight).reshape(2, H)
        z = sigmoid(z)
        return [(1 - z) * h + z * np.where(a >= 0, a + 0.5, sigmoid(a))]
    products = np.concatenate([h, x, [1.0]]) @ weight
    if name == "rnn":
        return [np.tanh(products) if activation == "tanh" else np.maximum(products, 0)]
    if name == "lstm":
        o, i, f, g = products.reshape(4, H)
        c = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(c), c]
    r, z = sigmoid(products[H:].reshape(2, H))
    heard = h @ weight[:H, :H] + candidate_bias
    n = np.tanh(x @ weight[H:-1, :H] + weight[-1, :H] + r * heard)
    return [(1 - z) * n + z * h]


@every_way
@every_length
@every_kind
def test_forward_equals_a_loop_in_numpy(name, activation, lengths, way):
    problem = Problem(name, activation, lengths)
    output, _, _ = problem.run(way)
    weight = problem.blocks["weight"].numpy()
    bias = problem.blocks["candidate_bias"][0].numpy() if name == "gru" else None
    inputs, outputs = problem.sequences(problem.x), problem.sequences(output)
    for i, (xs, found) in enumerate(zip(inputs, outputs, strict=True)):
        states = [state[i].numpy() for state in problem.states]
        for x, h in zip(xs.numpy(), found.numpy(), strict=True):
            states = numpy_step(name, activation, x, states, weight, bias)
            np.testing.assert_allclose(h, states[0], **CLOSE)


def assert_equals_autograd(problem, way, cache=None):
    output, grads, delta_x = problem.run(way, cache=cache)
    expected, references, expected_delta_x = problem.autograd()
    torch.testing.assert_close(output, expected, **CLOSE)
    torch.testing.assert_close(delta_x, expected_delta_x, **CLOSE)
    found = problem.cell.to_module(grads)
    for gradient, reference in zip(found[:3], references[:3], strict=True):
        torch.testing.assert_close(gradient, reference, **CLOSE)
    if "candidate_bias" in grads:
        bias, hidden_size = references[3], problem.cell.hidden_size
        torch.testing.assert_close(grads["candidate_bias"][0], bias[-hidden_size:], **CLOSE)


@every_way
@every_length
@every_kind
def test_passes_equal_autograd(name, activation, lengths, way):
    assert_equals_autograd(Problem(name, activation, lengths), way)


@every_way
@every_kind
@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    n_inputs=st.integers(1, 5),
    hidden_size=st.integers(1, 6),
    seed=st.integers(0, 2**20),
)
def test_passes_equal_autograd_for_small_sizes(
    name, activation, way, lengths, n_inputs, hidden_size, seed
):
    lengths = sorted(lengths, reverse=True)
    assert_equals_autograd(Problem(name, activation, lengths, n_inputs, hidden_size, seed), way)


@every_length
@every_kind
def test_padded_passes_equal_autograd(without_kernels, name, activation, lengths):
    problem = Problem(name, activation, lengths)
    ragged = len(set(lengths)) > 1 and activation != "relu"
    ragged &= fast(problem.cell)[-1].is_recorded
    assert_equals_autograd(problem, "padded" if ragged else "hand-written", cache={})


def test_padded_passes_share_what_is_kept(without_kernels):
    cache, first = {}, Problem("gru", "tanh", [9, 9, 4, 2])
    grads = {key: torch.empty_like(block) for key, block in first.blocks.items()}
    for seed, lengths in enumerate([[9, 9, 4, 2], [10, 3, 2, 1], [9, 8, 7, 7], [5, 1, 1, 1]]):
        problem = Problem("gru", "tanh", lengths, seed=seed)
        for key, block in first.blocks.items():
            block.copy_(problem.blocks[key])
        delta_x = torch.empty_like(problem.x)
        layer = layer_pass(
            problem.cell, first.blocks, grads, problem.packing, problem.x, delta_x, cache
        )
        assert not layer.initial[0].any()
        layer.initial[0].copy_(problem.states[0])
        layer.forward()
        layer.delta.copy_(problem.delta)
        layer.backward()
        output, (_, w_hh, *_), expected = problem.autograd()
        torch.testing.assert_close(layer.h, output, **CLOSE)
        torch.testing.assert_close(delta_x, expected, **CLOSE)
        torch.testing.assert_close(problem.cell.to_torch(grads)[1], w_hh, **CLOSE)
        problem.x.fill_(torch.nan)  # a batch gone wrong leaves nothing behind
        layer.forward()
    assert [key[0] for key in cache] == [10, 5]
    for n_steps in range(20, 60, 8):
        packing = Packing.of_lengths(torch.tensor([n_steps, 1]))
        x = torch.empty(packing.size, 3, dtype=torch.float64)
        layer_pass(first.cell, first.blocks, grads, packing, x, None, cache)
    assert len(cache) == 4


def test_padding_is_for_batches_that_waste_little():
    assert padded_steps(Packing.of_lengths(torch.tensor([50] * 32 + [40] * 32)), 64) == 56
    assert padded_steps(Packing.of_lengths(torch.tensor([500] + [5] * 63)), 64) is None
    assert padded_steps(Packing.of_lengths(torch.tensor([500] + [5] * 63)), 8) == 512


@pytest.mark.parametrize("lengths", [[23] * 3, [23, 20, 20, 4]], ids=str)
@every_kind
def test_chunks_equal_the_whole(name, activation, lengths, monkeypatch):
    monkeypatch.setattr("skaernn.networks._sequences._layers.tape._CHUNK", 200)
    assert_equals_autograd(Problem(name, activation, lengths), "hand-written")


@every_way
@every_kind
def test_without_delta_x_and_without_gradients(name, activation, way):
    problem = Problem(name, activation, [5, 5, 2])
    output, grads, _ = problem.run(way)
    again, alone, delta_x = problem.run(way, with_delta_x=False)
    assert delta_x is None
    assert torch.equal(again, output)
    assert all(torch.equal(alone[key], grads[key]) for key in grads)
    make = pass_class(problem.cell, way)
    layer = make(problem.cell, problem.blocks, None, problem.packing, problem.x, None)
    for initial, state in zip(layer.initial, problem.states, strict=True):
        initial.copy_(state)
    layer.forward()
    torch.testing.assert_close(layer.h, output, **CLOSE)


@every_way
@every_kind
def test_passes_look_into_parameters_and_input(name, activation, way):
    problem = Problem(name, activation, [30] * 4)  # enough rows for copies of the weights
    grads = {key: torch.empty_like(block) for key, block in problem.blocks.items()}
    make = pass_class(problem.cell, way)
    x, delta_x = torch.zeros_like(problem.x), torch.empty_like(problem.x)
    blocks = {key: torch.zeros_like(block) for key, block in problem.blocks.items()}
    layer = make(problem.cell, blocks, grads, problem.packing, x, delta_x)
    with torch.no_grad():
        layer.forward()
        x.copy_(problem.x)
        for key, block in problem.blocks.items():
            blocks[key].copy_(block)
        for initial, state in zip(layer.initial, problem.states, strict=True):
            initial.copy_(state)
        layer.forward()
        layer.delta.copy_(problem.delta)
        layer.backward()
    expected, gradients, delta = problem.autograd()
    torch.testing.assert_close(layer.h, expected, **CLOSE)
    torch.testing.assert_close(delta_x, delta, **CLOSE)
    torch.testing.assert_close(problem.cell.to_module(grads)[:2][-1], gradients[:2][-1], **CLOSE)


@every_kind
def test_steps_equal_the_passes(name, activation):
    problem = Problem(name, activation, [8, 5, 5, 2])
    output, _, _ = problem.run("hand-written")
    states = tuple(problem.states)
    steps = zip(problem.packing.steps(problem.x), problem.packing.steps(output), strict=True)
    for x, h in steps:
        states = tuple(state[: len(x)] for state in states)
        states = problem.cell.step(x, states, problem.blocks)
        torch.testing.assert_close(states[0], h, **CLOSE)


@every_way
@every_kind
def test_a_sequence_in_a_batch_equals_the_sequence_alone(name, activation, way):
    problem = Problem(name, activation, [9, 9, 6, 2, 1])
    output, grads, delta_x = problem.run(way)
    sums = {key: torch.zeros_like(grad) for key, grad in grads.items()}
    packed = (problem.x, problem.delta, output, delta_x)
    sequences = zip(*(problem.sequences(p) for p in packed), strict=True)
    for i, (x, delta, h, dx) in enumerate(sequences):
        alone = Problem(name, activation, [problem.lengths[i]])
        alone.x, alone.delta, alone.blocks = x, delta, problem.blocks
        alone.states = [state[i : i + 1] for state in problem.states]
        found, own, found_dx = alone.run(way)
        torch.testing.assert_close(found, h, **CLOSE)
        torch.testing.assert_close(found_dx, dx, **CLOSE)
        for key, grad in own.items():
            sums[key] += grad
    for key, grad in grads.items():
        torch.testing.assert_close(sums[key], grad, **CLOSE)


@pytest.mark.parametrize("lengths", [[40] * 9, [40, 40, 31, 7, 1]], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@every_kind
def test_fast_passes_equal_steps(name, activation, dtype, lengths):
    """At widths beyond a processor's vectors, in either type, with states that have gradients."""
    problem = Problem(name, activation, lengths, 70, 130, dtype=dtype)
    cell, packing, found = problem.cell, problem.packing, {}
    kinds = [kind for kind in fast(cell) if kind.pays(cell, packing, problem.x, False)]
    for kind in (StepPass, *kinds):
        grads = {key: torch.empty_like(block) for key, block in problem.blocks.items()}
        delta_x = torch.empty_like(problem.x)
        layer = kind(cell, problem.blocks, grads, packing, problem.x, delta_x, True)
        for initial, state in zip(layer.initial, problem.states, strict=True):
            initial.copy_(state)
        layer.forward()
        output = layer.h.clone()
        layer.delta.copy_(problem.delta)
        layer.backward()
        found[kind] = [output, delta_x, *grads.values(), *layer.delta_initial]
    # some 40 steps of sums of 200 products, relative to the largest number
    tolerance = 1e-3 if dtype == torch.float32 else 1e-11
    assert set(found) >= {StepPass, fast(cell)[-1]}
    for kind, numbers in found.items():
        for number, expected in zip(numbers, found[StepPass], strict=True):
            error = (number - expected).abs().max()
            assert error <= tolerance * expected.abs().max(), kind


@every_length
@every_kind
def test_float32_is_float64_rounded(name, activation, lengths):
    wide = Problem(name, activation, lengths).run("hand-written")
    narrow = Problem(name, activation, lengths, dtype=torch.float32).run("hand-written")
    # 1e-7 a number, grown along some tens of steps
    assert narrow[0].dtype == narrow[2].dtype == torch.float32
    torch.testing.assert_close(narrow[0].double(), wide[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(narrow[2].double(), wide[2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("with_delta_x", [False, True])
@pytest.mark.parametrize("lengths", [[1], [6, 6, 6], [30] * 5], ids=str)
def test_onednn_equals_autograd(lengths, with_delta_x):
    problem = Problem("lstm", "tanh", lengths, dtype=torch.float32)
    assert OneDNNPass.supports(problem.packing, problem.x)
    output, grads, delta_x = problem.run("oneDNN", with_delta_x)
    expected, (w_ih, w_hh, b_ih, _), expected_delta_x = problem.autograd()
    close = {"rtol": 1e-5, "atol": 1e-5}  # sums of some hundred products in float32
    torch.testing.assert_close(output, expected, **close)
    for gradient, reference in zip(problem.cell.to_torch(grads), (w_ih, w_hh, b_ih), strict=False):
        torch.testing.assert_close(gradient, reference, **close)
    if with_delta_x:
        torch.testing.assert_close(delta_x, expected_delta_x, **close)
    layer = OneDNNPass(problem.cell, problem.blocks, None, problem.packing, problem.x, None)
    for initial, state in zip(layer.initial, problem.states, strict=True):
        initial.copy_(state)
    layer.forward()
    torch.testing.assert_close(layer.h, expected, **close)


@pytest.mark.parametrize("lengths", [[300] * 4, [300, 300, 250, 40]], ids=str)
@every_kind
def test_fading_gradients_leave_no_denormal_numbers(name, activation, lengths):
    """Only the last step has a gradient; 300 steps back it is beyond float32."""
    problem = Problem(name, activation, lengths, dtype=torch.float32)
    last = problem.packing.last()
    delta = torch.zeros_like(problem.delta)
    delta[last] = problem.delta[last]
    problem.delta = delta
    if name == "gru":  # what z lets through fades by half a step
        problem.blocks["weight"] *= 0.1
    if activation == "relu":  # nothing fades through units that are off
        problem.blocks["weight"][:4] = 0.5 * torch.eye(4)
        problem.blocks["weight"][-1] = 5
    grads = {key: torch.empty_like(block) for key, block in problem.blocks.items()}
    delta_x = torch.empty_like(problem.x)
    layer = fast(problem.cell)[-1](
        problem.cell, problem.blocks, grads, problem.packing, problem.x, delta_x
    )
    layer.forward()
    layer.delta.copy_(delta)
    layer.backward()
    tiny = torch.finfo(torch.float32).tiny
    for numbers in (layer.delta, delta_x, *grads.values()):
        assert not ((numbers != 0) & (numbers.abs() < tiny)).any()
    problem.states = [torch.zeros_like(state) for state in problem.states]
    _, _, expected = problem.autograd()
    assert ((expected != 0) & (expected.abs() < tiny)).any()  # torch's own has some
    wide = Problem(name, activation, lengths)
    wide.blocks = {key: block.double() for key, block in problem.blocks.items()}
    wide.x, wide.delta = problem.x.double(), delta.double()
    wide.states = [state.double() for state in problem.states]
    _, _, expected = wide.autograd()
    torch.testing.assert_close(delta_x.double(), expected, rtol=1e-3, atol=1e-25)


@every_kind
def test_steps_of_a_fixed_number_of_rows_do_not_depend_on_the_other_rows(name, activation):
    problem = Problem(name, activation, [1] * 16, dtype=torch.float32)
    states = problem.cell.step(problem.x, tuple(problem.states), problem.blocks)
    x, others = problem.x.clone(), [state.clone() for state in problem.states]
    for tensor in (x, *others):
        tensor[1:] = tensor[1:].flip(0) * 3
    found = problem.cell.step(x, tuple(others), problem.blocks)
    for a, b in zip(found, states, strict=True):
        assert torch.equal(a[0], b[0])
