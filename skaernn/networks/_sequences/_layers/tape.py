"""What the hand-written passes of all recurrent cells share.

As in `dense_passes`, a pass is a tape of torch calls with their arguments bound. Four decisions
make it fast:

- A step is one product, of rows [h | x | 1] with the weights of all gates; states are written
  where the product of the next step reads them.
- The gates of a step are a batch (gates, b, H) of that product, so that each of them, and those
  with the same activation together, is one contiguous piece.
- What the gradients of the gates are multiples of does not depend on the gradient that comes in.
  These factors are made for many steps at once, and a step backwards is left with few products.
- The way back goes in chunks of steps whose factors and gradients fit into the processor's
  cache. The gradient of the weights is one product a chunk.

A slot is the rows that step t reads, one for each sequence that step t - 1 has (all, for t = 0).
Sequences that end in between leave rows at its end that no step touches; their gradient stays 0.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from ..._activations import Operation
from ..cells import Blocks, Cell
from ..packing import Packing
from .interface import LayerPass

# called without Python's wrapper around overloads, which doubles the cost
hardshrink = torch.ops.aten.hardshrink.out._op
# Gradients that fade away are cut off before they are denormal numbers, which are slow.
NEGLIGIBLE = {torch.float32: 1e-30, torch.float64: 1e-300}
STEPS_BETWEEN_CUTS = 8
_ROWS_WORTH_COPIES = 64
_CHUNK = 1 << 17  # numbers in the factors and gradients of a chunk


class Steps:
    """Something that every step has.

    Parameters
    ----------
    steps : sequence of Tensor of shape (..., b, H)
        One view a step.
    whole : Tensor of shape (..., T, B, H) or None
        All steps in one view, where that is possible.
    """

    def __init__(self, steps: Sequence[Tensor], whole: Tensor | None):
        self.steps, self._whole = steps, whole

    def spans(self, chunk: range) -> Sequence[Tensor]:
        """The steps of `chunk` in as few views as possible."""
        if self._whole is None:
            return self.steps[chunk.start : chunk.stop]
        return (self._whole.narrow(-3, chunk.start, len(chunk)),)


class TapePass(LayerPass):
    """What the passes of all cells share; see `LayerPass` for the parameters."""

    is_recorded = True
    #: Blocks of H columns in the gradient of a row: of gates that read h, then of all.
    n_deltas: tuple[int, int]
    #: Blocks of H columns in the factors of a row.
    n_factors: int

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
        self._cell, self._weight, self._blocks = cell, blocks["weight"], blocks
        self._packing, self._n_hidden = packing, cell.hidden_size
        self._new: Callable[..., Tensor] = x.new_empty
        n_rows, sizes = packing.n_rows, packing.batch_sizes
        self._slot_sizes = (n_rows, *sizes[:-1])
        self._slot_starts = (0, *(n_rows + offset for offset in packing.offsets))
        self._n_slots = self._slot_starts[-1]
        # weights as the products like them best, where enough rows make up for copying
        self._copies_pay = packing.size >= _ROWS_WORTH_COPIES
        self._live = None if packing.is_uniform else self._live_rows(x.device)
        self._forward: list[Operation] = []
        self._backward: list[Operation] = []
        width = cell.hidden_size + cell.n_inputs + 1
        # rows begin at multiples of 64 bytes: writing states into them is then a third faster
        # zeros: what no step reads is multiplied with 0 in the end, and must be finite
        new = x.new_empty if packing.is_uniform else x.new_zeros
        self._source = new(packing.size + n_rows, -(-width // 16) * 16)[:, :width]
        self._source[:, -1] = 1
        self._state = self._source[:, : cell.hidden_size]
        self.h = self._state[n_rows:]
        self.initial = (self._state[:n_rows].zero_(),)
        x_slots = self._source[: self._n_slots, cell.hidden_size : -1]
        if self._live is None:
            self._forward.append(partial(x_slots.copy_, x))
        else:
            self._forward.append(partial(x_slots.index_copy_, 0, self._live, x))
        self._record_forward()
        if grads is not None:
            self.delta = x.new_empty(packing.size, cell.hidden_size)
            if begins:
                self.delta_initial = (x.new_empty(n_rows, cell.hidden_size),)
            self._record_backward(grads, delta_x)

    @classmethod
    def pays(cls, cell, packing, x, trains):
        """See `LayerPass`."""
        return x.device.type == "cpu"

    def forward(self) -> None:
        for operation in self._forward:
            operation()

    def backward(self) -> None:
        for operation in self._backward:
            operation()

    @abstractmethod
    def _record_forward(self) -> None:
        """From `_source`, where the input already is, to the states."""

    @abstractmethod
    def _record_factors(self, chunk: range, factors: Steps) -> None:
        """What the gradients of the gates are multiples of."""

    @abstractmethod
    def _record_step(self, t: int, dh: Tensor, by: Tensor, delta: Tensor) -> None:
        """From `dh` (b, H) and its factors `by` to the gates' gradient `delta` (n, b, H)."""

    def _record_past(self, t: int, dh: Tensor, before: Tensor) -> None:
        """What states before step t receive other than through gates; of h, into `before`."""

    def _record_backward(self, grads: Blocks, delta_x: Tensor | None) -> None:
        record, n_hidden, packing = self._backward.append, self._n_hidden, self._packing
        self._recurrent = self._weight[:n_hidden].T
        if self._copies_pay:
            self._recurrent = self._new(self._recurrent.shape)
            record(partial(self._recurrent.copy_, self._weight[:n_hidden].T))
        delta_slots = delta_x
        if delta_x is not None:
            weight_x = self._record_weight_x()
            if self._live is not None:
                delta_slots = self._new(self._n_slots, self._cell.n_inputs)
        chunks, starts = self._chunks(), self._slot_starts
        largest = max(starts[chunk.stop] - starts[chunk.start] for chunk in chunks)
        factors = self._new(self.n_factors * n_hidden * largest)
        deltas = self._new(largest, self.n_deltas[1] * n_hidden)
        incoming = packing.steps(self.delta)
        for chunk in reversed(chunks):
            rows = slice(starts[chunk.start], starts[chunk.stop])
            delta = deltas[: rows.stop - rows.start]
            self._record_chunk(chunk, incoming, self._gates(self.n_factors, chunk, factors), delta)
            self._record_gradients(grads, self._source[rows], delta, chunk is chunks[-1])
            if delta_slots is not None:
                from_gates = delta[:, -len(weight_x) :]
                record(partial(torch.mm, from_gates, weight_x, out=delta_slots[rows]))
        self._record_last_gradients(grads)
        if delta_slots is not delta_x:
            record(partial(torch.index_select, delta_slots, 0, self._live, out=delta_x))

    def _record_chunk(
        self, chunk: range, incoming: Sequence[Tensor], factors: Steps, deltas: Tensor
    ) -> None:
        """From gradients of states to gradients of gates, `deltas`, for the steps of `chunk`."""
        self._record_factors(chunk, factors)
        n_gates, n_hidden = self.n_deltas[1], self._n_hidden
        heard = deltas[:, : self.n_deltas[0] * n_hidden]
        if self._live is not None:
            for rest in deltas.split(self._slot_pieces(chunk))[1::2]:
                if len(rest):
                    self._backward.append(rest.zero_)
        heard = self._slots(heard, chunk).steps
        gates = self._slots(deltas.view(-1, n_gates, n_hidden), chunk).steps
        for t in reversed(chunk):
            dh, i = incoming[t], t - chunk.start
            if t % STEPS_BETWEEN_CUTS == STEPS_BETWEEN_CUTS - 1:
                self._record_cut(dh)
            self._record_step(t, dh, factors.steps[i], gates[i].transpose(0, 1))
            if t or self.delta_initial:
                before = incoming[t - 1][: len(dh)] if t else self.delta_initial[0]
                if not t:
                    self._backward.append(before.zero_)
                self._record_past(t, dh, before)
                self._backward.append(partial(before.addmm_, heard[i], self._recurrent))

    def _record_cut(self, dh: Tensor) -> None:
        """Set to zero what is negligible."""
        bound = NEGLIGIBLE[dh.dtype]
        self._backward.append(partial(hardshrink, dh, bound, out=dh))

    def _record_gradients(
        self, grads: Blocks, source: Tensor, deltas: Tensor, is_first: bool
    ) -> None:
        """What a chunk adds to the gradients of the parameters."""
        heard = deltas[:, : self.n_deltas[0] * self._n_hidden]
        self._record_sum(grads["weight"], source.T, heard, is_first)

    def _record_sum(self, total: Tensor, a: Tensor, b: Tensor, is_first: bool) -> None:
        product = partial(torch.mm, a, b, out=total) if is_first else partial(total.addmm_, a, b)
        self._backward.append(product)

    def _record_last_gradients(self, grads: Blocks) -> None:
        """What is left to do when all chunks are in `grads`."""

    def _record_gate_weights(self, n: int) -> Tensor:
        """The weights of `n` gates as (n, H + C + 1, H)."""
        weight = self._weight.unflatten(1, (n, self._n_hidden)).transpose(0, 1)
        if not self._copies_pay:
            return weight
        copy = self._new(weight.shape)
        self._forward.append(partial(copy.copy_, weight))
        return copy

    def _record_weight_x(self) -> Tensor:
        """What turns gradients of gates into those of the input."""
        return self._weight[self._n_hidden : -1].T

    def _chunks(self) -> list[range]:
        """Steps whose factors and gradients fit into the cache together."""
        numbers = (self.n_factors + self.n_deltas[1]) * self._n_hidden
        chunks, first, rows = [], 0, 0
        for t, b in enumerate(self._packing.batch_sizes):
            rows += b
            if rows * numbers > _CHUNK and t > first:
                chunks.append(range(first, t))
                first, rows = t, b
        return [*chunks, range(first, self._packing.n_steps)]

    def _live_rows(self, device: torch.device) -> Tensor:
        """Where in the slots the rows of a packed matrix lie, (S,)."""
        sizes = torch.tensor(self._packing.batch_sizes, device=device)
        n_ended = self._packing.n_rows - torch.tensor(self._slot_sizes, device=device)
        rows = torch.arange(self._packing.size, device=device)
        return rows + n_ended.repeat_interleave(sizes)

    def _gates(self, n: int, steps: range | None = None, memory: Tensor | None = None) -> Steps:
        """Memory (n, b, H) for every one of `steps`, contiguous for each step."""
        packing, n_hidden = self._packing, self._n_hidden
        sizes = (
            packing.batch_sizes if steps is None else packing.batch_sizes[steps.start : steps.stop]
        )
        size = n * n_hidden * sum(sizes)
        memory = self._new(size) if memory is None else memory[:size]
        if packing.is_uniform:
            memory = memory.view(len(sizes), n, packing.n_rows, n_hidden)
            return Steps(memory.unbind(0), memory.transpose(0, 1))
        pieces = memory.split([n * b * n_hidden for b in sizes])
        views = [piece.view(n, b, n_hidden) for piece, b in zip(pieces, sizes, strict=True)]
        return Steps(views, None)

    def _slots(self, memory: Tensor, steps: range | None = None) -> Steps:
        """The rows in use of every slot, or of those of `steps` if `memory` holds only them."""
        packing = self._packing
        steps = range(packing.n_steps) if steps is None else steps
        n_rows = self._slot_starts[steps.stop] - self._slot_starts[steps.start]
        memory = memory[:n_rows]
        if packing.is_uniform:
            whole = memory.view(len(steps), packing.n_rows, *memory.shape[1:])
            return Steps(memory.split(packing.n_rows), whole)
        return Steps(memory.split(self._slot_pieces(steps))[::2], None)

    def _slot_pieces(self, steps: range) -> list[int]:
        """Steps in use and rows not in use of each slot in turn."""
        sizes = [(self._packing.batch_sizes[t], self._slot_sizes[t]) for t in steps]
        return [n for b, slot in sizes for n in (b, slot - b)]
