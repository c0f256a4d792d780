"""What the passes of one recurrent layer in one direction promise, whoever computes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from ..cells import Cell
from ..packing import Packing


class LayerPass(ABC):
    """Passes of one layer over batches of one packing.

    Parameters
    ----------
    cell : Cell
    blocks : dict of Tensor
        Parameters, of the shapes `cell.shapes`. Looked into, not copied.
    grads : dict of Tensor or None
        Where their gradients go; without it there is no `backward`.
    packing : Packing
    x : Tensor of shape (S, C)
        Input. Write it before `forward`.
    delta_x : Tensor of shape (S, C) or None
        Where the gradient with respect to `x` goes, if anywhere.
    begins : bool
        Whether the states before the first step have a gradient.

    Attributes
    ----------
    h : Tensor of shape (S, H)
        Holds the output after `forward`, packed as `x` is. Its rows may have gaps between them.
    delta : Tensor of shape (S, H)
        Write the gradient with respect to `h` here, before `backward`, which destroys it.
    initial : tuple of Tensor of shape (B, H)
        States before the first step. Zero unless written.
    delta_initial : tuple of Tensor of shape (B, H)
        Holds the gradient with respect to `initial` after `backward`; empty without `begins`.
    """

    #: Whether making one takes longer than padding sequences to equal lengths.
    is_recorded: ClassVar[bool] = False

    h: Tensor
    delta: Tensor
    initial: tuple[Tensor, ...]
    delta_initial: tuple[Tensor, ...] = ()

    @classmethod
    def pays(cls, cell: Cell, packing: Packing, x: Tensor, trains: bool) -> bool:
        """Whether it is possible here, and faster than what comes after it."""
        return True

    @abstractmethod
    def forward(self) -> None:
        """From `x` and `initial` to `h`."""

    @abstractmethod
    def backward(self) -> None:
        """From `delta` to all gradients, which are overwritten."""
