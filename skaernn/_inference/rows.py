"""Rows to codes and back."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from .._core.interrupts import interrupts_deferred
from ..networks import AutoencoderModule, CompiledSide, compiled_side
from .chunks import in_chunks
from .compiled import compiled_for
from .parts import in_parts

_METHODS = {"encoder": "encode", "decoder": "decode"}


def through(
    module: AutoencoderModule, name: str, X: np.ndarray, n_outputs: int, device: torch.device
) -> np.ndarray:
    """What one side of an autoencoder makes of rows.

    Parameters
    ----------
    module : AutoencoderModule
    name : str
        "encoder", from rows in the user's units to codes, or "decoder", from these to those.
    X : ndarray of shape (n, inputs)
        float32 or float64, any strides, read only.
    n_outputs : int
    device : torch.device

    Returns
    -------
    ndarray of shape (n, n_outputs)
        In X's dtype.
    """
    build = partial(compiled_side, module, name, n_outputs)
    side = compiled_for(module, device, name, build)
    if side is None:
        return in_chunks(getattr(module, _METHODS[name]), X, n_outputs, device)
    return _run(side, X, n_outputs)


def _run(side: CompiledSide, X: np.ndarray, n_outputs: int) -> np.ndarray:
    if X.shape[1] > 1 and X.strides[1] != X.itemsize:
        X = np.ascontiguousarray(X)
    answer = np.empty((len(X), n_outputs), dtype=X.dtype)
    begin, stride = X.ctypes.data, X.strides[0]
    to, wide = answer.ctypes.data, answer.strides[0]

    def run(first: int, last: int) -> None:
        side.run(X.dtype.char, begin + first * stride, stride, to + first * wide, last - first)

    with interrupts_deferred():
        in_parts(run, side.products, len(X))
    return answer
