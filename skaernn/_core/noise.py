"""Random numbers as a function of (seed, epoch, content of the row), never of a position.

Two equal rows draw the same noise wherever they stand, so a row of weight two is the row twice,
and a resumed fit repeats the uninterrupted one. The generator is the counter-based finaliser of
SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators").
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_MASK = (1 << 64) - 1


def _signed(value: int) -> int:
    """The 64 bits of `value` read as a signed integer, which is what torch has."""
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value


def mix(*values: int) -> int:
    """Hash integers into one of 63 bits, fit for `torch.Generator.manual_seed`."""
    state = 0
    for value in values:
        state = (state + (value & _MASK) + _GOLDEN) & _MASK
        state = ((state ^ (state >> 30)) * _MIX_1) & _MASK
        state = ((state ^ (state >> 27)) * _MIX_2) & _MASK
        state ^= state >> 31
    return state >> 1


def _logical_shift(x: Tensor, bits: int) -> Tensor:
    """Right shift that fills with zeros; torch's own repeats the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def uniform(keys: Tensor, salt: int, width: int) -> Tensor:
    """Uniform numbers in [0, 1) that depend on `keys` and `salt` alone.

    Parameters
    ----------
    keys : Tensor of shape (B,), int64
        One content hash a row.
    salt : int
        Tells apart epochs, layers and seeds; see `mix`.
    width : int
        Numbers per row.

    Returns
    -------
    Tensor of shape (B, width), float32
    """
    columns = torch.arange(1, width + 1, device=keys.device) * _signed(_GOLDEN)
    x = (keys[:, None] ^ _signed(salt * 2 + 1)) + columns
    x = (x ^ _logical_shift(x, 30)) * _signed(_MIX_1)
    x = (x ^ _logical_shift(x, 27)) * _signed(_MIX_2)
    x = x ^ _logical_shift(x, 31)
    return _logical_shift(x, 40).to(torch.float32) * 2.0**-24


def dropout_mask(
    keys: Tensor, salt: int, width: int, rate: float, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Mask of shape (B, width): 0 with probability `rate`, else 1 / (1 - rate).

    Inverted dropout (Srivastava et al. 2014): the expected activation is unchanged, so nothing
    needs rescaling outside training.
    """
    kept = uniform(keys, salt, width) >= rate
    return kept.to(dtype).mul_(1.0 / (1.0 - rate))


def normal(keys: Tensor, salt: int, width: int) -> Tensor:
    """Standard normal numbers (B, width), float64, that depend on `keys` and `salt` alone.

    By the transform of Box & Muller (1958). In float64, whose rounding, which may differ from
    place to place, is below what a network in float32 sees.
    """
    half = (width + 1) // 2
    double = torch.float32 if keys.device.type == "mps" else torch.float64
    u = uniform(keys, salt, 2 * half).to(double)
    radius = (1 - u[:, :half]).log_().mul_(-2).sqrt_()
    angle = u[:, half:] * (2 * math.pi)
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, :width]
