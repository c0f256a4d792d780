"""Sequences of unequal length through a pass of equally long ones."""

from __future__ import annotations

import torch
from torch import Tensor

from ..packing import Packing
from .interface import LayerPass

#: Kept passes of equally long sequences, each with its input and the gradient of that.
Cache = dict[tuple, tuple[LayerPass, Tensor, Tensor | None]]


def padded_steps(packing: Packing, hidden_size: int) -> int | None:
    """Steps to pad a batch to; None where a tape of its own takes less time.

    Making a tape was measured to take about 60 µs a step whatever its width, a row of a step
    about 0.01 H + 0.00016 H² µs for H units. Few different numbers of steps, so that few passes
    have to be kept: three significant bits.
    """
    n_steps = packing.n_steps
    unit = 1 << max(n_steps.bit_length() - 3, 0)
    n_padded = -(-n_steps // unit) * unit
    n_wasted = n_padded * packing.n_rows - packing.size
    wasted = n_wasted * (0.01 * hidden_size + 0.00016 * hidden_size**2)
    return n_padded if wasted < 60 * n_steps else None


class PaddedPass(LayerPass):
    """A pass that goes on over zeros where a sequence has ended.

    The same numbers: what comes after the end of a sequence reaches neither its output nor, as
    its gradient is 0, any gradient. Only for cells whose states are bounded: 0 times infinity
    is not 0.

    Parameters
    ----------
    inner : LayerPass
        Pass of equally long sequences, at least as long as the longest.
    x_padded, delta_x_padded : Tensor of shape (T B, C), or None for the second
        What `inner` reads and writes.
    packing, x, delta_x
        As for any `LayerPass`.
    """

    def __init__(
        self,
        inner: LayerPass,
        x_padded: Tensor,
        delta_x_padded: Tensor | None,
        packing: Packing,
        x: Tensor,
        delta_x: Tensor | None,
    ):
        self._inner, self._x, self._delta_x = inner, x, delta_x
        self._x_padded, self._delta_x_padded = x_padded, delta_x_padded
        row, t = packing.positions(x.device)
        self._rows = t * packing.n_rows + row
        self.h = x.new_empty(packing.size, inner.h.shape[1])
        self.delta = torch.empty_like(self.h)
        self.initial = tuple(state.zero_() for state in inner.initial)
        self.delta_initial = inner.delta_initial

    def forward(self) -> None:
        # zeros: the last batch may have left something that is not finite
        self._x_padded.zero_().index_copy_(0, self._rows, self._x)
        self._inner.forward()
        torch.index_select(self._inner.h, 0, self._rows, out=self.h)

    def backward(self) -> None:
        self._inner.delta.zero_().index_copy_(0, self._rows, self.delta)
        self._inner.backward()
        if self._delta_x is not None:
            torch.index_select(self._delta_x_padded, 0, self._rows, out=self._delta_x)
