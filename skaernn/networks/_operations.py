"""What the hand-written passes are made of, by torch or by compiled kernels.

A method makes a list of operations on memory given now; nothing is done yet. Matrices are
(K, rows, columns) for K models.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from .._native.operations import OF_BATCH, Code, Recorder
from .._native.structures import ACTIVATIONS as COMPILED
from ._activations import ACTIVATIONS


class Operations(Protocol):
    """Makes operations on the B rows of a batch."""

    def product(self, rows: Tensor, weight: Tensor, out: Tensor, *, adds: bool = False) -> list:
        """Rows (K, B, n) times a weight (K, n, m), into or, if it `adds`, onto (K, B, m)."""

    def gradient(self, rows: Tensor, delta: Tensor, out: Tensor, *, adds: bool = False) -> list:
        """Sum over the batch of rows (K, B, n) times what is beside them (K, B, m): (K, n, m)."""

    def sum(self, rows: Tensor, out: Tensor) -> list:
        """Sum over the batch of rows (K, B, n): (K, 1, n)."""

    def copy(self, rows: Tensor, out: Tensor) -> list:
        """Rows (K, B, n) as they are, or the same row (K, 1, n) for all of the batch."""

    def add(self, rows: Tensor, out: Tensor) -> list:
        """Add rows to others."""

    def clear(self, out: Tensor) -> list:
        """Zeros for a row (K, n) of weights."""

    def multiply(self, a: Tensor, b: Tensor, out: Tensor) -> list:
        """Rows times others, number by number; `out` may be one of them."""

    def activate(self, activation: str, z: Tensor, out: Tensor) -> list:
        """An activation of rows."""

    def differentiate(self, activation: str, saved: Tensor, delta: Tensor) -> list:
        """Multiply a gradient by the activation's; `saved` is what that is a function of."""

    def draw(
        self,
        encoded: Tensor,
        limits: tuple[float, float],
        noise: Tensor,
        code: Tensor,
        d_code: Tensor,
        d_encoded: Tensor,
    ) -> tuple[list, list]:
        """Codes, mean + deviation * noise, and the way back.

        `encoded` holds means, and log-variances, which are read within `limits`.
        """


class TorchOperations:
    """Calls of torch with all their arguments bound."""

    @staticmethod
    def _product(a: Tensor, b: Tensor, out: Tensor, adds: bool) -> list:
        if adds:
            return [partial(out.baddbmm_, a, b)]
        if out.shape[0] == 1:  # `bmm` takes a slower way into memory with gaps
            return [partial(torch.mm, a[0], b[0], out=out[0])]
        return [partial(torch.bmm, a, b, out=out)]

    def product(self, rows, weight, out, *, adds=False):
        return self._product(rows, weight, out, adds)

    def gradient(self, rows, delta, out, *, adds=False):
        return self._product(rows.mT, delta, out, adds)

    def sum(self, rows, out):
        return [partial(torch.sum, rows, 1, keepdim=True, out=out)]

    def copy(self, rows, out):
        return [partial(out.copy_, rows)]

    def add(self, rows, out):
        return [partial(out.add_, rows)]

    def clear(self, out):
        return [out.zero_]

    def multiply(self, a, b, out):
        return [partial(torch.mul, a, b, out=out)]

    def activate(self, activation, z, out):
        forward = ACTIVATIONS[activation].forward
        return [] if forward is None else [partial(forward, z, out=out)]

    def differentiate(self, activation, saved, delta):
        backward = ACTIVATIONS[activation].backward
        return [] if backward is None else [backward(delta, saved)]

    def draw(self, encoded, limits, noise, code, d_code, d_encoded):
        mean, raw = encoded.chunk(2, dim=-1)
        d_mean, d_raw = d_encoded.chunk(2, dim=-1)
        clamped, deviation, inside = (torch.empty_like(noise) for _ in range(3))
        forward = [
            partial(torch.clamp, raw, *limits, out=clamped),
            partial(torch.mul, clamped, 0.5, out=deviation),
            deviation.exp_,
            partial(torch.addcmul, mean, deviation, noise, out=code),
        ]
        backward = [
            partial(d_mean.copy_, d_code),
            partial(torch.eq, raw, clamped, out=inside),
            partial(torch.mul, d_code, noise, out=d_raw),
            partial(d_raw.mul_, deviation),
            partial(torch.mul, inside, 0.5, out=inside),
            partial(d_raw.mul_, inside),
        ]
        return forward, backward


class CompiledOperations(Recorder):
    """Operations of the compiled kernels, for one model.

    Parameters
    ----------
    n_rows : int
        How many rows there are for each row of a batch: 1, or one a step.
    """

    def __init__(self, n_rows: int = 1):
        super().__init__()
        self._rows = n_rows * OF_BATCH

    @staticmethod
    def knows(*activations: str) -> bool:
        """Whether there are such activations with their derivatives."""
        return all(name in COMPILED and name in ACTIVATIONS for name in activations)

    def product(self, rows, weight, out, *, adds=False):
        n, m = weight.shape[1:]
        return self._product(self._rows, m, n, rows[0], weight[0], out[0], adds)

    def gradient(self, rows, delta, out, *, adds=False):
        n, m = out.shape[1:]
        return self._product(n, m, self._rows, rows[0].T, delta[0], out[0], adds)

    def sum(self, rows, out):
        ones = rows.new_ones(1).expand(1, rows.shape[1])
        return self._product(1, rows.shape[2], self._rows, ones, rows[0], out[0], False)

    def _product(self, m: int, n: int, k: int, a: Tensor, b: Tensor, c: Tensor, adds: bool):
        before = []
        if b.stride(1) != 1:  # a transposed weight, whose columns are to lie side by side
            turned = b.new_empty(b.shape)
            before.append(self.make(Code.TRANSPOSE, n, k, a=b.T, c=turned))
            b = turned
        return [*before, self.make(Code.PRODUCT, m, n, k, int(adds), a=a, b=b, c=c)]

    def copy(self, rows, out):
        return self._over(Code.ACTIVATE, out, a=rows[0].expand(out.shape[1:]))

    def add(self, rows, out):
        return self._over(Code.ADD, out, a=rows[0])

    def clear(self, out):
        zero = torch.zeros_like(out[0])
        return [self.make(Code.ACTIVATE, 1, out.shape[1], a=zero, c=out[0])]

    def multiply(self, a, b, out):
        return self._over(Code.MULTIPLY, out, a=a[0], b=b[0])

    def activate(self, activation, z, out):
        if activation == "identity":
            return []
        return self._over(Code.ACTIVATE, out, COMPILED.index(activation), a=z[0])

    def differentiate(self, activation, saved, delta):
        if activation == "identity":
            return []
        return self._over(Code.DIFFERENTIATE, delta, COMPILED.index(activation), a=saved[0])

    def draw(self, encoded, limits, noise, code, d_code, d_encoded):
        mean, raw = encoded[0].chunk(2, dim=-1)
        d_mean, d_raw = d_encoded.chunk(2, dim=-1)
        numbers = 0.0, *limits
        forward = self._over(Code.DRAW, code, a=mean, b=raw, d=noise[0], numbers=numbers)
        backward = [
            *self.copy(d_code, d_mean),
            *self._over(Code.DRAW_BACK, d_raw, a=d_code[0], b=raw, d=noise[0], numbers=numbers),
        ]
        return forward, backward

    def _over(self, code: Code, out: Tensor, option: int = 0, **others: Any):
        return [self.make(code, self._rows, out.shape[2], option=option, c=out[0], **others)]
