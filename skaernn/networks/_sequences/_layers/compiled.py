"""Passes of one recurrent layer in one direction by compiled kernels."""

from __future__ import annotations

from ctypes import byref, c_int64
from functools import partial

import torch
from torch import Tensor

from ...._native.library import compiled_kernels
from ...._native.structures import Pass
from ..cells import GRU, LSTM, Blocks, Cell, MinGRU, Vanilla
from ..packing import Packing
from .interface import LayerPass

#: The cells by their numbers in `src/passes.h`, with how many matrices (S, H) each has there, and
#: how many of them are gates.
_VANILLA = {"tanh": (0, 1, 1), "relu": (1, 1, 1)}
_OTHERS: dict[type[Cell], tuple[int, int, int]] = {
    LSTM: (2, 6, 4),
    GRU: (3, 4, 4),
    MinGRU: (4, 3, 2),
}
_NARROW = 64  # units or inputs
_FEW = 6000  # numbers that a step reads


class CompiledPass(LayerPass):
    """All steps forward in one call, and all steps back; see `LayerPass` for the parameters.

    The kernels work in memory that is taken here, once.
    """

    @staticmethod
    def knows(cell: Cell) -> bool:
        """Whether there are kernels for a cell."""
        return type(cell) is Vanilla or type(cell) in _OTHERS

    @classmethod
    def pays(cls, cell, packing, x, trains):
        """Whether the kernels are here, and what torch's products could win is little.

        Measured on one thread over 1 to 256 units, 1 to 200 rows and 5 to 500 steps in either
        type. Calls of torch cost the same whatever their size: four fifths of a step of 10 units
        and 32 rows, nearly all of a step of one row. Passes of up to 64 units are 1.1 to 80 times
        as fast as what comes next, those of 128 units and 40 rows 1.1 to 1.6 times. With 256 units
        or 300 inputs BLAS is as fast, which arranges large weights anew; no step of a MinGRU
        reads large ones. The kernels have one thread; large batches that have more go by torch.
        """
        if compiled_kernels() is None or x.device.type != "cpu":
            return False
        n_hidden, n_inputs = cell.hidden_size, cell.n_inputs
        few = packing.n_rows * (n_hidden + n_inputs) <= _FEW
        if not few and not isinstance(cell, MinGRU) and torch.get_num_threads() > 1:
            return False
        if n_inputs <= _NARROW and (n_hidden <= _NARROW or isinstance(cell, MinGRU)):
            return True
        return n_hidden <= 2 * _NARROW and few

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
        is_vanilla = isinstance(cell, Vanilla)
        kind, n_matrices, n_gates = (
            _VANILLA[cell.activation] if is_vanilla else _OTHERS[type(cell)]
        )
        self.h = x.new_empty(size, n_hidden)
        self.initial = tuple(x.new_zeros(n_rows, n_hidden) for _ in range(cell.n_states))
        source = x.new_empty(size, n_hidden + cell.n_inputs + 1)
        source[:, -1] = 1
        tensors = {"x": x, "source": source, "h": self.h, **blocks, **_states("", self.initial)}
        tensors["matrices"] = x.new_empty(n_matrices, size, n_hidden)
        if grads is not None:
            self.delta = x.new_empty(size, n_hidden)
            deltas = tuple(x.new_empty(n_rows, n_hidden) for _ in range(cell.n_states))
            if begins:
                self.delta_initial = deltas
            tensors |= {"delta": self.delta, **_states("delta_", deltas)}
            tensors |= {f"{name}_grad": grad for name, grad in grads.items()}
            tensors["turned"] = x.new_empty(n_gates, n_hidden, n_hidden + cell.n_inputs)
            if delta_x is not None:
                tensors["delta_x"] = delta_x
        self._tensors = tensors  # alive, as the structure points into them
        self.structure = Pass(
            kind=kind,
            n_inputs=cell.n_inputs,
            n_hidden=n_hidden,
            n_steps=packing.n_steps,
            n_rows=size,
            sizes=(c_int64 * packing.n_steps)(*packing.batch_sizes),
            weight_stride=blocks["weight"].stride(0),
            x_stride=x.stride(0),
            delta_x_stride=0 if delta_x is None else delta_x.stride(0),
            begins=begins,
            **{name: tensor.data_ptr() for name, tensor in tensors.items()},
        )
        functions = compiled_kernels()
        self._forward = partial(functions.forward[x.dtype], byref(self.structure))
        self._backward = partial(functions.backward[x.dtype], byref(self.structure))

    def forward(self) -> None:
        self._forward()

    def backward(self) -> None:
        self._backward()


def _states(prefix: str, states: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """The states by their names in the structure."""
    return {f"{prefix}initial_{name}": state for name, state in zip("hc", states, strict=False)}
