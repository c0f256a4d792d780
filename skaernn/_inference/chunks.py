"""Prediction in chunks of a fixed number of rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .._core.device import exact_inference, precise, threads_for
from .._core.interrupts import check_interrupts

# A matrix product of another height may sum in another order; at a fixed height a row's answer
# does not depend on the rows beside it, down to the last bit.
_CPU_ROWS, _DEVICE_ROWS = 128, 8192


def in_chunks(
    function: Callable[[Tensor], Tensor],
    X: np.ndarray,
    width: int | None,
    device: torch.device,
) -> np.ndarray:
    """Apply `function` to the rows of `X`, a fixed number at a time.

    Parameters
    ----------
    function : callable
        From (m, F) to (m, width), or (m,) if `width` is None.
    X : ndarray of shape (n, F)
        float32 or float64, any strides, read only.
    width : int or None
    device : torch.device

    Returns
    -------
    ndarray of shape (n, width) or (n,)
    """
    n_samples = len(X)
    size = _CPU_ROWS if device.type == "cpu" else _DEVICE_ROWS
    answer = np.empty(n_samples if width is None else (n_samples, width), dtype=X.dtype)
    held = np.float32 if precise(device) == torch.float32 else X.dtype
    chunk = np.zeros((size, X.shape[1]), dtype=held)
    rows = torch.from_numpy(chunk)
    # several threads would cut sums and vectors where the bits show it, and wait for each other
    with (
        threads_for(0, device),
        exact_inference(device),
        np.errstate(over="ignore"),  # what is beyond X's type is infinite
    ):
        for start in range(0, n_samples, size):
            check_interrupts()
            stop = min(start + size, n_samples)
            chunk[: stop - start] = X[start:stop]
            result = function(rows if device.type == "cpu" else rows.to(device))
            with np.errstate(over="ignore"):  # float64 that is infinite in X's dtype
                answer[start:stop] = result[: stop - start].cpu().numpy()
    return answer
