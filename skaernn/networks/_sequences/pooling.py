"""How the steps of a sequence become the vectors that the output layer reads.

Each way exists three times: as a pass over packed steps, with its gradient; step by step, with
accumulators that can be stored and taken up again where a sequence was cut; and as a module over
padded steps. Accumulators of zeros are those of a sequence that has not begun.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from .._linear import linear_from
from .packing import Packing

Blocks = dict[str, Tensor]
Accumulators = tuple[Tensor, ...]


class PoolingPass(ABC):
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
    n_others : int
        Numbers K of a row of `out` that others write.

    Attributes
    ----------
    initial : tuple of Tensor of shape (B, ...)
        Accumulators before the first step. Zero unless written.
    out : Tensor of shape (N, H + C + K + 1)
        After `forward`: the pooled [h | x], what others write, 1; a row a sequence or one a step.
    d_out : Tensor of shape (N, H + C)
        Write the gradient with respect to what is pooled here, before `backward`.
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
        n_directions: int,
        n_others: int = 0,
    ):
        self._packing, self._h, self._x, self._delta = packing, h, x, delta
        self._n_directions = n_directions
        self.initial: Accumulators = ()
        self._query = blocks.get("query")
        self._d_query = None if grads is None else grads.get("query")
        self._width = h.shape[1]
        n = packing.size if self.per_step else packing.n_rows
        width = h.shape[1] + x.shape[1]
        self.out = h.new_ones(n, width + n_others + 1)
        self.d_out = None if delta is None else h.new_empty(n, width)
        self._pooled = self.out[:, :width]
        self._prepare()

    def _prepare(self) -> None:  # noqa: B027 - not all need anything
        """Make what else is needed, once."""

    @abstractmethod
    def forward(self) -> None:
        """From `h` and `x` to `out`."""

    @abstractmethod
    def backward(self) -> None:
        """From `d_out` to the gradient with respect to `h`, and of the parameters."""

    def _both(self) -> Tensor:
        """[h | x] of all steps (S, H + C)."""
        return torch.cat([self._h, self._x], dim=1)

    def _largest(self, steps: Tensor) -> Tensor:
        """Largest values (B, F) of `steps` (S, F) over each sequence."""
        sizes, n_rows = self._packing.batch_sizes, self._packing.n_rows
        if self._packing.is_uniform:
            return steps.view(len(sizes), n_rows, -1).amax(0)
        largest = steps[:n_rows].clone()
        for step in self._packing.steps(steps)[1:]:
            rows = largest[: len(step)]
            torch.maximum(rows, step, out=rows)
        return largest


class _EveryStepPass(PoolingPass):
    per_step = True

    def forward(self):
        self._pooled[:, : self._width] = self._h
        self._pooled[:, self._width :] = self._x

    def backward(self):
        self._delta.copy_(self.d_out[:, : self._width])


class _LastPass(PoolingPass):
    """The last step of each direction, which for the second one is the first."""

    def _prepare(self):
        last, n = self._packing.last(self._h.device), self._n_directions
        first = torch.arange(len(last), device=last.device)
        self._last = last
        self._ends = [
            (where, slice(i * self._width // n, (i + 1) * self._width // n))
            for i, where in enumerate((last, first)[:n])
        ]

    def forward(self):
        for where, columns in self._ends:
            self._pooled[:, columns] = self._h[where, columns]
        self._pooled[:, self._width :] = self._x[self._last]

    def backward(self):
        self._delta.zero_()
        for where, columns in self._ends:
            self._delta[where, columns] = self.d_out[:, columns]


class _MeanPass(PoolingPass):
    def _prepare(self):
        self.initial = torch.zeros_like(self._pooled), torch.zeros_like(self.out[:, :1])
        self._lengths = self._packing.lengths(self._h.device)[:, None]

    def forward(self):
        total, count = self.initial
        self._count = count + self._lengths
        torch.div(total + self._packing.sums(self._both()), self._count, out=self._pooled)

    def backward(self):
        self._delta.copy_(self._packing.spread(self.d_out[:, : self._width] / self._count))


class _MaxPass(PoolingPass):
    def _prepare(self):
        self.initial = torch.zeros_like(self._pooled), torch.zeros_like(self.out[:, :1])

    def forward(self):
        largest, count = self.initial
        largest = torch.where(count > 0, largest, -torch.inf)
        torch.maximum(largest, self._largest(self._both()), out=self._pooled)

    def backward(self):
        """Shared by the steps that are as large; those before a cut have their share as well."""
        largest, count = self.initial
        pooled, d_pooled = self._pooled[:, : self._width], self.d_out[:, : self._width]
        reached = (self._h == self._packing.spread(pooled)).to(self._h.dtype)
        before = (count > 0) & (largest[:, : self._width] == pooled)
        ties = self._packing.sums(reached) + before
        torch.mul(reached, self._packing.spread(d_pooled / ties), out=self._delta)


class _AttentionPass(PoolingPass):
    def _prepare(self):
        one = torch.zeros_like(self.out[:, :1])
        self.initial = torch.zeros_like(self._pooled), one, one.clone()

    def forward(self):
        total, normaliser, largest = self.initial
        score, self._steps = self._h @ self._query, self._both()
        begun = normaliser > 0
        top = torch.maximum(torch.where(begun, largest, -torch.inf), self._largest(score))
        kept = torch.where(begun, (largest - top).exp(), 0)
        attention = (score - self._packing.spread(top)).exp_()
        normaliser = kept * normaliser + self._packing.sums(attention)
        total = kept * total + self._packing.sums(self._steps * attention)
        torch.div(total, normaliser, out=self._pooled)
        self._attention = attention.div_(self._packing.spread(normaliser))

    def backward(self):
        """Of softmax: a (u . d - mean over steps of it) for score, a d for what is summed."""
        d_steps = self._packing.spread(self.d_out)
        gain = (self._steps * d_steps).sum(1, keepdim=True)
        mean_gain = (self._pooled * self.d_out).sum(1, keepdim=True)
        d_score = self._attention * (gain - self._packing.spread(mean_gain))
        torch.mm(self._h.mT, d_score, out=self._d_query)
        torch.mul(d_steps[:, : self._width], self._attention, out=self._delta)
        self._delta.addmm_(d_score, self._query.mT)


class LastStep(nn.Module):
    """The last step of each direction."""

    def forward(self, h: Tensor, x: Tensor, valid: Tensor, final: Tensor) -> Tensor:
        last = valid.sum(1) - 1
        return torch.cat([final, x[torch.arange(len(x), device=x.device), last]], dim=-1)


class MeanOfSteps(nn.Module):
    """The mean over valid steps."""

    def forward(self, h: Tensor, x: Tensor, valid: Tensor, final: Tensor) -> Tensor:
        both = torch.cat([h, x], dim=-1)
        return (both * valid[..., None]).sum(1) / valid.sum(1, keepdim=True)


class MaxOfSteps(nn.Module):
    """The largest of the valid steps."""

    def forward(self, h: Tensor, x: Tensor, valid: Tensor, final: Tensor) -> Tensor:
        both = torch.cat([h, x], dim=-1)
        return both.masked_fill(~valid[..., None], -torch.inf).amax(1)


class AttentionOverSteps(nn.Module):
    """The mean weighted by softmax(h q)."""

    def __init__(self, query: Tensor):
        super().__init__()
        self.query = linear_from(query, None)

    def forward(self, h: Tensor, x: Tensor, valid: Tensor, final: Tensor) -> Tensor:
        score = self.query(h).masked_fill(~valid[..., None], -torch.inf)
        return (torch.cat([h, x], dim=-1) * score.softmax(dim=1)).sum(1)


class Pooling(ABC):
    """One way, without data; `u` below is [h | x] of one step, (n, H + C)."""

    passes: type[PoolingPass]
    module: type[nn.Module] | None  # None: there is nothing to be done

    def built(self, blocks: Blocks) -> nn.Module | None:
        """The module of the same function, with copies of parameter blocks."""
        return None if self.module is None else self.module(**blocks)

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

    passes, module = _EveryStepPass, None

    def update(self, accumulators, u, blocks):
        return ()

    def result(self, accumulators, u):
        return u


class Last(EveryStep):
    """The last step; of the other direction, its own last, which is the first."""

    passes, module = _LastPass, LastStep


class Mean(Pooling):
    """The mean over steps."""

    passes, module = _MeanPass, MeanOfSteps

    def widths(self, width):
        return width, 1

    def update(self, accumulators, u, blocks):
        total, count = accumulators
        return total + u, count + 1


class Max(Pooling):
    """The largest of the steps, unit by unit; the count tells a beginning from a zero."""

    passes, module = _MaxPass, MaxOfSteps

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

    passes, module = _AttentionPass, AttentionOverSteps

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
