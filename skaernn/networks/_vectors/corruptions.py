"""Corruptions: what a denoising autoencoder reads in place of a clean row (Vincent et al. 2010).

Each is a function of the scaled rows and of their content hashes, never of a position.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..._core.noise import mix, normal, uniform


class Range(NamedTuple):
    """Smallest and largest value of each feature, (F,), scaled."""

    low: Tensor
    high: Tensor


def gaussian(
    x: Tensor, keys: Tensor, salt: int, level: float | Tensor, limits: Range | None
) -> Tensor:
    """Add normal noise of standard deviation `level`, which may be one a feature (F,)."""
    return x + (level * normal(keys, salt, x.shape[1])).to(x.dtype)


def masking(x: Tensor, keys: Tensor, salt: int, level: float, limits: Range | None) -> Tensor:
    """Put zero in place of a share `level` of the numbers."""
    return torch.where(uniform(keys, salt, x.shape[1]) < level, 0.0, x)


def salt_and_pepper(x: Tensor, keys: Tensor, salt: int, level: float, limits: Range) -> Tensor:
    """Put the feature's smallest or largest value, as a coin falls, in place of a share."""
    u = uniform(keys, salt, x.shape[1])
    grain = torch.where(u < level / 2, limits.low, limits.high)
    return torch.where(u < level, grain, x)


@dataclass(frozen=True)
class Corruption:
    """One kind of corruption.

    Attributes
    ----------
    corrupt : callable
        ``corrupt(x, keys, salt, level, limits)`` gives the corrupted rows (B, F).
    is_share : bool
        Whether the level is a share, at most 1.
    needs_range : bool
        Whether it reads `limits`.
    """

    corrupt: Callable[[Tensor, Tensor, int, Any, Range | None], Tensor]
    is_share: bool = True
    needs_range: bool = False


CORRUPTIONS: dict[str, Corruption] = {
    "gaussian": Corruption(gaussian, is_share=False),
    "masking": Corruption(masking),
    "salt_and_pepper": Corruption(salt_and_pepper, needs_range=True),
}

_SALT = 0x636F7272757074  # apart from the masks of dropout


class Corrupter(NamedTuple):
    """A corruption at a level, ready to be applied."""

    corruption: Corruption
    level: float | Tensor
    limits: Range | None

    def __call__(self, x: Tensor, keys: Tensor, seed: int, epoch: int) -> Tensor:
        """The rows `x` (B, F), whose content hashes are `keys` (B,), corrupted anew."""
        salt = mix(seed, epoch, _SALT)
        return self.corruption.corrupt(x, keys, salt, self.level, self.limits)
