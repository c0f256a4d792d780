"""What an installation consists of, for reports of defects."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from .library import TORCH, built, kernels

_NEEDED = ("skaernn", "numpy", "scipy", "scikit-learn", "torch", "joblib", "threadpoolctl")
_OPTIONAL = ("pandas", "polars", "matplotlib", "skorch")


def show_versions() -> None:
    """Print what a report of a defect should say: system, versions, kernels.

    The last part says what computes small fits and the answers of fitted networks: kernels
    compiled for this kind of processor, or torch. With the environment variable
    ``SKAERNN_KERNELS`` one can be chosen ("torch", "baseline", "avx2" or "avx512", as far as it
    is there): their answers are equal to rounding.

    Examples
    --------
    >>> import skaernn
    >>> skaernn.show_versions()
    <BLANKLINE>
    System:
        python: ...
    """
    system = {
        "python": sys.version.replace("\n", " "),
        "executable": sys.executable,
        "machine": platform.platform(),
    }
    found = {name: _version(name) for name in (*_NEEDED, *_OPTIONAL)}
    packages = {name: v for name, v in found.items() if v or name in _NEEDED}
    at_work = {"in use": kernels(), "available": ", ".join([*built(), TORCH])}
    parts = {"System": system, "Python packages": packages, "Kernels": at_work}
    for title, entries in parts.items():
        sys.stdout.write(f"\n{title}:\n")
        for name, value in entries.items():
            sys.stdout.write(f"{name:>16}: {value}\n")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
