"""Passes of one recurrent layer in one direction by compiled kernels."""

from __future__ import annotations

from ctypes import byref, c_int64
from functools import partial

from torch import Tensor

from ...._native.library import compiled_kernels
from ...._native.structures import Pass
from ..cells import GRU, LSTM, Blocks, Cell, MinGRU, Vanilla
from ..packing import Packing
from .interface import LayerPass

#: As `src/passes.h` numbers cells; with how many pieces of H columns their records have.
_CELLS = {LSTM: (2, 6), GRU: (3, 4), MinGRU: (4, 3)}
_VANILLA = {"tanh": (0, 1), "relu": (1, 1)}


class CompiledPass(LayerPass):
    """Forward and backward through time in a call each; see `LayerPass` for the parameters."""

    @classmethod
    def pays(cls, cell, packing, x, trains):
        """Whether the kernels are here."""
        return compiled_kernels() is not None and x.device.type == "cpu"

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
        kind, n_pieces = (
            _VANILLA[cell.activation] if isinstance(cell, Vanilla) else _CELLS[type(cell)]
        )
        self.h = x.new_empty(size, n_hidden)
        self.initial = tuple(x.new_zeros(n_rows, n_hidden) for _ in range(cell.n_states))
        source = x.new_empty(size, n_hidden + cell.n_inputs + 1)
        source[:, -1] = 1
        matrices = x.new_empty(n_pieces, size, n_hidden)
        self._structure = structure = Pass(
            kind=kind,
            n_inputs=cell.n_inputs,
            n_hidden=n_hidden,
            n_steps=packing.n_steps,
            n_rows=size,
            sizes=(c_int64 * packing.n_steps)(*packing.batch_sizes),
            x_stride=x.stride(0),
            begins=begins,
        )
        pointers = {"h": self.h, "source": source, "matrices": matrices, "x": x, **blocks}
        pointers |= zip(("initial_h", "initial_c"), self.initial, strict=False)
        if grads is not None:
            self.delta = x.new_empty(size, n_hidden)
            states = tuple(x.new_empty(n_rows, n_hidden) for _ in range(cell.n_states))
            if begins:
                self.delta_initial = states
            turned = x.new_empty(cell.n_gates + 1, n_hidden, n_hidden + cell.n_inputs)
            pointers |= {"delta": self.delta, "turned": turned}
            pointers |= {f"{name}_grad": grad for name, grad in grads.items()}
            pointers |= zip(("delta_initial_h", "delta_initial_c"), states, strict=False)
            if delta_x is not None:
                pointers["delta_x"] = delta_x
                structure.delta_x_stride = delta_x.stride(0)
        for name, tensor in pointers.items():
            setattr(structure, name, tensor.data_ptr())
        self._memory = tuple(pointers.values())  # which the structure points into
        functions = compiled_kernels()
        self._forward = partial(functions.forward[x.dtype], byref(structure))
        self._backward = partial(functions.backward[x.dtype], byref(structure))

    def forward(self) -> None:
        self._forward()

    def backward(self) -> None:
        self._backward()
