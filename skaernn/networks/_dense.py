"""The dense autoencoder: its parameters, its hand-written passes, its module.

The equations (h code, x input; source: any text on autoencoders, e.g. Goodfellow, Bengio &
Courville 2016, chapter 14), with the affine path beside the network g::

    h = f_enc(g_enc(x) + x A + a)        x' = f_dec(g_dec(h) + h B + b)

Row vectors throughout: activations are (K, B, width) for K models and B rows, weights
(K, inputs, outputs). A path shares its product with the last layer of the network it stands
beside: their inputs lie side by side in one buffer, their weights below each other in theta.
"""

from __future__ import annotations

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
    def layout(self) -> Layout:
        """Where each weight and bias lies in theta."""
        return Layout(self._shapes())

    @property
    def sides(self) -> dict[str, tuple[int, ...]]:
        """Widths from the input of each side to its output."""
        hidden = tuple(self.hidden_layer_sizes)
        return {
            "encoder": (self.n_features, *hidden, self.n_components),
            "decoder": (self.n_components, *reversed(hidden), self.n_features),
        }

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Biases, then weights from the code outwards: the encoder's last layer first, the
        decoder's last layer last. A path shares the block of the layer beside it, its rows at
        the outer end, so that what the L2 penalty spares lies at both ends of theta.
        """
        last = len(self.hidden_layer_sizes)
        weights, biases = {}, {}
        for side, widths in self.sides.items():
            for i in reversed(range(last + 1)) if side == "encoder" else range(last + 1):
                weights[f"{side}.{i}"] = widths[i : i + 2]
                biases[f"{side}.{i}.bias"] = (1, widths[i + 1])
        if self.linear_path and last:
            for side, widths in self.sides.items():
                weights[f"{side}.{last}"] = (widths[0] + widths[last], widths[-1])
        return {**biases, **weights}

    @property
    def penalised(self) -> slice:
        """The part of theta that the L2 penalty acts on: weights, without biases and paths."""
        biases = sum(shape[1] for n, shape in self.layout.shapes.items() if n.endswith("bias"))
        path = self.n_features * self.n_components if self.linear_path else 0
        return slice(biases + path, self.layout.size - path)

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
        last = str(len(self.hidden_layer_sizes))
        for name, view in self._views(theta).items():
            if self.linear_path and name.split(".")[1] == last:
                view.zero_()
                continue
            n_in, n_out = self.layout.shapes[name.removesuffix(".bias")]
            bound = n_in**-0.5 if name.endswith("bias") else math.sqrt(6.0 / (n_in + n_out))
            # drawn in float64 on the CPU: the same start for every dtype and device
            draw = torch.rand(view.shape, generator=generator, dtype=torch.float64)
            view.copy_((2 * draw - 1) * bound)

    def start_path(
        self, theta: Tensor, encode: Tensor, decode: Tensor, offset: Tensor, bias: Tensor
    ) -> None:
        """Set the affine map h = (x - offset) encode, x' = h decode + bias in `theta` (P,)."""
        views = self._views(theta)
        last = len(self.hidden_layer_sizes)
        views[f"encoder.{last}"][: self.n_features].copy_(encode)
        views[f"decoder.{last}"][-self.n_components :].copy_(decode)
        views[f"encoder.{last}.bias"].copy_(-(offset @ encode))
        views[f"decoder.{last}.bias"].copy_(bias)

    def _views(self, theta: Tensor) -> dict[str, Tensor]:
        """Views of the blocks of one model's `theta` (P,)."""
        return {name: view[0] for name, view in self.layout.views(theta[None]).items()}

    def _halves(self, side: str, weight: Tensor) -> tuple[Tensor, Tensor | None]:
        """The network's and the path's rows of the last weight on a side."""
        if not (self.linear_path and self.hidden_layer_sizes):
            return weight, None
        if side == "encoder":
            return weight[self.n_features :], weight[: self.n_features]
        return weight[: -self.n_components], weight[-self.n_components :]

    def module(
        self, theta: Tensor, mean: Tensor | None = None, scale: Tensor | None = None
    ) -> AutoencoderModule:
        """A plain module with copies of the parameters in `theta` (P,), in eval mode."""
        views = self._views(theta)
        activations = {"encoder": self.code_activation, "decoder": self.output_activation}
        sides = []
        for side, activation in activations.items():
            layers: list[nn.Module] = []
            for i in range(len(self.hidden_layer_sizes) + 1):
                if i:
                    layers.append(ACTIVATIONS[self.activation].module())
                weight, path = views[f"{side}.{i}"], None
                if i == len(self.hidden_layer_sizes):
                    weight, path = self._halves(side, weight)
                layers.append(linear_from(weight, views[f"{side}.{i}.bias"][0]))
            beside = None if path is None else linear_from(path, None)
            sides.append(Side(nn.Sequential(*layers), beside, ACTIVATIONS[activation].module()))
        return AutoencoderModule(*sides, mean, scale).eval()

    def pack(self, module: AutoencoderModule, theta: Tensor) -> None:
        """Write the parameters of `module` into `theta` (P,): the inverse of `module`."""
        views = self._views(theta)
        with torch.no_grad():
            for name in ("encoder", "decoder"):
                side = getattr(module, name)
                linears = [layer for layer in side.network if isinstance(layer, nn.Linear)]
                for i, layer in enumerate(linears):
                    target, path = views[f"{name}.{i}"], None
                    if layer is linears[-1]:
                        target, path = self._halves(name, target)
                    target.copy_(layer.weight.T)
                    views[f"{name}.{i}.bias"].copy_(layer.bias)
                if path is not None:
                    path.copy_(side.path.weight.T)
