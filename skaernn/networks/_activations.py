"""Activation functions with their derivatives, recorded on preallocated buffers.

The derivatives are torch's own kernels, called with an output buffer: one operation each,
where a formula in elementary operations would take two to five.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

Operation = Callable[[], object]
_aten = torch.ops.aten
_LEAKY_SLOPE = 0.01


@dataclass(frozen=True)
class Activation:
    """One activation function a = f(z).

    Attributes
    ----------
    forward : callable or None
        ``forward(z, out=a)`` writes f(z); `a` may be `z` unless `needs_input`. None: identity.
    backward : callable or None
        ``backward(grad, saved)`` makes the operation that multiplies `grad`, the gradient with
        respect to a, by f'(z) in place. `saved` is z if `needs_input`, else a.
    module : callable
        Builds the same function as a `torch.nn.Module`.
    needs_input : bool
        Whether the derivative needs z itself, which then gets a buffer of its own.
    reach : float
        How far from zero it bends, beside tanh: logistic(z) is tanh(z / 2) but for two constants,
        and what softplus has for a slope.
    """

    forward: Callable | None
    backward: Callable[[Tensor, Tensor], Operation] | None
    module: Callable[[], nn.Module]
    needs_input: bool = False
    reach: float = 1.0


def _kernel(overload) -> Callable:
    """The kernel behind an overload; calling it through Python's wrapper doubles the cost."""
    return getattr(overload, "_op", overload)


def _derivative(overload, *constants, saved_last: bool = False):
    """`Activation.backward` by one of torch's backward kernels."""
    kernel = _kernel(overload)

    def record(grad: Tensor, saved: Tensor) -> Operation:
        arguments = (*constants, saved) if saved_last else (saved, *constants)
        return partial(kernel, grad, *arguments, grad_input=grad)

    return record


_gelu_out = _kernel(_aten.gelu.out)


def _gelu(z: Tensor, *, out: Tensor) -> None:
    """Torch's kernel, which in float32 leaves an `out` that is laid out otherwise untouched."""
    if z.dtype == torch.float64 or out.stride() == z.stride():
        _gelu_out(z, out=out)
    else:
        out.copy_(functional.gelu(z))


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(None, None, nn.Identity),
    "logistic": Activation(
        torch.sigmoid, _derivative(_aten.sigmoid_backward.grad_input), nn.Sigmoid, reach=2.0
    ),
    "tanh": Activation(torch.tanh, _derivative(_aten.tanh_backward.grad_input), nn.Tanh),
    "relu": Activation(
        partial(torch.clamp_min, min=0),
        _derivative(_aten.threshold_backward.grad_input, 0),
        nn.ReLU,
    ),
    "leaky_relu": Activation(
        partial(_kernel(_aten.leaky_relu.out), negative_slope=_LEAKY_SLOPE),
        _derivative(_aten.leaky_relu_backward.grad_input, _LEAKY_SLOPE, True),
        partial(nn.LeakyReLU, _LEAKY_SLOPE),
    ),
    "elu": Activation(
        _kernel(_aten.elu.out),
        _derivative(_aten.elu_backward.grad_input, 1.0, 1.0, 1.0, True, saved_last=True),
        nn.ELU,
    ),
    "softplus": Activation(
        _kernel(_aten.softplus.out),
        _derivative(_aten.softplus_backward.grad_input, 1.0, 20.0),
        nn.Softplus,
        needs_input=True,
        reach=2.0,
    ),
    "gelu": Activation(
        _gelu,
        _derivative(_aten.gelu_backward.grad_input),
        nn.GELU,
        needs_input=True,
    ),
    "silu": Activation(
        _kernel(_aten.silu.out),
        _derivative(_aten.silu_backward.grad_input),
        nn.SiLU,
        needs_input=True,
    ),
}

SMALLEST_DEVIATION = 1e-3  # of a predicted distribution, in scaled units


class Exponential(nn.Module):
    """exp, the inverse link of counts."""

    def forward(self, z: Tensor) -> Tensor:
        return z.exp()


class MeanAndDeviation(nn.Module):
    """Of twice as many numbers: means, and standard deviations by softplus."""

    def forward(self, z: Tensor) -> Tensor:
        mean, raw = z.chunk(2, dim=-1)
        return torch.cat([mean, functional.softplus(raw) + SMALLEST_DEVIATION], dim=-1)


class Softmax(nn.Module):
    """Probabilities of classes."""

    def forward(self, z: Tensor) -> Tensor:
        return z.softmax(dim=-1)


OUTPUTS = {
    **{name: activation.module for name, activation in ACTIVATIONS.items()},
    "exp": Exponential,
    "mean_and_deviation": MeanAndDeviation,
    "softmax": Softmax,
}
