"""Passes of one recurrent layer in one direction by kernels of torch's own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ..cells import Blocks, Cell, TorchCell
from ..packing import Packing
from .interface import LayerPass

_onednn = getattr(torch.ops.aten, "mkldnn_rnn_layer", None)
_onednn_backward = getattr(torch.ops.aten, "mkldnn_rnn_layer_backward", None)
if _onednn is not None:  # straight to the kernels
    _onednn, _onednn_backward = _onednn.default._op, _onednn_backward.default._op
_LSTM = 2  # oneDNN's name for it
_SMALLEST, _ONE = 5e-324, 1.0  # their product is 0 where denormal numbers are


class _Foreign(LayerPass):
    """What the passes by kernels of torch share: parameters in torch's arrangement."""

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
        state = x.new_zeros(cell.n_states, 1, packing.n_rows, cell.hidden_size)
        self._states = tuple(state)
        self.initial = tuple(state[:, 0])
        if begins:
            self.delta_initial = tuple(torch.empty_like(part) for part in self.initial)

    def _steps(self, packed: Tensor) -> Tensor:
        """View (T, B, F) of rows of equally long sequences."""
        return packed.view(self._packing.n_steps, self._packing.n_rows, -1)


class TorchPass(_Foreign):
    """torch's own layer through autograd; on CUDA that is cuDNN."""

    @classmethod
    def pays(cls, cell, packing, x, trains):
        """See `LayerPass`."""
        return x.device.type != "cpu" and isinstance(cell, TorchCell)

    def __init__(self, cell: Cell, blocks: Blocks, *others):
        super().__init__(cell, blocks, *others)
        if not self._packing.is_uniform:  # torch wants them on the CPU
            self._batch_sizes = torch.tensor(self._packing.batch_sizes, device="cpu")
        # in one piece of memory: cuDNN would copy them at every call
        weights = cell.to_torch(blocks)
        sizes = [weight.numel() for weight in weights]
        pieces = torch.cat([weight.flatten() for weight in weights]).split(sizes)
        self._weights = [p.view_as(weight) for p, weight in zip(pieces, weights, strict=True)]

    def forward(self) -> None:
        for weight, value in zip(self._weights, self._cell.to_torch(self._blocks), strict=True):
            weight.copy_(value)
        if self._grads is None:
            with torch.no_grad():
                self.h.copy_(self._run(self._x, self._weights, self._states))
            return
        with torch.enable_grad():
            x, *states = (part.detach() for part in (self._x, *self._states))
            weights = [weight.detach().requires_grad_() for weight in self._weights]
            self._leaves = list(weights)
            self._targets = []  # where the gradients of what else is a leaf go
            if self._delta_x is not None:
                self._leaves.append(x.requires_grad_())
                self._targets.append(self._delta_x)
            if self.delta_initial:
                self._leaves += [state.requires_grad_() for state in states]
                self._targets += [part[None] for part in self.delta_initial]
            self._output = self._run(x, weights, states)
        self.h.copy_(self._output.detach())

    def _run(self, x: Tensor, weights: list[Tensor], states: Sequence[Tensor]) -> Tensor:
        kernel = self._cell.torch_kernel
        states = tuple(states) if len(states) > 1 else states[0]
        train = self._grads is not None
        options = True, 1, 0.0, train, False  # biases, layers, dropout, train, both directions
        if not self._packing.is_uniform:
            return kernel(x, self._batch_sizes, states, weights, *options)[0]
        return kernel(self._steps(x), states, weights, *options, False)[0].flatten(0, 1)

    def backward(self) -> None:
        found = torch.autograd.grad(self._output, self._leaves, self.delta)
        del self._output, self._leaves  # and with them what autograd has saved
        for target, value in zip(self._targets, found[4:], strict=True):
            target.copy_(value)
        self._cell.gradients_from_torch(*found[:4], self._grads)


class OneDNNPass(_Foreign):
    """The LSTM of oneDNN, which torch's layer calls on the CPU, without autograd around it."""

    @staticmethod
    def supports(packing: Packing, x: Tensor) -> bool:
        """Whether there is such a layer for this input."""
        return (
            x.device.type == "cpu"
            and x.dtype == torch.float32
            and packing.is_uniform
            and torch.backends.mkldnn.is_available()
            and _onednn is not None
        )

    @classmethod
    def pays(cls, cell, packing, x, trains):
        """Whether there are many steps of little work each, or nothing is to be trained.

        Measured on one thread over 1 to 512 units, 5 to 500 steps, 1 to 200 rows. An LSTM's step
        by hand costs at least 15 µs; oneDNN costs 150 to 200 µs and little more a step, and the
        weights in its arrangement. Forward alone it is never much slower, and has no tape to
        record, which takes longer than a few such passes.
        """
        n_rows, n_hidden, n_steps = packing.n_rows, cell.hidden_size, packing.n_steps
        little = n_rows * n_hidden <= 2048 and n_rows <= 100 and n_hidden <= 4 * n_steps
        return n_steps >= 24 and cls.supports(packing, x) and (little or not trains)

    def __init__(self, cell: Cell, blocks: Blocks, grads: Blocks | None, *others):
        super().__init__(cell, blocks, grads, *others)
        n_hidden, block = cell.hidden_size, blocks["weight"]
        # The conversions of torch's arrangement, as tapes: half of the time of a small network.
        turned = torch.empty_like(block)
        w_ih, w_hh = (block.new_empty(block.shape[1], n) for n in (cell.n_inputs, n_hidden))
        bias, zeros = block.new_empty(block.shape[1]), block.new_zeros(block.shape[1])
        parts = block.split(n_hidden, dim=1)
        self._weights = w_ih, w_hh, bias, zeros
        self._import = (
            partial(torch.cat, [parts[gate] for gate in cell.gates], dim=1, out=turned),
            partial(w_ih.copy_, turned[n_hidden:-1].T),
            partial(w_hh.copy_, turned[:n_hidden].T),
            partial(bias.copy_, turned[-1]),
        )
        self._options = _LSTM, n_hidden, 1, True  # of one layer, with biases
        self._train = grads is not None
        if grads is not None:
            self._found, ordered = block.new_empty(block.T.shape), block.new_empty(block.T.shape)
            parts = self._found.split(n_hidden)
            self._export = (
                partial(torch.cat, [parts[gate] for gate in cell.order], out=ordered),
                partial(grads["weight"].copy_, ordered.T),
            )

    def forward(self) -> None:
        for operation in self._import:
            operation()
        self._input = self._steps(self._x).contiguous()
        # with gradients enabled, oneDNN keeps what it needs on the way back
        with torch.set_grad_enabled(self._train):
            self._kept = _onednn(
                self._input, *self._weights, *self._states, False, [], *self._options, False,
                False, self._train,
            )  # fmt: skip
        self._steps(self.h).copy_(self._kept[0])

    def backward(self) -> None:
        output, h, c, workspace = self._kept
        # Gradients that fade away become denormal numbers, which are slow: zeros for them, on
        # this thread and for this call.
        were_zero = _SMALLEST * _ONE == 0
        try:
            torch.set_flush_denormal(True)
            delta_x, w_ih, w_hh, bias, _, *delta_states = _onednn_backward(
                self._input, *self._weights, *self._states, output, h, c, self._steps(self.delta),
                None, None, False, *self._options, True, False, [], False, workspace,
            )  # fmt: skip
        finally:
            torch.set_flush_denormal(were_zero)
        del self._kept
        torch.cat([w_hh, w_ih, bias[:, None]], dim=1, out=self._found)
        for operation in self._export:
            operation()
        if self._delta_x is not None:
            self._steps(self._delta_x).copy_(delta_x)
        for target, value in zip(self.delta_initial, delta_states, strict=False):  # if any
            target.copy_(value[0])
