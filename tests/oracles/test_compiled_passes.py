"""Passes of recurrent layers by compiled kernels against autograd over the cells' steps.

All instruction sets that are here are tested, in either type, at the widths where vectors end.
"""

import ctypes
from functools import cache, lru_cache

import pytest
import torch

from skaernn._native import library
from skaernn._native.functions import Functions
from skaernn.networks._sequences._layers import compiled
from skaernn.networks._sequences._layers.compiled import CompiledPass
from skaernn.networks._sequences._layers.step import StepPass
from skaernn.networks._sequences.cells import CELLS
from skaernn.networks._sequences.packing import Packing

KINDS = library.built()
FUSED = {"avx2", "avx512"}
TYPES = [torch.float32, torch.float64]
NAMES = [("rnn", "tanh"), ("rnn", "relu"), ("lstm", "tanh"), ("gru", "tanh"), ("mingru", "tanh")]
# Units, inputs, lengths.
SIZES = [
    (1, 1, (1,)),
    (3, 4, (9, 9, 4, 4, 1)),
    (8, 1, (7,) * 6),
    (10, 4, (12,) * 32),
    (16, 3, (40, 3)),
    (17, 1, (5, 4, 4, 3, 1, 1, 1)),
    (33, 4, (6,) * 70),
    (64, 300, (3, 2)),
    (130, 4, (4, 4, 4, 1)),
    (4, 2, (300, 299, 2)),
]
# Of the largest number. A number is a sum of some hundred products, over tens of steps.
CLOSE = {torch.float32: 1e-5, torch.float64: 2e-14}

pytestmark = pytest.mark.skipif(not KINDS, reason="no kernels are built here")
every_kind = pytest.mark.parametrize("kind", KINDS)
every_type = pytest.mark.parametrize("dtype", TYPES, ids=str)
every_name = pytest.mark.parametrize(("name", "activation"), NAMES)
every_size = pytest.mark.parametrize("size", SIZES, ids=str)


@lru_cache
def functions(kind):
    return Functions(ctypes.CDLL(str(library._path(kind))))


@pytest.fixture
def choose(monkeypatch):
    """Lets kernels of a kind do the work; None: there are none."""

    def choose(kind):
        found = None if kind is None else functions(kind)
        monkeypatch.setattr(compiled, "compiled_kernels", lambda: found)

    return choose


class Problem:
    """A layer with random parameters, inputs, initial states and gradients of its output."""

    def __init__(self, name, activation, size, dtype):
        n_hidden, n_inputs, lengths = size
        generator = torch.Generator().manual_seed(0)

        def draw(*shape):
            return torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)

        self.cell = CELLS[name](n_inputs, n_hidden, activation)
        self.packing = Packing.of_lengths(torch.tensor(lengths))
        scale = 0.5 / (n_hidden + n_inputs) ** 0.5
        self.blocks = {key: scale * draw(*shape) for key, shape in self.cell.shapes.items()}
        self.x, self.delta = draw(self.packing.size, n_inputs), draw(self.packing.size, n_hidden)
        self.states = [draw(len(lengths), n_hidden) for _ in range(self.cell.n_states)]

    def made(self, way, begins=True, with_delta_x=True):
        """A pass, and by name where its gradients go."""
        gradients = {key: self.x.new_empty(block.shape) for key, block in self.blocks.items()}
        delta_x = self.x.new_empty(self.x.shape) if with_delta_x else None
        layer = way(self.cell, self.blocks, dict(gradients), self.packing, self.x, delta_x, begins)
        gradients |= {f"state {i}": state for i, state in enumerate(layer.delta_initial)}
        return layer, gradients | ({"x": delta_x} if with_delta_x else {})

    def run(self, way, repeat=2, **how):
        """Output and gradients by name; of the second use of one pass."""
        layer, numbers = self.made(way, **how)
        for initial, state in zip(layer.initial, self.states, strict=True):
            assert not initial.any()
            initial.copy_(state)
        for _ in range(repeat):
            layer.forward()
            numbers["h"] = layer.h.clone()
            layer.delta.copy_(self.delta)
            layer.backward()
        return numbers


@cache
def autograd(*problem):
    return Problem(*problem).run(StepPass, repeat=1)


def assert_close(found, expected, bound):
    assert found.keys() == expected.keys()
    for key, numbers in expected.items():
        error = (found[key] - numbers).abs().max()
        assert error <= bound * max(1.0, numbers.abs().max()), key


@every_kind
@every_type
@every_size
@every_name
def test_passes_equal_autograd(choose, kind, dtype, name, activation, size):
    choose(kind)
    problem = name, activation, size, dtype
    assert_close(Problem(*problem).run(CompiledPass), autograd(*problem), CLOSE[dtype])


@every_kind
@every_size
@every_name
def test_single_precision_is_double_precision_rounded(choose, kind, name, activation, size):
    choose(kind)
    narrow = Problem(name, activation, size, torch.float32)
    wide = Problem(name, activation, size, torch.float64)
    for part in ("x", "delta"):
        setattr(wide, part, getattr(narrow, part).double())
    wide.blocks = {key: block.double() for key, block in narrow.blocks.items()}
    wide.states = [state.double() for state in narrow.states]
    found = {key: part.double() for key, part in narrow.run(CompiledPass).items()}
    assert_close(found, wide.run(CompiledPass), 5e-6)


@pytest.mark.skipif(not set(KINDS) >= FUSED, reason="needs both kinds of wide vectors")
@every_type
@every_size
@every_name
def test_all_wide_vectors_have_the_same_bits(choose, dtype, name, activation, size):
    problem, bits = Problem(name, activation, size, dtype), []
    for kind in sorted(FUSED):
        choose(kind)
        numbers = problem.run(CompiledPass)
        bits.append({key: part.numpy().tobytes() for key, part in numbers.items()})
    assert bits[0] == bits[1]


@every_kind
@every_type
@every_name
def test_a_sequence_has_the_bits_that_it_has_alone(choose, kind, dtype, name, activation):
    choose(kind)
    problem = Problem(name, activation, (17, 3, (9, 9, 6, 2, 2, 2, 1)), dtype)
    together, (row, _) = problem.run(CompiledPass), problem.packing.positions()
    for i, length in enumerate(problem.packing.lengths().tolist()):
        alone = Problem(name, activation, (17, 3, (length,)), dtype)
        alone.blocks, alone.x = problem.blocks, problem.x[row == i]
        alone.delta = problem.delta[row == i]
        alone.states = [state[i : i + 1] for state in problem.states]
        found = alone.run(CompiledPass)
        for key in ("h", "x"):
            assert torch.equal(found[key], together[key][row == i]), key
        for key in found.keys() - {"h", "x"} - problem.blocks.keys():
            assert torch.equal(found[key][0], together[key][i]), key


@every_kind
@every_name
def test_what_is_not_asked_for_changes_nothing_else(choose, kind, name, activation):
    choose(kind)
    problem = Problem(name, activation, (10, 4, (5, 5, 2)), torch.float32)
    whole = problem.run(CompiledPass)
    less = problem.run(CompiledPass, begins=False, with_delta_x=False)
    assert less.keys() == {"h", *problem.blocks}
    assert all(torch.equal(part, whole[key]) for key, part in less.items())
    layer = CompiledPass(problem.cell, problem.blocks, None, problem.packing, problem.x, None)
    for initial, state in zip(layer.initial, problem.states, strict=True):
        initial.copy_(state)
    layer.forward()
    assert torch.equal(layer.h, whole["h"])


@every_kind
@every_type
@every_name
def test_nothing_beside_the_memory_of_a_pass_is_read_or_written(
    choose, kind, dtype, name, activation, monkeypatch
):
    """All of it lies between numbers that are none, and what it holds at first is none either."""
    choose(kind)
    guards, room = [], 70

    def guarded(like, *shape):
        shape = shape if len(shape) != 1 or isinstance(shape[0], int) else tuple(shape[0])
        n = torch.Size(shape).numel()
        memory = torch.full((n + 2 * room,), torch.nan, dtype=like.dtype)
        guards.append(memory)
        return memory[room : room + n].view(shape)

    def moved(part):
        return guarded(part, *part.shape).copy_(part)

    for size in SIZES[:7]:
        problem = Problem(name, activation, size, dtype)
        expected = problem.run(CompiledPass)
        with monkeypatch.context() as patch:
            patch.setattr(torch.Tensor, "new_empty", guarded)
            problem.x = moved(problem.x)
            problem.blocks = {key: moved(block) for key, block in problem.blocks.items()}
            found = problem.run(CompiledPass)
        assert len(guards) > 8
        for memory in guards:
            assert memory[:room].isnan().all()
            assert memory[-room:].isnan().all()
        assert all(torch.equal(part, expected[key]) for key, part in found.items())
        guards.clear()


@every_kind
@every_name
def test_rows_of_input_and_of_its_gradient_may_have_gaps(choose, kind, name, activation):
    choose(kind)
    problem = Problem(name, activation, (10, 4, (5, 5, 2)), torch.float32)
    expected = problem.run(CompiledPass)
    wide, wide_delta = torch.full((2, len(problem.x), 7), torch.nan)
    wide[:, :4] = problem.x
    grads = {key: torch.empty_like(block) for key, block in problem.blocks.items()}
    layer = CompiledPass(
        problem.cell, problem.blocks, grads, problem.packing, wide[:, :4], wide_delta[:, :4]
    )
    for initial, state in zip(layer.initial, problem.states, strict=True):
        initial.copy_(state)
    layer.forward()
    layer.delta.copy_(problem.delta)
    layer.backward()
    assert torch.equal(layer.h, expected["h"])
    assert torch.equal(wide_delta[:, :4], expected["x"])
    assert wide_delta[:, 4:].isnan().all()


@every_kind
@every_name
def test_parameters_are_looked_into_at_every_pass(choose, kind, name, activation):
    choose(kind)
    problem = Problem(name, activation, (10, 4, (5, 5, 2)), torch.float32)
    layer, _ = problem.made(CompiledPass)
    layer.forward()
    for block in problem.blocks.values():
        block.mul_(2)
    problem.x.mul_(2)
    layer.forward()
    again, _ = problem.made(CompiledPass)
    again.forward()
    assert torch.equal(layer.h, again.h)


@every_kind
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@every_name
def test_what_is_not_finite_stays_in_its_sequence(choose, kind, name, activation, bad):
    choose(kind)
    problem = Problem(name, activation, (10, 4, (6, 6, 3)), torch.float32)
    row, t = problem.packing.positions()
    clean = problem.run(CompiledPass)
    problem.x[(row == 1) & (t == 2)] = bad
    found, expected = problem.run(CompiledPass), problem.run(StepPass)
    torch.testing.assert_close(found["h"], expected["h"], rtol=1e-5, atol=1e-5, equal_nan=True)
    for key in ("h", "x"):
        assert torch.equal(found[key][row != 1], clean[key][row != 1])
    if bad != bad:
        assert found["h"][(row == 1) & (t >= 2)].isnan().all()


@every_kind
@pytest.mark.parametrize("flush", [False, True])
@every_name
def test_fading_gradients_are_cut_off_and_the_processor_s_mode_stays(
    choose, kind, name, activation, flush
):
    """Only the last step has a gradient; 300 steps back it is beyond float32."""
    choose(kind)
    problem = Problem(name, activation, (4, 2, (300, 250)), torch.float32)
    weight = problem.blocks["weight"]
    if activation == "relu":  # nothing fades through units that are off
        weight[:4] = 0.5 * torch.eye(4)
        weight[-1] = 5
    if name == "lstm":
        weight[-1, 8:12] = 0
    if not torch.set_flush_denormal(flush):
        pytest.skip("this processor has no such mode")
    try:
        layer, gradients = problem.made(CompiledPass)
        layer.forward()
        layer.delta.zero_()[problem.packing.last()] = 1
        layer.backward()
        assert ((torch.tensor(1e-40) * 1).item() == 0) is flush
    finally:
        torch.set_flush_denormal(False)
    tiny = torch.finfo(torch.float32).tiny
    for numbers in (layer.delta, *gradients.values()):
        assert not ((numbers != 0) & (numbers.abs() < tiny)).any()
    assert not gradients["x"][:100].any()
    assert gradients["x"][-1].all()


def test_passes_are_for_kernels_and_the_cpu(choose):
    cell, packing = CELLS["lstm"](3, 10), Packing.uniform(10, 32)
    choose(KINDS[0])
    assert CompiledPass.pays(cell, packing, torch.empty(320, 3), True)
    assert not CompiledPass.pays(cell, packing, torch.empty(320, 3, device="meta"), True)
    choose(None)
    assert not CompiledPass.pays(cell, packing, torch.empty(320, 3), True)
