"""Activation functions with their derivatives, written into preallocated buffers.

The derivatives are torch's own kernels, called with an output buffer: one operation each,
where a formula in elementary operations would take two to five.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

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
        ``backward(grad, saved)`` multiplies `grad`, the gradient with respect to a, by f'(z) in
        place. `saved` is z if `needs_input`, else a.
    module : callable
        Builds the same function as a `torch.nn.Module`.
    needs_input : bool
        Whether the derivative needs z itself, which then gets a buffer of its own.
    """

    forward: Callable | None
    backward: Callable | None
    module: Callable[[], nn.Module]
    needs_input: bool = False


def _relu_backward(grad: Tensor, a: Tensor) -> None:
    _aten.threshold_backward.grad_input(grad, a, 0, grad_input=grad)


def _logistic_backward(grad: Tensor, a: Tensor) -> None:
    _aten.sigmoid_backward.grad_input(grad, a, grad_input=grad)


def _tanh_backward(grad: Tensor, a: Tensor) -> None:
    _aten.tanh_backward.grad_input(grad, a, grad_input=grad)


def _leaky_relu_backward(grad: Tensor, a: Tensor) -> None:
    _aten.leaky_relu_backward.grad_input(grad, a, _LEAKY_SLOPE, True, grad_input=grad)


def _elu_backward(grad: Tensor, a: Tensor) -> None:
    _aten.elu_backward.grad_input(grad, 1.0, 1.0, 1.0, True, a, grad_input=grad)


def _softplus_backward(grad: Tensor, z: Tensor) -> None:
    _aten.softplus_backward.grad_input(grad, z, 1.0, 20.0, grad_input=grad)


def _gelu_backward(grad: Tensor, z: Tensor) -> None:
    _aten.gelu_backward.grad_input(grad, z, grad_input=grad)


def _silu_backward(grad: Tensor, z: Tensor) -> None:
    _aten.silu_backward.grad_input(grad, z, grad_input=grad)


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(None, None, nn.Identity),
    "logistic": Activation(torch.sigmoid, _logistic_backward, nn.Sigmoid),
    "tanh": Activation(torch.tanh, _tanh_backward, nn.Tanh),
    "relu": Activation(partial(torch.clamp_min, min=0), _relu_backward, nn.ReLU),
    "leaky_relu": Activation(
        partial(_aten.leaky_relu.out, negative_slope=_LEAKY_SLOPE),
        _leaky_relu_backward,
        partial(nn.LeakyReLU, _LEAKY_SLOPE),
    ),
    "elu": Activation(_aten.elu.out, _elu_backward, nn.ELU),
    "softplus": Activation(_aten.softplus.out, _softplus_backward, nn.Softplus, True),
    "gelu": Activation(_aten.gelu.out, _gelu_backward, nn.GELU, True),
    "silu": Activation(_aten.silu.out, _silu_backward, nn.SiLU, True),
}
