"""Devices, types of numbers on them, and how many threads small products get."""

from __future__ import annotations

import os
import threading
import warnings
from contextlib import contextmanager, nullcontext

import numpy as np
import torch

from .interrupts import interrupts_deferred
from .products import equal_rows

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
    if device.type == "mps":  # one device, and an older place
        return torch.backends.mps.is_available() and device.index in (None, 0)
    backend = getattr(torch, device.type, None)
    if backend is None or not backend.is_available():
        return False
    return device.index is None or device.index < backend.device_count()


def precise(device: torch.device) -> torch.dtype:
    """The most precise floating type that `device` has: float64, but on Apple's GPUs."""
    return torch.float32 if device.type == "mps" else torch.float64


@contextmanager
def exact_inference(device: torch.device):
    """Context of `torch.inference_mode` in which no autocast of the caller's is at work.

    On the CPU, rows of products do not depend on the rows beside them.
    """
    with (
        interrupts_deferred(),
        equal_rows() if device.type == "cpu" else nullcontext(),
        torch.inference_mode(),
        torch.autocast(device.type, enabled=False),
    ):
        yield


def numpy_dtype(dtype: torch.dtype) -> np.dtype:
    """The type of the same name in NumPy."""
    return np.dtype(str(dtype).removeprefix("torch."))


def available_devices() -> list[str]:
    """Names of the device types that this machine has."""
    return [name for name in DEVICE_TYPES if _is_available(torch.device(name))]


class _ThreadLimit:
    """One OpenMP thread while small products run.

    Threads that wait for each other at every small product spin, and collapse as soon as another
    process wants the core. torch's setting is the calling thread's, and what new threads begin
    with is the last setting made: so every fit that leaves sets what stood before the first one
    that came. A thread that first uses torch during somebody's fit begins with one. Inside a fit,
    where a callback may predict, one thread stays one.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._depth = 0
        self._before = 1
        self._own = threading.local()  # how deep this thread is inside

    def enter(self) -> None:
        with self._lock:
            # asked on every thread: only then has torch given it the number that threads begin
            # with, which would else undo, in the middle of a fit, what is set here
            now = torch.get_num_threads()
            if not self._depth:
                self._before = now
            self._depth += 1
            self._own.depth = getattr(self._own, "depth", 0) + 1
            torch.set_num_threads(1)

    def leave(self) -> None:
        with self._lock:
            self._depth -= 1
            self._own.depth -= 1
            torch.set_num_threads(1 if self._own.depth else self._before)

    def forked(self) -> _ThreadLimit:
        """That of a forked process, whose one thread is as deep inside as it was.

        The lock is another one: somebody else may have held it.
        """
        limit = _ThreadLimit()
        limit._depth = limit._own.depth = getattr(self._own, "depth", 0)
        return limit


_limit = _ThreadLimit()


def _begin_as_fork() -> None:
    """What a process does first when another one has forked it: it computes with one thread.

    The threads that GNU OpenMP keeps for products are not forked with it, and whoever waits for
    them waits for ever. Nor are the threads that were inside `threads_for`, but for the one that
    has forked.
    """
    global _limit
    with warnings.catch_warnings():  # torch says that it leaves a pool of threads behind
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
    _limit = _limit.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_as_fork)


def is_small(largest_product: float, device: torch.device) -> bool:
    """Whether one thread computes products of so many operations faster than several."""
    return device.type == "cpu" and largest_product < _SMALL_PRODUCT


@contextmanager
def threads_for(largest_product: float, device: torch.device):
    """Context with one thread if the largest matrix product is small, else as it was.

    Parameters
    ----------
    largest_product : float
        Floating point operations of the largest matrix product of one step.
    device : torch.device
    """
    if not is_small(largest_product, device):
        yield
        return
    with interrupts_deferred():
        _limit.enter()
        try:
            yield
        finally:
            _limit.leave()
