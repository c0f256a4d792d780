"""Widths of a dense autoencoder, and where the block of each layer lies in theta.

A layer is one block of theta, (inputs + 1, outputs): its last row is the bias, which an input
column of ones makes part of the product. The path is part of the last layer on its side, whose
block reads [last hidden | x or h | 1]. With tied weights the decoder's blocks hold biases alone,
(1, outputs), and its weights, path included, are those of the encoder, transposed.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._activations import ACTIVATIONS
from .._layout import Layout
from .interface import MASK_NUMBERS, AutoencoderNetwork

_SMALL = 1 << 16  # parameters


@dataclass(frozen=True)
class DenseShape(AutoencoderNetwork):
    """What of a dense autoencoder its passes know: widths, places, activations.

    Parameters
    ----------
    n_features, n_components : int
        Widths F of the input and C of the code.
    hidden_layer_sizes : tuple of int
        Widths of the encoder's hidden layers; the decoder mirrors them.
    activation, code_activation : str
        Keys of `ACTIVATIONS`.
    output_activation : str
        Key of `OUTPUTS`.
    linear_path : bool
        Whether an affine map stands beside the network on either side. Without hidden layers
        the network is that affine map.
    dropout : float
        Probability of dropping a hidden unit in training.
    tied_weights : bool
        Whether the decoder's weights are the encoder's, transposed.
    variational : bool
        Whether the encoder gives means and log-variances, not codes.
    """

    n_features: int
    n_components: int
    hidden_layer_sizes: tuple[int, ...] = ()
    activation: str = "relu"
    code_activation: str = "identity"
    output_activation: str = "identity"
    linear_path: bool = False
    dropout: float = 0.0
    tied_weights: bool = False
    variational: bool = False

    path_by_default = True

    @property
    def sides(self) -> dict[str, tuple[int, ...]]:
        """Widths from the input of each side to its output."""
        hidden = tuple(self.hidden_layer_sizes)
        return {
            "encoder": (self.n_features, *hidden, self.n_encoded),
            "decoder": (self.n_components, *reversed(hidden), self.n_features),
        }

    @property
    def layout(self):
        """Where the block of each layer lies in theta."""
        return _layout(self)

    @property
    def n_hidden(self) -> int:
        """Number of hidden layers on either side."""
        return len(self.hidden_layer_sizes)

    @property
    def has_path(self) -> bool:
        """Whether an affine path stands beside hidden layers."""
        return self.linear_path and self.n_hidden > 0

    @property
    def penalised(self):
        """Mask (P,): 1 for what the L2 penalty acts on, 0 for biases and linear path."""
        # a large one is not worth keeping
        return (_penalised if self.layout.size <= _SMALL else _penalised.__wrapped__)(self)

    @property
    def largest_product(self):
        """Multiplications per row in the largest matrix product of a pass."""
        return max(math.prod(shape) for shape in self.layout.shapes.values())

    @property
    def numbers_per_row(self):
        """Numbers that a pass and its way back hold of each row."""
        ends = super().numbers_per_row + 6 * self.n_components * self.variational
        kept = 2 + ACTIVATIONS[self.activation].needs_input
        if not self.dropout:
            return ends + 2 * kept * sum(self.hidden_layer_sizes)
        drawn = MASK_NUMBERS * max(self.hidden_layer_sizes, default=0)
        return ends + 2 * (kept + 2) * sum(self.hidden_layer_sizes) + drawn

    def _views(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of the blocks of one model's `flat` (P,)."""
        return self.layout.blocks(flat)

    def _network_rows(self, name: str) -> int:
        """How many rows of a block are weights of the network, not of the path or the bias."""
        side, i = name.split(".")
        if (self.linear_path and not self.n_hidden) or (self.tied_weights and side == "decoder"):
            return 0
        return self.sides[side][int(i)]


@functools.lru_cache(maxsize=16)
def _layout(network: DenseShape) -> Layout:
    shapes = {}
    for side, widths in network.sides.items():
        tied = network.tied_weights and side == "decoder"
        for i, n_out in enumerate(widths[1:]):
            beside = widths[0] if network.has_path and i == network.n_hidden else 0
            shapes[f"{side}.{i}"] = (1 if tied else widths[i] + beside + 1, n_out)
    return Layout(shapes)


@functools.lru_cache(maxsize=16)
def _penalised(network: DenseShape) -> torch.Tensor:
    mask = torch.zeros(1, network.layout.size, device="cpu")
    for name, view in network.layout.views(mask).items():
        view[0, : network._network_rows(name)] = 1
    return mask[0]
