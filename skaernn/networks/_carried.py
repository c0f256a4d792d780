"""Networks described by a module that is built: its parameters and buffers, in theta.

A parameter of the module is one block of theta, in the order in which its elements lie in memory.
Behind what is trained lies what is only carried along: frozen parameters, and buffers such as the
running means of batch normalisation. Their gradient is zero, so no solver moves them; being part
of theta, they are evaluated, restored and resumed with the weights they belong to.
"""

from __future__ import annotations

import os
import threading
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import cached_property

import torch
from torch import Tensor, nn

from .._core.interrupts import interrupts_deferred
from ._layout import Layout

# A generator of torch's own, seeded by two threads at a time, would serve both of them wrongly.
_GENERATORS = threading.RLock()


def _begin_as_fork() -> None:
    """In a forked process nobody has the lock, whoever had it where it comes from."""
    global _GENERATORS
    _GENERATORS = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_as_fork)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the generators that modules on `device` draw from, and put them back afterwards."""
    generators = [torch.default_generator]
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        generators.append(torch.cuda.default_generators[index])
    with interrupts_deferred(), _GENERATORS:
        before = [generator.get_state() for generator in generators]
        try:
            for generator in generators:
                generator.manual_seed(seed)
            yield
        finally:
            for generator, state in zip(generators, before, strict=True):
                generator.set_state(state)


@contextmanager
def single_precision() -> Iterator[None]:
    """Torch's usual type of numbers, whatever has been made the default."""
    with interrupts_deferred():
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(before)


class ModuleDescription:
    """Description of a network that builds a module.

    For frozen dataclasses: what is not a field is made when needed and not pickled.
    """

    def __getstate__(self):
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state):
        self.__dict__.update(state)

    @property
    @abstractmethod
    def template(self) -> nn.Module:
        """A module to look at: names, shapes and strides are those of every other."""

    @abstractmethod
    def _moved(self, theta: Tensor) -> nn.Module:
        """A module of this network with the type and device of `theta`."""

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

    def places(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of `flat` (P,), each with shape and strides of what has its place there."""
        blocks = self.layout.views(flat[None])
        return {name: blocks[name][0].as_strided(*self._order[name]) for name in self.carried}

    @cached_property
    def _order(self) -> dict[str, tuple[torch.Size, tuple[int, ...]]]:
        """Shape and strides of what has a place in theta, without gaps or overlaps."""
        return {name: (v.shape, _packed_strides(v)) for name, v in self.carried.items()}

    def bound(self, theta: Tensor, grad: Tensor | None = None) -> nn.Module:
        """The module whose parameters are views of `theta` (P,), and their `grad` of `grad`."""
        module = self._moved(theta)
        self._bind(module, self.places(theta))
        if grad is not None:
            gradients = self.places(grad)
            for name, parameter in module.named_parameters():
                if parameter.requires_grad:
                    parameter.grad = gradients[name]
        return module

    def _bind(self, module: nn.Module, places: dict[str, Tensor]) -> None:
        # by `data`: a parameter keeps its identity wherever it is shared, and its own count of
        # changes, so that autograd takes no change elsewhere in theta for one of this parameter
        for name, parameter in module.named_parameters():
            parameter.data = places[name]

    def pack(self, module, theta):
        """Write the parameters of `module` into `theta` (P,): the inverse of `module`."""
        self._copy(values_of(module), self.places(theta))

    def _copy(self, source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name in self.carried:
                target[name].copy_(source[name])


class MadeByUser(ModuleDescription):
    """Description of a network that a user's function makes, buffers and all."""

    @cached_property
    def carried(self):
        """What has a place in theta, by its name: trained parameters first."""
        found = super().carried
        if not any(value.requires_grad for value in found.values()):
            raise ValueError("The modules that the factory returned have no parameter to train.")
        buffers = self.template.named_buffers()
        return {**found, **{name: b for name, b in buffers if _is_state(b)}}

    def _bind(self, module, places):
        super()._bind(module, places)
        for owner, leaf, name in self.buffers_of(module):
            buffer = getattr(owner, leaf)
            if buffer.is_floating_point():
                buffer.data = places[name]
            else:
                buffer.copy_(places[name])

    def buffers_of(self, module: nn.Module) -> list[tuple[nn.Module, str, str]]:
        """Of each buffer with a place in theta its owner, its name there and in `module`."""
        found = []
        for name, _ in module.named_buffers():
            if name in self.carried:
                owner, _, leaf = name.rpartition(".")
                found.append((module.get_submodule(owner), leaf, name))
        return found


class Buffers:
    """Buffers of a module that training changes.

    Where a buffer is a view of theta it is changed there. Counters are copied from theta and
    back, and so is what a module puts in the place of a buffer.

    Parameters
    ----------
    network : MadeByUser
    module : nn.Module
        Bound to `theta`.
    theta : Tensor of shape (1, P)
    """

    def __init__(self, network: MadeByUser, module: nn.Module, theta: Tensor):
        places = network.places(theta[0])
        self._known = [
            (owner, leaf, getattr(owner, leaf), places[name].data)
            for owner, leaf, name in network.buffers_of(module)
        ]

    def begin(self) -> None:
        """Before a forward pass: as theta has them."""
        for owner, leaf, buffer, place in self._known:
            setattr(owner, leaf, buffer)
            if not buffer.is_floating_point():
                buffer.copy_(place)

    def keep(self) -> None:
        """After a backward pass: into theta."""
        for owner, leaf, buffer, place in self._known:
            now = getattr(owner, leaf)
            if now is not buffer or not now.is_floating_point():
                place.copy_(now.detach())


def rest_normalisations(module: nn.Module) -> None:
    """Let batch normalisations use their running moments."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval()


def _is_state(buffer: Tensor) -> bool:
    """Whether training may change a buffer."""
    if buffer.is_floating_point():  # where not finite it is a mask, and no number to be trained
        return bool(buffer.isfinite().all())
    return buffer.dim() == 0 and buffer.dtype != torch.bool and not buffer.is_complex()


def values_of(module: nn.Module) -> dict[str, Tensor]:
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
