"""The dense autoencoder: what it is, where its parameters lie, how they start.

The equations (h code, x input; e.g. Goodfellow, Bengio & Courville 2016, chapter 14), with an
affine path beside the networks g::

    h = f_enc(g_enc(x) + x A + a)        x' = f_dec(g_dec(h) + h B + b)

A layer is one block of theta, (inputs + 1, outputs): its last row is the bias, which an input
column of ones makes part of the product. The path is part of the last layer on its side, whose
block reads [last hidden | x or h | 1].
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ._activations import ACTIVATIONS
from ._layout import Layout
from ._modules import AutoencoderModule, Side, linear_from


@dataclass(frozen=True)
class DenseAutoencoder:
    """Description of a dense autoencoder; holds no parameters.

    Parameters
    ----------
    n_features, n_components : int
        Widths F of the input and C of the code.
    hidden_layer_sizes : tuple of int
        Widths of the encoder's hidden layers; the decoder mirrors them.
    activation, code_activation, output_activation : str
        Keys of `ACTIVATIONS`.
    linear_path : bool
        Whether an affine map stands beside the network on either side. Without hidden layers
        the network is that affine map.
    dropout : float
        Probability of dropping a hidden unit in training.
    """

    n_features: int
    n_components: int
    hidden_layer_sizes: tuple[int, ...] = ()
    activation: str = "relu"
    code_activation: str = "identity"
    output_activation: str = "identity"
    linear_path: bool = False
    dropout: float = 0.0

    @property
    def sides(self) -> dict[str, tuple[int, ...]]:
        """Widths from the input of each side to its output."""
        hidden = tuple(self.hidden_layer_sizes)
        return {
            "encoder": (self.n_features, *hidden, self.n_components),
            "decoder": (self.n_components, *reversed(hidden), self.n_features),
        }

    @property
    def layout(self) -> Layout:
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
    def penalised(self) -> Tensor:
        """Mask (P,): 1 for what the L2 penalty acts on, 0 for biases and linear path."""
        mask = torch.zeros(1, self.layout.size, device="cpu")
        for name, view in self.layout.views(mask).items():
            view[0, : self._network_rows(name)] = 1
        return mask[0]

    @property
    def largest_product(self) -> int:
        """Multiplications per row in the largest matrix product of a pass."""
        return max(math.prod(shape) for shape in self.layout.shapes.values())

    def start(self, theta: Tensor, generator: torch.Generator) -> None:
        """Write random weights into `theta` (P,).

        Weights after Glorot & Bengio (2010), which keeps the variance of activations and
        gradients over layers; biases uniform within 1 / sqrt(inputs). With a linear path the
        last layer on each side starts at zero, so that the path alone speaks.
        """
        for name, view in self._views(theta).items():
            if self.linear_path and name.endswith(f".{self.n_hidden}"):
                view.zero_()
                continue
            n_in, n_out = len(view) - 1, view.shape[1]
            # drawn in float32 on the CPU: the same start for every dtype and device
            draw = torch.empty(view.shape, dtype=torch.float32, device="cpu")
            draw.uniform_(-1, 1, generator=generator)
            draw[:-1] *= math.sqrt(6.0 / (n_in + n_out))
            draw[-1] *= n_in**-0.5
            view.copy_(draw)

    def start_path(
        self, theta: Tensor, encode: Tensor, decode: Tensor, offset: Tensor, bias: Tensor
    ) -> None:
        """Set the affine map h = (x - offset) encode, x' = h decode + bias in `theta` (P,)."""
        views = self._views(theta)
        ends = {"encoder": (encode, -(offset @ encode)), "decoder": (decode, bias)}
        for side, (weight, shift) in ends.items():
            block = views[f"{side}.{self.n_hidden}"]
            block[-1 - len(weight) : -1] = weight
            block[-1] = shift

    def _views(self, theta: Tensor) -> dict[str, Tensor]:
        """Views of the blocks of one model's `theta` (P,)."""
        return {name: view[0] for name, view in self.layout.views(theta[None]).items()}

    def _network_rows(self, name: str) -> int:
        """How many rows of a block are weights of the network, not of the path or the bias."""
        if self.linear_path and not self.n_hidden:
            return 0
        side, i = name.split(".")
        return self.sides[side][int(i)]

    def module(
        self, theta: Tensor, mean: Tensor | None = None, scale: Tensor | None = None
    ) -> AutoencoderModule:
        """A plain module with copies of `theta` (P,), `mean` and `scale`, in eval mode."""
        views = self._views(theta)
        activations = {"encoder": self.code_activation, "decoder": self.output_activation}
        sides = []
        for side, activation in activations.items():
            layers: list[nn.Module] = []
            for i, width in enumerate(self.sides[side][:-1]):
                if i:
                    layers.append(ACTIVATIONS[self.activation].module())
                block = views[f"{side}.{i}"]
                layers.append(linear_from(block[:width], block[-1]))
            path = linear_from(block[width:-1], None) if self.has_path else None
            sides.append(Side(nn.Sequential(*layers), path, ACTIVATIONS[activation].module()))
        units = (None if value is None else value.clone() for value in (mean, scale))
        return AutoencoderModule(*sides, *units).eval()

    def module_from(self, weights: dict[str, Tensor]) -> AutoencoderModule:
        """The module whose ``state_dict`` is `weights`."""
        some = next(value for name, value in weights.items() if name.endswith("weight"))
        module = self.module(
            some.new_zeros(self.layout.size), weights.get("mean"), weights.get("scale")
        )
        module.load_state_dict(weights)
        return module

    def pack(self, module: AutoencoderModule, theta: Tensor) -> None:
        """Write the parameters of `module` into `theta` (P,): the inverse of `module`."""
        views = self._views(theta)
        with torch.no_grad():
            for name, widths in self.sides.items():
                side = getattr(module, name)
                linears = [layer for layer in side.network if isinstance(layer, nn.Linear)]
                for i, (layer, width) in enumerate(zip(linears, widths, strict=False)):
                    block = views[f"{name}.{i}"]
                    block[:width] = layer.weight.T
                    block[-1] = layer.bias
                if side.path is not None:
                    block[width:-1] = side.path.weight.T


@functools.lru_cache(maxsize=16)
def _layout(network: DenseAutoencoder) -> Layout:
    shapes = {}
    for side, widths in network.sides.items():
        for i, n_out in enumerate(widths[1:]):
            beside = widths[0] if network.has_path and i == network.n_hidden else 0
            shapes[f"{side}.{i}"] = (widths[i] + beside + 1, n_out)
    return Layout(shapes)
