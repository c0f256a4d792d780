"""Linear layers that are made without a draw from torch's global generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def linear_from(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """An `nn.Linear` holding copies of `weight` (inputs, outputs) and `bias` (outputs,).

    Its constructor is not run: that one draws from torch's global generator.
    """
    layer = nn.Linear.__new__(nn.Linear)
    nn.Module.__init__(layer)
    layer.in_features, layer.out_features = weight.shape
    layer.weight = nn.Parameter(weight.T.clone())  # in the order it has: no transposition
    layer.register_parameter("bias", None if bias is None else nn.Parameter(bias.clone()))
    return layer


# what every module has of its own: hooks, above all
_CONTAINERS = [name for name, value in vars(nn.Module()).items() if hasattr(value, "copy")]


def patterned(pattern: nn.Module, values: dict[int, Tensor]) -> nn.Module:
    """A module like `pattern` in all but its parameters.

    What constructors do is done once, for the pattern: for the modules of a small network they
    take longer than an epoch.

    Parameters
    ----------
    pattern : nn.Module
        None of its modules refers to another that is not its own, or changes what else it has.
    values : dict of Tensor
        What is to be each parameter, by the `id` of the pattern's.
    """
    module = object.__new__(type(pattern))
    state = module.__dict__
    state.update(pattern.__dict__)
    for name in _CONTAINERS:
        state[name] = state[name].copy()
    state["_parameters"] = {
        name: None if parameter is None else nn.Parameter(values[id(parameter)])
        for name, parameter in pattern._parameters.items()
    }
    state["_modules"] = {
        name: None if child is None else patterned(child, values)
        for name, child in pattern._modules.items()
    }
    return module


def with_memory(module: nn.Module, device: torch.device | str) -> nn.Module:
    """A module made on "meta", with memory on `device`, whatever is in it.

    `nn.Module.to_empty` does the same and imports sympy, which takes longer than a small fit.
    """

    def empty(t: Tensor) -> Tensor:
        return torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=device)

    return module._apply(empty)


class TransposedLinear(nn.Module):
    """The transpose of the first outputs of a linear layer that another module holds.

    Parameters
    ----------
    of : nn.Linear
    n_inputs : int
        How many of its outputs.
    bias : nn.Parameter or None
    """

    def __init__(self, of: nn.Linear, n_inputs: int, bias: nn.Parameter | None):
        super().__init__()
        self._of = (of,)  # in a tuple: its weight is a parameter once only
        self.n_inputs = n_inputs
        self.register_parameter("bias", bias)

    @property
    def of(self) -> nn.Linear:
        """The layer that holds the weight."""
        return self._of[0]

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.of.weight[: self.n_inputs].T, self.bias)
