"""Passes of any cell: autograd over its steps."""

from __future__ import annotations

import torch
from torch import Tensor

from ..cells import Blocks, Cell
from ..packing import Packing
from .interface import LayerPass


class StepPass(LayerPass):
    """Autograd over `Cell.step`, for cells without passes of their own; the oracle of those.

    See `LayerPass` for the parameters.
    """

    def __init__(
        self,
        cell: Cell,
        blocks: Blocks,
        grads: Blocks | None,
        packing: Packing,
        x: Tensor,
        delta_x: Tensor | None,
        begins: bool = False,
    ):
        self._cell, self._blocks, self._grads, self._packing = cell, blocks, grads, packing
        self._x, self._delta_x = x, delta_x
        self.h = x.new_empty(packing.size, cell.hidden_size)
        if grads is not None:
            self.delta = torch.empty_like(self.h)
        shape = packing.n_rows, cell.hidden_size
        self.initial = tuple(x.new_zeros(shape) for _ in range(cell.n_states))
        if begins:
            self.delta_initial = tuple(torch.empty_like(part) for part in self.initial)

    def forward(self) -> None:
        trains = self._grads is not None
        blocks = {name: block.detach() for name, block in self._blocks.items()}
        x, states = self._x.detach(), tuple(part.detach() for part in self.initial)
        if trains:
            self._leaves = [block.requires_grad_() for block in blocks.values()]
            self._targets = list(self._grads.values())
            if self._delta_x is not None:
                self._leaves.append(x.requires_grad_())
                self._targets.append(self._delta_x)
            if self.delta_initial:
                self._leaves += [state.requires_grad_() for state in states]
                self._targets += self.delta_initial
        outputs = []
        with torch.set_grad_enabled(trains):
            for step in self._packing.steps(x):
                states = self._cell.step(step, tuple(s[: len(step)] for s in states), blocks)
                outputs.append(states[0])
            self._output = torch.cat(outputs)
        self.h.copy_(self._output.detach())

    def backward(self) -> None:
        # From one number: given others, torch imports sympy first, and an interrupt there would
        # break it for good.
        with torch.enable_grad():
            total = (self._output * self.delta).sum()
        found = torch.autograd.grad(total, self._leaves, allow_unused=True)
        del self._output, self._leaves  # and with them what autograd has saved
        for target, value in zip(self._targets, found, strict=True):
            target.zero_() if value is None else target.copy_(value)
