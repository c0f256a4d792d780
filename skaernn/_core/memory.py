"""How much memory a process may have, and how an error says that there is none left."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import torch

_GROUPS = "/sys/fs/cgroup"
_OWN_GROUPS = "/proc/self/cgroup"
_OWN_PAGES = "/proc/self/statm"
_WORDS = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")


def device_memory(device: torch.device) -> float:
    """Bytes of memory that a process may have on `device`; infinite where nothing says.

    On the CPU the least of what the machine has, what the control groups of the process may have
    (containers are made of them), and what is left of its limit of addresses (``ulimit -v``).
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    return min(_physical(), _addresses(), *_groups())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory could not be had: Python's and numpy's own, or torch's."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def _physical() -> float:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return math.inf


def _addresses() -> float:
    """What is left of the limit of addresses."""
    try:
        import resource  # not on Windows

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return math.inf
    except (ImportError, AttributeError, ValueError, OSError):
        return math.inf
    try:
        n_mapped = int(Path(_OWN_PAGES).read_text().split()[0])
        return max(0, limit - n_mapped * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, IndexError, OSError):
        return limit


def _groups() -> Iterator[float]:
    """Limits of the control groups, of both versions, that the process is in."""
    try:
        lines = Path(_OWN_GROUPS).read_text().splitlines()
    except (OSError, ValueError):
        lines = []
    own = [line.split(":", 2) for line in lines if line.count(":") >= 2]
    second = [path for _, names, path in own if not names]
    first = [path for _, names, path in own if "memory" in names.split(",")]
    for paths, root, name in (
        (second, _GROUPS, "memory.max"),
        (first, f"{_GROUPS}/memory", "memory.limit_in_bytes"),
    ):
        # those of the process, as far as it sees them, and all around them
        path = PurePosixPath(paths[0] if paths else "/")
        for group in (path, *path.parents):
            try:
                yield int(Path(f"{root}/{group}/{name}").read_text())
            except (OSError, ValueError):  # not there, not ours to read, or "max"
                continue
