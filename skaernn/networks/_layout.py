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
        self._sizes = {name: math.prod(shape) for name, shape in self.shapes.items()}
        self.size = 0
        for name in self.shapes:
            self.offsets[name] = self.size
            self.size += self._sizes[name]
        # by prefix, that before the last dot or none: what follows it, names
        self._named: dict[str, list[tuple[str, str]]] = {"": [(name, name) for name in shapes]}
        for name in self.shapes:
            prefix, dot, short = name.rpartition(".")
            if dot:
                self._named.setdefault(prefix + dot, []).append((short, name))

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of the blocks of `flat` (K, P): tensors (K, rows, columns) in its memory."""
        n_models = flat.shape[0]
        return {
            name: flat.narrow(1, self.offsets[name], self._sizes[name]).view(n_models, *shape)
            for name, shape in self.shapes.items()
        }

    def blocks(self, flat: Tensor, prefix: str = "") -> dict[str, Tensor]:
        """Views of one model's `flat` (P,): the blocks of a prefix, such as ``"0.forward."``.

        Their names here are what follows it.
        """
        return {
            short: flat.narrow(0, self.offsets[name], self._sizes[name]).view(self.shapes[name])
            for short, name in self._named.get(prefix, ())
        }
