"""Forward and backward passes of one recurrent layer in one direction: the interface, and torch's.

The hand-written ones are in `_cell_passes.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ._packing import Packing

if TYPE_CHECKING:
    from ._cells import Cell

Blocks = dict[str, Tensor]


class LayerPass(ABC):
    """Passes of one layer over batches of one packing.

    Parameters
    ----------
    cell : Cell
    blocks : dict of Tensor
        Parameters, of the shapes `cell.shapes`. Looked into, not copied.
    grads : dict of Tensor or None
        Where their gradients go; without it there is no `backward`.
    packing : Packing
    x : Tensor of shape (S, C)
        Input. Write it before `forward`.
    delta_x : Tensor of shape (S, C) or None
        Where the gradient with respect to `x` goes, if anywhere.

    Attributes
    ----------
    h : Tensor of shape (S, H)
        Holds the output after `forward`, packed as `x` is. Its rows may have gaps between them.
    delta : Tensor of shape (S, H)
        Write the gradient with respect to `h` here, before `backward`, which destroys it.
    initial : tuple of Tensor of shape (B, H)
        States before the first step. Zero unless written.
    """

    h: Tensor
    delta: Tensor
    initial: tuple[Tensor, ...]

    @abstractmethod
    def forward(self) -> None:
        """From `x` and `initial` to `h`."""

    @abstractmethod
    def backward(self) -> None:
        """From `delta` to all gradients, which are overwritten."""


class TorchPass(LayerPass):
    """torch's own layer through autograd: cuDNN's on CUDA, on the CPU oneDNN's for an LSTM."""

    def __init__(
        self,
        cell: Cell,
        blocks: Blocks,
        grads: Blocks | None,
        packing: Packing,
        x: Tensor,
        delta_x: Tensor | None,
    ):
        self._cell, self._blocks, self._grads, self._packing = cell, blocks, grads, packing
        self._x, self._delta_x = x, delta_x
        self._trains = grads is not None
        self._kernel = cell.torch_kernel
        n_hidden, n_rows = cell.hidden_size, packing.n_rows
        self.h = x.new_empty(packing.size, n_hidden)
        self.delta = torch.empty_like(self.h)
        state = x.new_zeros(cell.n_states, 1, n_rows, n_hidden)
        self._states = tuple(state)
        self.initial = tuple(state[:, 0])
        if not packing.is_uniform:  # where torch wants it
            self._batch_sizes = torch.tensor(packing.batch_sizes, device="cpu")
        weights = cell.to_torch(blocks)
        # one piece of memory: cuDNN would copy the weights at every call
        flat = torch.cat([weight.reshape(-1) for weight in weights])
        pieces = flat.split([weight.numel() for weight in weights])
        self._weights = [
            piece.view_as(weight) for piece, weight in zip(pieces, weights, strict=True)
        ]

    def forward(self) -> None:
        for weight, value in zip(self._weights, self._cell.to_torch(self._blocks), strict=True):
            weight.copy_(value)
        if not self._trains:
            with torch.no_grad():
                self.h.copy_(self._run(self._x, self._weights))
            return
        with torch.enable_grad():
            self._leaves = [weight.detach().requires_grad_() for weight in self._weights]
            self._input = self._x.detach().requires_grad_(self._delta_x is not None)
            self._output = self._run(self._input, self._leaves)
        self.h.copy_(self._output.detach())

    def _run(self, x: Tensor, weights: list[Tensor]) -> Tensor:
        states = self._states if len(self._states) > 1 else self._states[0]
        options = True, 1, 0.0, self._trains, False  # biases, layers, dropout, train, directions
        if not self._packing.is_uniform:
            return self._kernel(x, self._batch_sizes, states, weights, *options)[0]
        x = x.view(self._packing.n_steps, self._packing.n_rows, -1)
        return self._kernel(x, states, weights, *options, False)[0].flatten(0, 1)

    def backward(self) -> None:
        leaves = list(self._leaves)
        if self._delta_x is not None:
            leaves.append(self._input)
        found = torch.autograd.grad(self._output, leaves, self.delta)
        del self._output
        if self._delta_x is not None:
            *found, delta_x = found
            self._delta_x.copy_(delta_x)
        self._cell.gradients_from_torch(*found, self._grads)
