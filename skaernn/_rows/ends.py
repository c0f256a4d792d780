"""Where the values of a feature end, if they are seen to stop there."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .vectors import Rows

_SHARE = 0.01  # of the weight of all rows that lies at an end
_ROWS = 3  # that do, at least


def ends_of(rows: Rows) -> tuple[Tensor, Tensor]:
    """Smallest and largest values (2, F) of features, in the user's units and type, and ends.

    The second has infinity in place of those that are not seen to be ends. At the largest of what
    is measured freely lies one row. Where several lie at the very same value, and a hundredth of
    all, it is counted, rounded, cut off, or there is nothing beyond.
    """
    raw = rows.scaled(None, None)
    kind = raw.X.dtype if raw.X.is_floating_point() else torch.float64
    ends = torch.full((2, raw.n_features), math.inf, dtype=kind, device=raw.device)
    for block, _ in raw.blocks(kind):  # of the rows and of their negatives the smallest
        torch.minimum(ends, torch.stack([block.amin(0), -block.amax(0)]), out=ends)
    ends[1].neg_()
    share, many = torch.zeros_like(ends), torch.zeros_like(ends)
    for block, weight in raw.blocks(kind):
        for side in (0, 1):
            at_end = (block == ends[side]).to(kind)
            many[side] += at_end.sum(0)
            share[side] += (at_end * weight).sum(0)
    seen = (share >= _SHARE * raw.total_weight()) & (many >= _ROWS)
    return ends, torch.where(seen, ends, ends.new_tensor([[-math.inf], [math.inf]]))
