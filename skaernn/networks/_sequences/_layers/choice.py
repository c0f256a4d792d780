"""Which passes a recurrent layer gets: those that take least time for its size."""

from __future__ import annotations

import torch
from torch import Tensor

from ..cells import GRU, LSTM, Blocks, Cell, Vanilla
from ..packing import Packing
from .interface import LayerPass
from .kernels import OneDNNPass, TorchPass
from .padded import Cache, PaddedPass, padded_steps
from .tape import TapePass
from .tapes import GRUPass, LSTMPass, VanillaPass

HAND_WRITTEN: dict[type[Cell], type[TapePass]] = {
    Vanilla: VanillaPass,
    LSTM: LSTMPass,
    GRU: GRUPass,
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
    if cache is not None and _can_be_padded(cell, packing, x):
        n_steps = padded_steps(packing, cell.hidden_size)
        if n_steps is not None:
            kept = _kept(cell, blocks, grads, n_steps, packing.n_rows, x, delta_x, begins, cache)
            return PaddedPass(*kept, packing, x, delta_x)
    return _fastest(cell, grads, packing, x)(cell, blocks, grads, packing, x, delta_x, begins)


def _can_be_padded(cell: Cell, packing: Packing, x: Tensor) -> bool:
    """Whether it makes sense, and no unit grows beyond all bounds where a sequence has ended."""
    bounded = not (isinstance(cell, Vanilla) and cell.activation == "relu")
    return bounded and not packing.is_uniform and x.device.type == "cpu"


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


def _fastest(cell: Cell, grads: Blocks | None, packing: Packing, x: Tensor) -> type[LayerPass]:
    """The class whose forward and, with `grads`, backward passes together take least time.

    Measured on one thread over 1 to 512 units, 5 to 500 steps, 1 to 200 rows. An LSTM's step by
    hand costs at least 15 µs; oneDNN costs 150 to 200 µs and little more a step, and the weights
    in its arrangement: it wins where there are many steps of little work each. Forward alone it
    is never much slower, and has no tape to record, which takes longer than a few such passes.
    """
    if x.device.type != "cpu":
        return TorchPass
    n_rows, n_hidden, n_steps = packing.n_rows, cell.hidden_size, packing.n_steps
    little = n_rows * n_hidden <= 2048 and n_rows <= 100 and n_hidden <= 4 * n_steps
    if isinstance(cell, LSTM) and n_steps >= 24 and OneDNNPass.supports(packing, x):
        return OneDNNPass if little or grads is None else HAND_WRITTEN[LSTM]
    return HAND_WRITTEN[type(cell)]
