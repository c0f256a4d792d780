"""Devices, and how many threads small products get."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import torch

DEVICE_TYPES = ("cpu", "cuda", "mps", "xpu")
_SMALL_PRODUCT = 20e6  # floating point operations below which a second thread costs more


def resolve_device(device) -> torch.device:
    """The torch device that a `device` parameter names.

    Parameters
    ----------
    device : str or torch.device
        "auto" is CUDA where there is one, else the CPU.

    Raises
    ------
    ValueError
        If this machine or this build of torch has no such device.
    """
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    resolved = torch.device(device)
    if resolved.type not in DEVICE_TYPES or not _is_available(resolved):
        raise ValueError(
            f"device={str(device)!r} was requested but is not available here; "
            f"available: {', '.join(repr(name) for name in available_devices())}."
        )
    return resolved


def _is_available(device: torch.device) -> bool:
    if device.type == "cpu":
        return True
    backend = getattr(torch, device.type, None) or getattr(torch.backends, device.type)
    found = backend.is_available()
    return found and (device.index is None or device.index < backend.device_count())


def available_devices() -> list[str]:
    """Names of the device types that this machine has."""
    return [name for name in DEVICE_TYPES if _is_available(torch.device(name))]


class _ThreadLimit:
    """One OpenMP thread while small products run.

    Threads that wait for each other at every small product spin, and collapse as soon as another
    process wants the core. torch's setting is partly the process's, partly the calling thread's,
    so the count before the first fit is kept until the last one has gone.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._depth = 0
        self._before = 1

    def enter(self) -> None:
        with self._lock:
            if not self._depth:
                self._before = torch.get_num_threads()
            self._depth += 1
            torch.set_num_threads(1)

    def leave(self) -> None:
        with self._lock:
            self._depth -= 1
            torch.set_num_threads(self._before)


_limit = _ThreadLimit()


@contextmanager
def threads_for(largest_product: float, device: torch.device):
    """Context with one thread if the largest matrix product is small, else as it was.

    Parameters
    ----------
    largest_product : float
        Floating point operations of the largest matrix product of one step.
    device : torch.device
    """
    if device.type != "cpu" or largest_product >= _SMALL_PRODUCT:
        yield
        return
    _limit.enter()
    try:
        yield
    finally:
        _limit.leave()
