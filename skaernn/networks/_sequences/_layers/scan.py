"""Hand-written passes of the cell whose gates do not read the state: a scan over its steps."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from ..._activations import Operation
from ..cells import Blocks, Cell
from ..packing import Packing
from .interface import LayerPass
from .tape import NEGLIGIBLE, STEPS_BETWEEN_CUTS, hardshrink


class MinGRUPass(LayerPass):
    """Passes of `MinGRU`; see `LayerPass` for the parameters.

    Gates and candidates of all steps are two products. What is left of a step is one operation
    forward, h' = h + z (n - h), and one back, which adds (1 - z) d' to the gradient of h. Those
    of the gates are made of all steps at once, then those of the parameters by one product.
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
        n_hidden, n_rows, size = cell.hidden_size, packing.n_rows, packing.size
        self._n_hidden, self._packing = n_hidden, packing
        self._weight, self._x, self._delta_x = blocks["weight"], x, delta_x
        self._gate, self._candidate = x.new_empty(size, n_hidden), x.new_empty(size, n_hidden)
        self._source = x.new_ones(size, cell.n_inputs + 1)  # [x | 1]
        states = x.new_empty(n_rows + size, n_hidden)
        self.h, self.initial = states[n_rows:], (states[:n_rows].zero_(),)
        self._states = states
        # of each step's rows, those of the step before are the first
        starts = (0, *(n_rows + offset for offset in packing.offsets))
        self._before = [
            states[i : i + n] for i, n in zip(starts, packing.batch_sizes, strict=False)
        ]
        gates, candidates = packing.steps(self._gate), packing.steps(self._candidate)
        self._forward: list[Operation] = [
            partial(torch.lerp, *step, out=h)
            for *step, h in zip(
                self._before, candidates, gates, packing.steps(self.h), strict=True
            )
        ]
        self._is_low: Tensor | None = None  # candidates below zero, for the way back
        if grads is None:
            return
        self._grad = grads["weight"]
        self._deltas = x.new_empty(size, 2 * n_hidden)
        self._kept = x.new_empty(size, n_hidden)
        self._is_low = torch.empty_like(self._gate, dtype=torch.bool)
        self.delta = x.new_empty(size, n_hidden)
        if begins:
            self.delta_initial = (x.new_empty(n_rows, n_hidden),)
        self._backward = self._scan_back()

    def _scan_back(self) -> list[Operation]:
        """From the last step to the first."""
        packing, tape = self._packing, []
        incoming, kept = packing.steps(self.delta), packing.steps(self._kept)
        bound = NEGLIGIBLE[self.delta.dtype]
        for t in reversed(range(packing.n_steps)):
            if t % STEPS_BETWEEN_CUTS == STEPS_BETWEEN_CUTS - 1:
                tape.append(partial(hardshrink, incoming[t], bound, out=incoming[t]))
            if t:
                before = incoming[t - 1][: len(incoming[t])]
                tape.append(partial(before.addcmul_, incoming[t], kept[t]))
            elif self.delta_initial:
                tape.append(partial(torch.mul, incoming[0], kept[0], out=self.delta_initial[0]))
        return tape

    def forward(self) -> None:
        n_hidden, candidate = self._n_hidden, self._candidate
        self._source[:, :-1] = self._x
        torch.mm(self._source, self._weight[:, :n_hidden], out=self._gate).sigmoid_()
        torch.mm(self._source, self._weight[:, n_hidden:], out=candidate)
        low = torch.lt(candidate, 0, out=self._is_low)
        torch.where(low, candidate.sigmoid(), candidate + 0.5, out=candidate)
        for operation in self._forward:
            operation()

    def backward(self) -> None:
        gate, candidate, n_hidden = self._gate, self._candidate, self._n_hidden
        torch.sub(1, gate, out=self._kept)
        for operation in self._backward:
            operation()
        before = self._states[: len(self.h)]
        if not self._packing.is_uniform:
            before = torch.cat(self._before)
        # z: d (n - h) z (1 - z);  candidate: d z g', and g' is 1, or n (1 - n) below zero
        d_gate, d_candidate = self._deltas[:, :n_hidden], self._deltas[:, n_hidden:]
        torch.sub(candidate, before, out=d_gate)
        d_gate.mul_(self.delta).mul_(gate).mul_(self._kept)
        slope = torch.where(self._is_low, candidate * (1 - candidate), 1)
        torch.mul(self.delta, gate, out=d_candidate)
        d_candidate.mul_(slope)
        torch.mm(self._source.T, self._deltas, out=self._grad)
        if self._delta_x is not None:
            torch.mm(self._deltas, self._weight[:-1].T, out=self._delta_x)
