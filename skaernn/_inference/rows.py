"""Rows to codes and back."""

from __future__ import annotations

import numpy as np
import torch

from .._core.interrupts import interrupts_deferred
from .._native.functions import Functions
from ..networks import AutoencoderModule, CompiledSide, Unknown
from .chunks import in_chunks
from .compiled import compiled_for
from .parts import in_parts


def encoded(
    module: AutoencoderModule, X: np.ndarray, n_components: int, device: torch.device
) -> np.ndarray:
    """Codes (n, C) of rows (n, F), in X's dtype."""
    side = _compiled(module, "encoder", n_components, device)
    if side is None:
        return in_chunks(module.encode, X, n_components, device)
    return _run(side, X, n_components)


def decoded(
    module: AutoencoderModule, codes: np.ndarray, n_features: int, device: torch.device
) -> np.ndarray:
    """Rows (n, F) of codes (n, C), in their dtype."""
    side = _compiled(module, "decoder", n_features, device)
    if side is None:
        return in_chunks(module.decode, codes, n_features, device)
    return _run(side, codes, n_features)


def _compiled(
    module: AutoencoderModule, name: str, n_outputs: int, device: torch.device
) -> CompiledSide | None:
    def build(functions: Functions) -> CompiledSide | None:
        try:
            return CompiledSide(functions, module, name, n_outputs)
        except Unknown:
            return None

    return compiled_for(module, device, name, build)


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
