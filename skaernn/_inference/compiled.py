"""Compiled counterparts of fitted modules, packed once for as long as these stay as they are.

A user may edit `module_` in any way: its parameters in place, behind autograd's back, or its
parts. So before every answer the bytes of all parameters are compared with those that were
packed, which costs as much as reading them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from ctypes import c_int64, c_void_p
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from .._native.functions import Functions
from .._native.library import compiled_kernels

_packed: WeakKeyDictionary[nn.Module, dict[Hashable, _Packed]] = WeakKeyDictionary()


def compiled_for(
    module: nn.Module,
    device: torch.device,
    part: Hashable,
    build: Callable[[Functions], Any | None],
) -> Any | None:
    """What `build` made of a module, or makes of it now; None: that is for torch to run.

    Parameters
    ----------
    module : nn.Module
    device : torch.device
        Where it is.
    part : hashable
        Which part of it is meant.
    build : callable
        Gives None for what compiled kernels do not know.
    """
    compiled = compiled_kernels() if device.type == "cpu" else None
    if compiled is None:
        return None
    # without a lock: two threads may pack the same, and an interrupt would leave it locked
    packed = _packed.setdefault(module, {})
    found = packed.get(part)
    if found is None or not found.still_is(module):
        packed[part] = found = _Packed(compiled, module, build)
    return found.made


class _Packed:
    """What was made of a module, and all bytes that it was made of."""

    def __init__(
        self, compiled: Functions, module: nn.Module, build: Callable[[Functions], Any | None]
    ):
        self._same = compiled.same
        modules = _modules(module)
        tensors = _tensors(modules)
        self._parts = modules[1:]  # not the module itself: nobody else may keep it alive
        self._hooked = _hooked(modules)
        self._kinds = _kinds(tensors)
        self._copies = [tensor.detach().clone() for tensor in tensors]  # in the order they have
        self._comparable = _kinds(self._copies) == self._kinds
        n = len(tensors)
        self._addresses = (c_void_p * n)(*[copy.data_ptr() for copy in self._copies])
        self._bytes = (c_int64 * n)(*[copy.nbytes for copy in self._copies])
        with torch.inference_mode():
            # a hook sees what torch hands on from module to module
            self.made = None if self._hooked else build(compiled)

    def still_is(self, module: nn.Module) -> bool:
        """Whether a module still consists of the same parts and numbers."""
        modules = _modules(module)
        parts = modules[1:]
        if len(parts) != len(self._parts) or not self._comparable:
            return False
        if any(one is not other for one, other in zip(parts, self._parts, strict=True)):
            return False
        tensors = _tensors(modules)
        if _hooked(modules) != self._hooked or _kinds(tensors) != self._kinds:
            return False
        n = len(tensors)
        now = (c_void_p * n)(*[tensor.data_ptr() for tensor in tensors])
        return bool(self._same(now, self._addresses, self._bytes, n))


def _kinds(tensors: list[torch.Tensor]) -> list[tuple]:
    return [(tensor.dtype, tensor.shape, tensor.stride()) for tensor in tensors]


def _hooked(modules: list[nn.Module]) -> bool:
    """Whether somebody wants to see or change what goes through."""
    return any(module._forward_hooks or module._forward_pre_hooks for module in modules)


def _modules(module: nn.Module) -> list[nn.Module]:
    """A module and all in it, as `modules()` has them, without its cost."""
    found = [module]
    for one in found:
        found += [part for part in one._modules.values() if part is not None]
    return found


def _tensors(modules: list[nn.Module]) -> list[torch.Tensor]:
    """Parameters and buffers of some modules."""
    return [
        tensor
        for module in modules
        for held in (module._parameters, module._buffers)
        for tensor in held.values()
        if tensor is not None
    ]
