"""Kernels of torch as passes call them: into memory with gaps, in place, in either type.

A kernel that leaves an output untouched which is not laid out as its input is (gelu does, in
float32 alone) says nothing of it.
"""

import itertools

import pytest
import torch
from torch.nn import functional

from skaernn._losses.likelihoods import LIKELIHOODS
from skaernn._losses.loss import Gradient
from skaernn._losses.targets import TARGET_LOSSES, CrossEntropy
from skaernn.networks import PENALTIES, StandardNormal
from skaernn.networks._activations import ACTIVATIONS
from skaernn.networks._sequences._layers import tape, tapes

WIDTHS = [1, 5, 64, 65, 128, 129]
ROWS = [1, 7, 64, 200]
# a few roundings of numbers below ten
CLOSE = {torch.float32: 2e-5, torch.float64: 1e-13}
every_dtype = pytest.mark.parametrize("dtype", CLOSE, ids=str)


def memory(shape, dtype, gap):
    """Memory of a shape, with `gap` columns of nothing behind every row."""
    *outer, width = shape
    return torch.full((*outer, width + gap), torch.nan, dtype=dtype)[..., :width]


def shapes():
    return itertools.product((1, 3), ROWS, WIDTHS)


def assert_close(found, expected):
    error = (found - expected).abs().max()
    assert error <= CLOSE[found.dtype] * max(1.0, float(expected.abs().max()))


@every_dtype
@pytest.mark.parametrize("gap", [0, 1, 5])
@pytest.mark.parametrize("name", [n for n, a in ACTIVATIONS.items() if a.forward is not None])
def test_activations_mind_layouts(name, gap, dtype):
    activation = ACTIVATIONS[name]
    for shape in shapes():
        z = (3 * torch.randn(shape, dtype=dtype)).requires_grad_()
        expected = activation.module()(z)
        out = memory(shape, dtype, gap)
        if activation.needs_input:
            activation.forward(z.detach(), out=out)
        else:
            activation.forward(out.copy_(z.detach()), out=out)
        assert_close(out, expected.detach())
        delta = torch.randn(shape, dtype=dtype)
        (slope,) = torch.autograd.grad(expected, z, delta)
        for saved_gap in (0, 5):
            value = z.detach() if activation.needs_input else out
            saved = memory(shape, dtype, saved_gap).copy_(value)
            grad = memory(shape, dtype, gap).copy_(delta)
            activation.backward(grad, saved)()
            assert_close(grad, slope)


# what it is called with, and what it is to write
KERNELS = {
    "sigmoid_backward": (
        lambda a, b, c, out: tapes._sigmoid_backward(a, b, grad_input=out),
        lambda a, b, c: a * b * (1 - b),
    ),
    "tanh_backward": (
        lambda a, b, c, out: tapes._tanh_backward(a, b, grad_input=out),
        lambda a, b, c: a * (1 - b * b),
    ),
    "threshold_backward": (
        lambda a, b, c, out: tapes._threshold_backward(a, b, 0.5, grad_input=out),
        lambda a, b, c: a * (b > 0.5),
    ),
    "hardshrink": (
        lambda a, b, c, out: tape.hardshrink(a, 0.5, out=out),
        lambda a, b, c: a * (a > 0.5),
    ),
    "lerp": (
        lambda a, b, c, out: torch.lerp(a, b, c, out=out),
        lambda a, b, c: a + c * (b - a),
    ),
    "mul": (lambda a, b, c, out: torch.mul(a, b, out=out), lambda a, b, c: a * b),
    "sigmoid": (
        lambda a, b, c, out: torch.sigmoid(a, out=out),
        lambda a, b, c: 1 / (1 + (-a).exp()),
    ),
    "addcmul_": (lambda a, b, c, out: out.copy_(a).addcmul_(b, c), lambda a, b, c: a + b * c),
    "mm": (lambda a, b, c, out: torch.mm(a @ b.T, c, out=out), lambda a, b, c: (a @ b.T) @ c),
}


@every_dtype
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_of_the_cells_mind_layouts(name, dtype):
    kernel, expected = KERNELS[name]
    for (_, n, width), gap in itertools.product(shapes(), (0, 3)):
        numbers = torch.rand(3, n, width, dtype=dtype)
        out = memory((n, width), dtype, gap)
        kernel(*numbers, out)
        assert_close(out, expected(*numbers))


def _losses():
    yield from TARGET_LOSSES.items()
    yield from ((f"likelihood {name}", loss) for name, loss in LIKELIHOODS.items())
    yield "classes", CrossEntropy((0.2, 0.3, 0.5), (1.0, 2.0, 0.5))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "loss"), list(_losses()), ids=lambda value: str(value)[:24])
def test_losses_in_single_precision_are_those_in_double(name, loss, weighted):
    for n, width in ((7, 5), (64, 65), (200, 130)):
        targets = torch.rand(1, n, width, dtype=torch.float64)
        n_outputs = width * loss.outputs_per_target
        if name == "classes":
            targets, n_outputs = torch.randint(3, (1, n, 1)), 3
        output = torch.randn(1, n, n_outputs, dtype=torch.float64)
        weight = torch.rand(n, 1, dtype=torch.float64) if weighted else None
        found = []
        for dtype in CLOSE:
            given = targets if name == "classes" else targets.to(dtype)
            gradient = Gradient.of(torch.full_like(output, torch.nan, dtype=dtype))
            value = torch.full((1, 1, 1), torch.nan, dtype=dtype)
            of_rows = None if weight is None else weight.to(dtype)
            loss.value_and_gradient(output.to(dtype), given, of_rows, gradient, value)
            found.append((value.double(), gradient.full.double()))
        (value, gradient), (wide, wide_gradient) = found
        # sums of up to 26 000 numbers of 1e-7 each
        assert abs(value - wide) <= 1e-5 * abs(wide).clamp_min(1)
        assert (gradient - wide_gradient).abs().max() <= 1e-4 * wide_gradient.abs().max()


OF_CODES = [*(p for p in PENALTIES.values() if not p.of_jacobian), StandardNormal()]


@pytest.mark.parametrize("penalty", OF_CODES, ids=lambda penalty: type(penalty).__name__)
def test_penalties_in_single_precision_are_those_in_double(penalty):
    for n, width in ((7, 6), (64, 66), (200, 130)):
        encoded = functional.sigmoid(torch.randn(1, n, width, dtype=torch.float64))
        weight, found = torch.rand(n, 1, dtype=torch.float64), []
        for dtype in CLOSE:
            gradient = memory(encoded.shape, dtype, 3)
            value = penalty.value_and_gradient(encoded.to(dtype), weight.to(dtype), 0.7, gradient)
            found.append((value.double(), gradient.double()))
        (value, gradient), (wide, wide_gradient) = found
        assert abs(value - wide) <= 1e-5 * abs(wide)
        assert (gradient - wide_gradient).abs().max() <= 1e-4 * wide_gradient.abs().max()
