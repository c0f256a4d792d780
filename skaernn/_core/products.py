"""Matrix products of which a row has the same bits wherever it lies."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

# On some processors products take a few rows at a time, and sum those that are left over in
# another order: unless the matrix behind them lies row by row in a whole number of fours.
_COLUMNS = 4
_SEEN = (3, 17), (5, 33), (9, 101), (33, 20), (34, 65)  # columns and summands where it shows


def equal_rows() -> AbstractContextManager:
    """Context in which a row of a product depends on nothing but that row.

    As long as there is always the same number of rows.
    """
    return nullcontext() if _are_equal() else _EqualRows()


@lru_cache(maxsize=1)
def _are_equal() -> bool:
    """Whether this processor's products are so by themselves."""
    for dtype in (torch.float32, torch.float64):
        for n, k in _SEEN:
            x = torch.linspace(0.1, 1, k, dtype=dtype, device="cpu").exp()
            weight = torch.linspace(1, 3, n * k, dtype=dtype, device="cpu").sin().view(n, k)
            rows = functional.linear(x.expand(128, k), weight)
            if not bool((rows == rows[:1]).all()):
                return False
    return True


def _filled(matrix: Tensor) -> Tensor:
    """With zeros behind the last column, if need be."""
    return functional.pad(matrix, (0, -matrix.shape[-1] % _COLUMNS)).contiguous()


def _cut(product: Tensor, n: int) -> Tensor:
    """The first columns, without a gap behind each row, which sums would see."""
    return product if product.shape[-1] == n else product[..., :n].contiguous()


def _of_two(function: Callable, a: Tensor, b: Tensor) -> Tensor:
    return _cut(function(a, _filled(b)), b.shape[1])


def _addmm(function: Callable, bias: Tensor, a: Tensor, b: Tensor) -> Tensor:
    n = b.shape[1]
    bias = bias.expand(*bias.shape[:-1], n)  # it may be one number for all
    return _cut(function(_filled(bias), a, _filled(b)), n)


def _linear(function: Callable, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    product = _cut(torch.matmul(x, _filled(weight.T)), weight.shape[0])
    return product if bias is None else product + bias


_MADE_EQUAL = {
    torch.mm: _of_two,
    torch.matmul: _of_two,
    Tensor.mm: _of_two,
    Tensor.matmul: _of_two,
    Tensor.__matmul__: _of_two,
    torch.addmm: _addmm,
    functional.linear: _linear,
}


class _EqualRows(TorchFunctionMode):
    """Makes products with a matrix in the way that gives equal rows."""

    def __torch_function__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        make = _MADE_EQUAL.get(function)
        if make is None or kwargs or args[1 if make is _linear else -1].dim() != 2:
            return function(*args, **(kwargs or {}))
        return make(function, *args)
