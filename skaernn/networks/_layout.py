"""Named blocks of parameters inside one flat vector."""

from __future__ import annotations

import math

from torch import Tensor


class Layout:
    """Places of named blocks in a flat vector, in the order given.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        The shape of each block.

    Attributes
    ----------
    size : int
        Length P of the vector.
    """

    def __init__(self, shapes: dict[str, tuple[int, ...]]):
        self.shapes = dict(shapes)
        self.offsets: dict[str, int] = {}
        self.size = 0
        for name, shape in self.shapes.items():
            self.offsets[name] = self.size
            self.size += math.prod(shape)

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of the blocks of `flat` (K, P): tensors (K, rows, columns) in its memory."""
        return {
            name: flat.narrow(1, self.offsets[name], math.prod(shape)).view(len(flat), *shape)
            for name, shape in self.shapes.items()
        }
