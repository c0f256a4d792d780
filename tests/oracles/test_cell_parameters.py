"""Parameters of recurrent cells: their start, their penalty, and torch's arrangement of them."""

import itertools

import numpy as np
import pytest
import torch

from skaernn.networks._sequences import cells
from skaernn.networks._sequences.cells import CELLS, TorchCell, orthogonal

OF_TORCH = [name for name, cell in CELLS.items() if issubclass(cell, TorchCell)]
CLOSE = {"rtol": 1e-12, "atol": 1e-12}  # some tens of operations in float64


@pytest.mark.parametrize("name", CELLS)
def test_to_a_module_and_back_is_exact(name):
    cell, generator = CELLS[name](3, 4), torch.Generator().manual_seed(0)
    blocks = {key: torch.randn(shape, generator=generator) for key, shape in cell.shapes.items()}
    again = {key: torch.full_like(block, torch.nan) for key, block in blocks.items()}
    cell.from_module(cell.to_module(blocks), again)
    assert all(torch.equal(again[key], block) for key, block in blocks.items())


@pytest.mark.parametrize("name", OF_TORCH)
def test_torchs_own_parameters_keep_their_function(name):
    cell = CELLS[name](3, 4)
    layer = cell.torch_class(3, 4, dtype=torch.float64)
    parameters = [p.detach() for p in layer.parameters()]
    blocks = {key: torch.empty(shape).double() for key, shape in cell.shapes.items()}
    cell.from_torch(*parameters, blocks)
    x = torch.randn(5, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = layer(x)[0].detach()
    states = (torch.zeros(2, 4, dtype=torch.float64),) * cell.n_states
    for t in range(5):
        states = cell.step(x[t], states, blocks)
        torch.testing.assert_close(states[0], expected[t], **CLOSE)


def started(cell, dtype=torch.float64, seed=0):
    blocks = {key: torch.full(shape, torch.nan, dtype=dtype) for key, shape in cell.shapes.items()}
    cell.start(blocks, torch.Generator().manual_seed(seed))
    return blocks


@pytest.mark.parametrize("hidden_size", [1, 7])
@pytest.mark.parametrize("name", OF_TORCH)
def test_start(name, hidden_size):
    cell = CELLS[name](50, hidden_size)
    blocks = started(cell)
    w_ih, w_hh, b_ih, b_hh = cell.to_torch(blocks)
    for gate in w_hh.split(hidden_size):
        one = torch.eye(hidden_size, dtype=torch.float64)
        torch.testing.assert_close(gate @ gate.T, one, rtol=0, atol=1e-6)  # as float32 has it
    if hidden_size > 1:
        assert len({float(gate[0, 0]) for gate in w_hh.split(hidden_size)}) == cell.n_gates
    bound = (6 / (50 + hidden_size)) ** 0.5
    assert 0.9 * bound < w_ih.abs().max() <= bound
    assert abs(w_ih.mean()) < 4 * bound / (3 * w_ih.numel()) ** 0.5
    forget = torch.zeros(cell.n_gates, hidden_size, dtype=torch.float64)
    if name == "lstm":
        forget[1] = 1  # torch: i, f, g, o
    assert torch.equal((b_ih + b_hh).view_as(forget), forget)


def test_orthogonal_starts_are_uniform():
    """Without a sign rule, reflections leave a negative diagonal nearly always."""
    traces = [float(started(CELLS["rnn"](1, 3), seed=s)["weight"][:3].trace()) for s in range(200)]
    # uniform orthogonal matrices have a trace of mean 0 and variance 1
    assert abs(np.mean(traces)) < 4 / 200**0.5
    assert abs(np.var(traces) - 1) < 0.5


def separate(size):
    return orthogonal(20_000, size, torch.Generator().manual_seed(0)).double()


def last_of_large(size):
    generator = torch.Generator().manual_seed(0)
    return torch.stack([orthogonal(2, size, generator)[1] for _ in range(20_000)]).double()


@pytest.mark.parametrize(
    ("draw", "size"), [(separate, 1), (separate, 2), (separate, 5), (last_of_large, 3)]
)
def test_every_entry_of_orthogonal_matrices_is_distributed_alike(draw, size, monkeypatch):
    n = 20_000
    monkeypatch.setattr(cells, "_LARGE", 3 if draw is last_of_large else 256)
    q = draw(size)
    # moments of a coordinate of the unit sphere; 6 deviations, for up to 25 entries
    for power, expected in ((1, 0.0), (2, 1 / size), (4, 3 / (size * (size + 2)))):
        moment = (q**power).mean(0)
        assert float((moment - expected).abs().max()) < 6 / n**0.5, power
    assert abs(float(torch.linalg.det(q).mean())) < 6 / n**0.5  # reflections half the time
    # and independent of each other: of the others, of the other matrices
    assert abs(float((q[:, 0, 0] * q[:, -1, -1]).mean()) - (size == 1)) < 6 / n**0.5
    assert abs(float((q[1:] * q[:-1]).mean())) < 6 / n**0.5


def test_orthogonal_matrices_are_products_of_reflections():
    """Stewart's product, one reflection after the other, in float64."""
    size = 6
    found = orthogonal(2, size, torch.Generator().manual_seed(0)).double().numpy()
    draw = torch.empty(2, size, size).normal_(generator=torch.Generator().manual_seed(0))
    for q, rows in zip(found, draw.double().numpy(), strict=True):
        expected = np.eye(size)
        for k, x in enumerate(rows):
            x = np.where(np.arange(size) < k, 0.0, x)
            sign = np.sign(x[k])
            v = x + sign * np.linalg.norm(x) * np.eye(size)[k]
            column = np.eye(size) - 2 * np.outer(v, v) / (v @ v)
            expected = expected @ column
            expected[:, k] *= -sign  # no later reflection touches it
        np.testing.assert_allclose(q, expected.T, atol=1e-6)


def test_large_orthogonal_matrices_are_as_orthogonal_as_float32_has_it():
    q = orthogonal(4, 512, torch.Generator().manual_seed(0)).double()
    identity = torch.eye(512).double().expand_as(q)
    torch.testing.assert_close(q @ q.mT, identity, rtol=0, atol=1e-6)
    # the sum of a row's squares with random signs has the variance of its fourth powers, 3 / size
    for one, other in itertools.combinations(q, 2):
        assert float((one @ other.mT).abs().max()) < 5 * (3 / 512) ** 0.5


def test_a_draw_of_zero_leaves_no_hole(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "normal_", lambda self, generator: self.zero_())
    assert torch.equal(orthogonal(1, 3, torch.Generator()).abs()[0], torch.eye(3))


@pytest.mark.parametrize("name", CELLS)
def test_the_start_depends_on_the_generator_alone(name):
    cell = CELLS[name](3, 5)
    state = torch.get_rng_state()
    blocks, again = started(cell, seed=3), started(cell, seed=3)
    narrow, other = started(cell, torch.float32, seed=3), started(cell, seed=4)
    assert torch.equal(torch.get_rng_state(), state)
    for key, block in blocks.items():
        assert torch.equal(again[key], block)
        assert torch.equal(narrow[key], block.float())
    assert not torch.equal(other["weight"], blocks["weight"])


@pytest.mark.parametrize("name", CELLS)
def test_the_penalty_spares_biases_alone(name):
    cell = CELLS[name](3, 5)
    assert {key: tuple(mask.shape) for key, mask in cell.penalised.items()} == cell.shapes
    for mask in cell.penalised.values():  # the last row of a block is its bias
        assert (mask[:-1] == 1).all()
        assert not mask[-1].any()
