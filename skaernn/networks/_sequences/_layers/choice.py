"""Which passes a recurrent layer gets: those that take least time for its size."""

from __future__ import annotations

import torch
from torch import Tensor

from ..cells import GRU, LSTM, Blocks, Cell, MinGRU, Vanilla
from ..packing import Packing
from .compiled import CompiledPass
from .interface import LayerPass
from .kernels import OneDNNPass, TorchPass
from .padded import Cache, PaddedPass, padded_steps
from .scan import MinGRUPass
from .step import StepPass
from .tapes import GRUPass, LSTMPass, VanillaPass

#: Passes for the CPU, the first of which that pays is taken; `StepPass` serves all other cells.
FAST: dict[type[Cell], tuple[type[LayerPass], ...]] = {
    LSTM: (CompiledPass, OneDNNPass, LSTMPass),
    GRU: (CompiledPass, GRUPass),
    Vanilla: (CompiledPass, VanillaPass),
    MinGRU: (CompiledPass, MinGRUPass),
}
_MOST_KEPT = 4  # passes for batches of unequal lengths; each has memory of its own


def layer_pass(
    cell: Cell,
    blocks: Blocks,
    grads: Blocks | None,
    packing: Packing,
    x: Tensor,
    delta_x: Tensor | None = None,
    cache: Cache | None = None,
    *,
    begins: bool = False,
) -> LayerPass:
    """Forward and backward passes, by whichever way is fastest; see `LayerPass`.

    With a `cache`, a dict for one layer and its `blocks` and `grads`, batches of sequences of
    unequal length share what is kept there; only the newest of their passes may be used.
    """
    chosen = _fastest(cell, grads is not None, packing, x)
    # where no unit grows beyond all bounds after a sequence has ended
    ragged = not packing.is_uniform and x.device.type == "cpu"
    if cache is not None and ragged and chosen.is_recorded and cell.bounded:
        n_steps = padded_steps(packing, cell.hidden_size)
        if n_steps is not None:
            kept = _kept(cell, blocks, grads, n_steps, packing.n_rows, x, delta_x, begins, cache)
            return PaddedPass(*kept, packing, x, delta_x)
    return chosen(cell, blocks, grads, packing, x, delta_x, begins)


def _kept(
    cell: Cell,
    blocks: Blocks,
    grads: Blocks | None,
    n_steps: int,
    n_rows: int,
    x: Tensor,
    delta_x: Tensor | None,
    begins: bool,
    cache: Cache,
) -> tuple[LayerPass, Tensor, Tensor | None]:
    """A pass of equally long sequences out of `cache`, which holds the last few made."""
    key = n_steps, n_rows, grads is None, delta_x is None
    if key not in cache:
        if len(cache) >= _MOST_KEPT:
            cache.pop(next(iter(cache)))
        x_padded = x.new_zeros(n_steps * n_rows, cell.n_inputs)
        delta_x_padded = None if delta_x is None else torch.empty_like(x_padded)
        uniform = Packing.uniform(n_steps, n_rows)
        inner = layer_pass(cell, blocks, grads, uniform, x_padded, delta_x_padded, begins=begins)
        cache[key] = inner, x_padded, delta_x_padded
    return cache[key]


def _fastest(cell: Cell, trains: bool, packing: Packing, x: Tensor) -> type[LayerPass]:
    """The class whose forward and, if it `trains`, backward passes together take least time."""
    candidates = (TorchPass, *FAST.get(type(cell), ()), StepPass)
    return next(kind for kind in candidates if kind.pays(cell, packing, x, trains))
