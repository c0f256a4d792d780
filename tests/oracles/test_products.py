"""Products of which a row has the same bits wherever it lies, on whatever processor this is."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from skaernn._core.products import _EqualRows

SHAPES = [(1, 1), (3, 17), (5, 33), (8, 40), (9, 101), (33, 20), (101, 300)]  # columns, summands
PRODUCTS = {
    "linear": lambda x, w, b: functional.linear(x, w.T, b),
    "linear without bias": lambda x, w, b: functional.linear(x, w.T),
    "addmm": lambda x, w, b: torch.addmm(b, x, w),
    "addmm of one number": lambda x, w, b: torch.addmm(b[:1], x, w),
    "addmm of a number": lambda x, w, b: torch.addmm(b[0], x, w),
    "mm": lambda x, w, b: x.mm(w),
    "matmul": lambda x, w, b: torch.matmul(x, w),
    "@": lambda x, w, b: x @ w,
    "@ of three axes": lambda x, w, b: (x[None] @ w)[0],
    "@ a vector": lambda x, w, b: x @ w[:, 0],
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize(("n", "k"), SHAPES)
def test_products_are_what_they_are_and_rows_alike(name, n, k, dtype):
    generator = torch.Generator().manual_seed(n)
    x, w, b = (torch.randn(*s, generator=generator, dtype=dtype) for s in ((1, k), (k, n), (n,)))
    x = x.repeat(128, 1)
    expected = PRODUCTS[name](x.double(), w.double(), b.double())
    with torch.inference_mode(), _EqualRows():
        found = PRODUCTS[name](x, w, b)
    assert found.shape == expected.shape
    assert found.dtype == dtype
    assert found.is_contiguous()
    close = 20 * k**0.5 * torch.finfo(dtype).eps
    torch.testing.assert_close(found.double(), expected, rtol=close, atol=close)
    if found.dim() == 2:
        np.testing.assert_array_equal(found, found[:1].expand(found.shape))
