"""Finds and opens the compiled kernels that suit this processor, if there are any.

They are plain shared libraries without Python in them, so one build serves every Python. Without
them torch does the same work: answers are equal to rounding.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import lru_cache
from pathlib import Path

import torch

from .._core.warn import warn_user
from .functions import Functions

ABI = 6  # of structures and functions; `src/kernels.cpp` has the same
VARIABLE = "SKAERNN_KERNELS"
TORCH = "torch"
INSTRUCTION_SETS = ("avx512", "avx2", "baseline")  # the best one first

_FOLDER = Path(__file__).parent
_SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


def built() -> list[str]:
    """Instruction sets that kernels were built for and this processor has, the best one first."""
    known = torch.backends.cpu.get_cpu_capability()
    missing = {"AVX512": 0, "AVX2": 1}.get(known, 2)
    return [name for name in INSTRUCTION_SETS[missing:] if _path(name).exists()]


@lru_cache(maxsize=1)
def compiled_kernels() -> Functions | None:
    """The compiled kernels, or None: torch does their work.

    The environment variable ``SKAERNN_KERNELS`` chooses: "torch", "baseline", "avx2" or "avx512".

    Raises
    ------
    ValueError
        If it names none that there are.
    """
    asked = os.environ.get(VARIABLE, "")
    choices = [*built(), TORCH]
    if asked and asked not in choices:
        raise ValueError(
            f"{VARIABLE}={asked!r} in the environment names no kernels that are here; "
            f"these are: {', '.join(choices)}."
        )
    name = asked or choices[0]
    return None if name == TORCH else _opened(name)


def kernels() -> str:
    """Which kernels are at work: "avx512", "avx2", "baseline", or "torch"."""
    found = compiled_kernels()
    return TORCH if found is None else found.instruction_set


def _path(name: str) -> Path:
    return _FOLDER / f"kernels-{name}{_SUFFIX}"


def _opened(name: str) -> Functions | None:
    try:
        library = ctypes.CDLL(str(_path(name)))
        abi = library.skaernn_abi()
    except (OSError, AttributeError) as error:
        reason = str(error)
    else:
        if abi == ABI:
            return Functions(library)
        reason = f"it is of version {abi}, and this is skaernn for version {ABI}"
    warn_user(
        f"The compiled kernels {_path(name).name} are of no use here ({reason}); torch does their "
        "work. Install skaernn again to build them anew."
    )
    return None
