"""What networks have in common that are described by the module they build.

A parameter of the module is one block of theta, in the order in which its elements lie in memory.
Behind what is trained lies what is only carried along: frozen parameters, and buffers such as the
running means of batch normalisation. Their gradient is zero, so no solver moves them; being part
of theta, they are evaluated, restored and resumed with the weights they belong to.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import fields
from functools import cached_property

import torch
from torch import Tensor, nn

from ._autoencoder import AutoencoderNetwork
from ._layout import Layout
from ._module_passes import ModulePasses
from ._modules import AutoencoderModule, Side


class ModuleNetwork(AutoencoderNetwork):
    """Description of an autoencoder that builds a module and leaves the rest to autograd.

    For frozen dataclasses: what is not a field is made when needed and not pickled.
    """

    def __getstate__(self):
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state):
        self.__dict__.update(state)

    @abstractmethod
    def fresh(self, device: torch.device | str) -> tuple[Side, Side]:
        """Encoder and decoder with memory of their own, whatever is in it."""

    @cached_property
    def template(self) -> AutoencoderModule:
        """A module to look at: names, shapes and strides are those of every other."""
        return self.joined(*self.fresh("meta"), None, None)

    @cached_property
    def carried(self) -> dict[str, Tensor]:
        """What has a place in theta, by its name in the module: trained parameters first."""
        parameters = dict(self.template.named_parameters())
        trained = {name: p for name, p in parameters.items() if p.requires_grad}
        return {**trained, **parameters}

    @cached_property
    def layout(self):
        """Where the block of each parameter lies in theta."""
        return Layout({name: (value.numel(),) for name, value in self.carried.items()})

    @property
    def penalised(self):
        """Mask (P,): 1 for the trained weights of both networks, 0 for everything else."""
        mask = torch.zeros(self.layout.size, device="cpu")
        for name, block in self.places(mask).items():
            value = self.carried[name]
            _, part, *_ = name.split(".")
            if value.requires_grad and value.dim() >= 2 and part == "network":
                block.fill_(1)
        return mask

    @property
    def largest_product(self):
        """Multiplications per row in the largest product of a pass."""
        return max(math.prod(value.shape) for value in self.carried.values())

    def places(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of `flat` (P,), each with shape and strides of what has its place there."""
        blocks = self.layout.views(flat[None])
        return {name: blocks[name][0].as_strided(*self._order[name]) for name in self.carried}

    @cached_property
    def _order(self) -> dict[str, tuple[torch.Size, tuple[int, ...]]]:
        """Shape and strides of what has a place in theta, without gaps or overlaps."""
        return {name: (v.shape, _packed_strides(v)) for name, v in self.carried.items()}

    def bound(self, theta: Tensor, grad: Tensor | None = None) -> AutoencoderModule:
        """The module whose parameters are views of `theta` (P,), and their `grad` of `grad`."""
        module = self._moved(theta)
        self._bind(module, self.places(theta))
        if grad is not None:
            gradients = self.places(grad)
            for name, parameter in module.named_parameters():
                if parameter.requires_grad:
                    parameter.grad = gradients[name]
        return module

    def _moved(self, theta: Tensor) -> AutoencoderModule:
        """A module of this network with the type and device of `theta`."""
        module = self.joined(*self.fresh(theta.device), None, None)
        return module.to(dtype=theta.dtype)

    def _bind(self, module: AutoencoderModule, places: dict[str, Tensor]) -> None:
        # by `data`: a parameter keeps its identity wherever it is shared, and its own count of
        # changes, so that autograd takes no change elsewhere in theta for one of this parameter
        for name, parameter in module.named_parameters():
            parameter.data = places[name]

    def module(self, theta, mean=None, scale=None):
        """A plain module with copies of `theta` (P,), `mean` and `scale`, in eval mode."""
        module = self._moved(theta)
        self._copy(self.places(theta), values(module))
        return self.joined(module.encoder, module.decoder, mean, scale)

    def module_from(self, weights):
        """The module whose ``state_dict`` is `weights`."""
        some = next(iter(self.carried))
        module = self._moved(weights[some])
        units = weights.get("mean"), weights.get("scale")
        module = self.joined(module.encoder, module.decoder, *units)
        module.load_state_dict(weights)
        return module

    def pack(self, module, theta):
        """Write the parameters of `module` into `theta` (P,): the inverse of `module`."""
        self._copy(values(module), self.places(theta))

    def _copy(self, source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name in self.carried:
                target[name].copy_(source[name])

    def passes(self, theta, grad, n_rows, *, linear_output, penalty=None):
        """By autograd, one model at a time."""
        return ModulePasses(
            self, theta, grad, n_rows, linear_output=linear_output, penalty=penalty
        )


def values(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of `module`, each once, by name."""
    named = [*module.named_parameters(), *module.named_buffers()]
    return {name: value.detach() for name, value in named}


def _packed_strides(value: Tensor) -> tuple[int, ...]:
    """Strides of a tensor without gaps whose axes lie in memory in the order of `value`."""
    strides, step = [1] * value.dim(), 1
    for axis in sorted(range(value.dim()), key=lambda i: (value.stride(i), -i)):
        strides[axis] = step
        step *= value.shape[axis]
    return tuple(strides)
