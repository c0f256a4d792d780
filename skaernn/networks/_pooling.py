"""How the steps of a sequence become the vectors that the output layer reads.

Each way exists twice: as a pass over packed steps, with its gradient, and step by step, with
accumulators that can be stored and taken up again where a sequence was cut. Accumulators of zeros
are those of a sequence that has not begun.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ._packing import Packing

Blocks = dict[str, Tensor]
Accumulators = tuple[Tensor, ...]


class PoolingPass:
    """Passes of one pooling over batches of one packing.

    Parameters
    ----------
    blocks, grads : dict of Tensor, and that or None
        Parameters and where their gradients go.
    packing : Packing
    h, x : Tensor of shape (S, H) and (S, C)
        What the recurrent layers gave and what they read.
    n_directions : int
        Of the layers, whose outputs stand side by side in `h`.
    delta : Tensor of shape (S, H) or None
        Where the gradient with respect to `h` goes.

    Attributes
    ----------
    initial : tuple of Tensor of shape (B, ...)
        Accumulators before the first step. Zero unless written.
    out : Tensor of shape (N, H + C + 1)
        After `forward`: the pooled [h | x | 1], one row a sequence or one a step.
    d_out : Tensor of shape (N, H + C)
        Write the gradient with respect to `out` here, before `backward`.
    """

    per_step = False

    def __init__(
        self,
        blocks: Blocks,
        grads: Blocks | None,
        packing: Packing,
        h: Tensor,
        x: Tensor,
        delta: Tensor | None,
        n_directions: int = 1,
    ):
        self._packing, self._h, self._x, self._delta = packing, h, x, delta
        self._query = blocks.get("query")
        self._d_query = None if grads is None else grads.get("query")
        self._width = h.shape[1]
        n = packing.size if self.per_step else packing.n_rows
        width = h.shape[1] + x.shape[1]
        self.out = h.new_ones(n, width + 1)
        self.d_out = None if delta is None else h.new_empty(n, width)
        self._sum = self.out[:, :-1]

    initial: Accumulators = ()

    def forward(self) -> None:
        """From `h` and `x` to `out`."""
        raise NotImplementedError

    def backward(self) -> None:
        """From `d_out` to the gradient with respect to `h`, and of the parameters."""
        raise NotImplementedError

    def _both(self) -> Tensor:
        """[h | x] of all steps (S, H + C)."""
        return torch.cat([self._h, self._x], dim=1)


class _EveryStepPass(PoolingPass):
    per_step = True

    def forward(self):
        self.out[:, : self._width] = self._h
        self.out[:, self._width : -1] = self._x

    def backward(self):
        self._delta.copy_(self.d_out[:, : self._width])


class _LastPass(PoolingPass):
    """The last step of each direction, which for the second one is the first."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        n_directions = arguments[-1]
        last = self._packing.last(self._h.device)
        first = torch.arange(len(last), device=last.device)
        self._last = last
        self._ends = [
            (where, slice(i * self._width // n_directions, (i + 1) * self._width // n_directions))
            for i, where in enumerate((last, first)[:n_directions])
        ]

    def forward(self):
        for where, columns in self._ends:
            self.out[:, columns] = self._h[where, columns]
        self.out[:, self._width : -1] = self._x[self._last]

    def backward(self):
        self._delta.zero_()
        for where, columns in self._ends:
            self._delta[where, columns] = self.d_out[:, columns]


class _MeanPass(PoolingPass):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.initial = torch.zeros_like(self._sum), torch.zeros_like(self.out[:, :1])
        self._row = self._packing.positions(self._h.device)[0]
        self._lengths = self._packing.lengths(self._h.device)[:, None]

    def forward(self):
        total, count = self.initial
        self._sum.copy_(total)
        for step, rows in zip(self._packing.steps(self._both()), self._running(), strict=True):
            rows.add_(step)
        self._count = count + self._lengths
        self._sum.div_(self._count)

    def backward(self):
        share = self.d_out[:, : self._width] / self._count
        self._delta.copy_(share.index_select(0, self._row))

    def _running(self):
        """The part of the sums that each step adds to."""
        return [self._sum[:n] for n in self._packing.batch_sizes]


class _MaxPass(PoolingPass):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.initial = torch.zeros_like(self._sum), torch.zeros_like(self.out[:, :1])
        self._row = self._packing.positions(self._h.device)[0]

    def forward(self):
        largest, count = self.initial
        self._sum.copy_(torch.where(count > 0, largest, -torch.inf))
        for step in self._packing.steps(self._both()):
            rows = self._sum[: len(step)]
            torch.maximum(rows, step, out=rows)

    def backward(self):
        """Shared by the steps that are as large; those before a cut have their share as well."""
        largest, count = self.initial
        pooled, d_pooled = self._sum[:, : self._width], self.d_out[:, : self._width]
        reached = (self._h == pooled.index_select(0, self._row)).to(self._h.dtype)
        before = largest[:, : self._width]
        ties = ((count > 0) & (before == pooled)).to(self._h.dtype)
        for step in self._packing.steps(reached):
            ties[: len(step)].add_(step)
        share = (d_pooled / ties).index_select(0, self._row)
        torch.mul(reached, share, out=self._delta)


class _AttentionPass(PoolingPass):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        one = torch.zeros_like(self.out[:, :1])
        self.initial = torch.zeros_like(self._sum), one, one.clone()
        self._row = self._packing.positions(self._h.device)[0]

    def forward(self):
        total, normaliser, largest = self.initial
        score, both = self._h @ self._query, self._both()
        top = torch.where(normaliser > 0, largest, -torch.inf)
        for step in self._packing.steps(score):
            rows = top[: len(step)]
            torch.maximum(rows, step, out=rows)
        self._attention = (score - top.index_select(0, self._row)).exp_()
        kept = torch.where(normaliser > 0, (largest - top).exp(), 0)
        normaliser = kept * normaliser
        torch.mul(kept, total, out=self._sum)
        steps = zip(self._packing.steps(both), self._packing.steps(self._attention), strict=True)
        for step, attention in steps:
            self._sum[: len(step)].addcmul_(step, attention)
            normaliser[: len(step)].add_(attention)
        self._sum.div_(normaliser)
        self._attention.div_(normaliser.index_select(0, self._row))
        self._steps = both

    def backward(self):
        """Of softmax: a (u . d - mean over steps of it) for score, a d for what is summed."""
        d_steps = self.d_out.index_select(0, self._row)
        gain = (self._steps * d_steps).sum(1, keepdim=True)
        mean_gain = (self._sum * self.d_out).sum(1, keepdim=True)
        d_score = self._attention * (gain - mean_gain.index_select(0, self._row))
        torch.mm(self._h.mT, d_score, out=self._d_query)
        torch.mul(d_steps[:, : self._width], self._attention, out=self._delta)
        self._delta.addmm_(d_score, self._query.mT)


class Pooling(ABC):
    """One way, without data; `u` below is [h | x] of one step, (n, H + C)."""

    passes: type[PoolingPass]

    def shapes(self, n_hidden: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameter blocks."""
        return {}

    def widths(self, width: int) -> tuple[int, ...]:
        """Widths of the accumulators."""
        return ()

    @abstractmethod
    def update(self, accumulators: Accumulators, u: Tensor, blocks: Blocks) -> Accumulators:
        """One more step; gives new tensors and leaves the old ones as they are."""

    def result(self, accumulators: Accumulators, u: Tensor) -> Tensor:
        """What comes of all steps; `u` is the last one."""
        return accumulators[0] / accumulators[1]


class EveryStep(Pooling):
    """No pooling: one vector a step."""

    passes = _EveryStepPass

    def update(self, accumulators, u, blocks):
        return ()

    def result(self, accumulators, u):
        return u


class Last(EveryStep):
    """The last step; of the other direction, its own last, which is the first."""

    passes = _LastPass


class Mean(Pooling):
    """The mean over steps."""

    passes = _MeanPass

    def widths(self, width):
        return width, 1

    def update(self, accumulators, u, blocks):
        total, count = accumulators
        return total + u, count + 1


class Max(Pooling):
    """The largest of the steps, unit by unit; the count tells a beginning from a zero."""

    passes = _MaxPass

    def widths(self, width):
        return width, 1

    def update(self, accumulators, u, blocks):
        largest, count = accumulators
        return torch.where(count > 0, torch.maximum(largest, u), u), count + 1

    def result(self, accumulators, u):
        return accumulators[0]


class Attention(Pooling):
    """The mean weighted by softmax(h q), for a learnt q (after Raffel & Ellis 2016).

    The accumulators are sum and normaliser, both relative to exp of the largest score so far.
    """

    passes = _AttentionPass

    def shapes(self, n_hidden):
        return {"query": (n_hidden, 1)}

    def widths(self, width):
        return width, 1, 1

    def update(self, accumulators, u, blocks):
        total, normaliser, largest = accumulators
        score = u[:, : len(blocks["query"])] @ blocks["query"]
        begun = normaliser > 0
        top = torch.where(begun, torch.maximum(largest, score), score)
        kept, attention = torch.where(begun, (largest - top).exp(), 0), (score - top).exp()
        return kept * total + attention * u, kept * normaliser + attention, top


POOLINGS: dict[str, Pooling] = {
    "last": Last(),
    "mean": Mean(),
    "max": Max(),
    "attention": Attention(),
}
EVERY_STEP = EveryStep()
