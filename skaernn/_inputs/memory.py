"""What is refused because no memory would hold it, before any of it is allocated."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager

import torch

from .._core.memory import device_memory, is_out_of_memory

_VECTORS = 7  # of parameters, at least; 7.6 to 14.5 were measured
_NOTHING = 1 << 26  # bytes that nobody is asked about: that would take as long as a small fit
_CPU = torch.device("cpu")


def check_memory(
    n_parameters: int,
    dtype: torch.dtype,
    device: torch.device,
    layer_sizes: Sequence[int],
    advice: str,
    *,
    n_rows: int = 0,
    n_numbers: int = 0,
    remedy: str = "",
) -> None:
    """Refuse a network, or a batch of it, that cannot fit into memory.

    Training needs at least seven vectors of parameters: weights, gradient, a moment, the start,
    the best weights, a candidate, and the module. Others come with solvers, penalty, validation.

    Parameters
    ----------
    n_parameters : int
    dtype : torch.dtype
    device : torch.device
    layer_sizes : sequence of int
    advice : str
        What to choose instead.
    n_rows, n_numbers : int
        Rows that are trained on at a time, and numbers that have to be held for them.
    remedy : str
        What to choose where these are too many.
    """
    needed = (_VECTORS * n_parameters + n_numbers) * dtype.itemsize
    available = _available(needed, device)
    if available is None:
        return
    network = f"a network with layer sizes {tuple(layer_sizes)}"
    if n_rows:
        raise MemoryError(
            f"Training {network} on {n_rows} rows at a time needs {_gib(needed)} of memory at "
            f"least, and {available}. Choose {remedy}, or {advice}."
        )
    raise MemoryError(
        f"{network.capitalize()} has {n_parameters:.3g} parameters; training it needs "
        f"{_gib(needed)} of memory at least, and {available}. Choose {advice}."
    )


def check_fits_memory(name: str, asked: str, n_numbers: int) -> None:
    """Refuse an argument that asks for more numbers than memory can hold.

    Parameters
    ----------
    name : str
        Of the argument.
    asked : str
        What it asks for.
    n_numbers : int
    """
    available = _available(8 * n_numbers, _CPU)
    if available is not None:
        raise MemoryError(
            f"{name} asks for {asked}, {_gib(8 * n_numbers)} of numbers, and {available}. "
            "Ask for fewer at a time."
        )


@contextmanager
def out_of_memory_named(batch_size: object, layer_sizes: Sequence[int], remedy: str, advice: str):
    """Context of a fit in which torch's errors about memory are a MemoryError that says more."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(
            f"Training a network with layer sizes {tuple(layer_sizes)} and "
            f"batch_size={batch_size!r} ran out of memory. Choose {remedy}, or {advice}."
        ) from error


def _available(needed: int, device: torch.device) -> str | None:
    """What there is, in words, if it is less than `needed` bytes."""
    if needed <= _NOTHING:
        return None
    available = device_memory(device)
    if needed <= available:
        return None
    who = "this process may have" if device.type == "cpu" else f"{device} has"
    return f"{who} {_gib(available)}"


def _gib(n_bytes: float) -> str:
    return f"{n_bytes / 2**30:.3g} GiB"
