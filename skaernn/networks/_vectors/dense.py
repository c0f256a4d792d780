"""The dense autoencoder: what it is, where its parameters lie, how they start.

The equations (h code, x input; e.g. Goodfellow, Bengio & Courville 2016, chapter 14), with an
affine path beside the networks g::

    h = f_enc(g_enc(x) + x A + a)        x' = f_dec(g_dec(h) + h B + b)

`dense_shape` says where the parameters lie.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .._activations import ACTIVATIONS, OUTPUTS
from .._linear import TransposedLinear, linear_from, patterned
from .._operations import CompiledOperations
from .autograd import KeyedDropout, ModulePasses
from .dense_passes import DensePasses
from .dense_shape import DenseShape
from .module import FIRST_LOG_VARIANCE, AutoencoderModule, Side

_BEND = 0.5  # standard deviation of what the units of a first layer are given


@dataclass(frozen=True)
class DenseAutoencoder(DenseShape):
    """Description of a dense autoencoder; holds no parameters. See `DenseShape` for them."""

    def start(self, theta, generator, spread=None):
        """Write random weights into `theta` (P,).

        Weights after Glorot & Bengio (2010), which keeps the variance of activations and
        gradients over layers; biases uniform within 1 / sqrt(inputs). With a linear path the
        last layer on each side starts at zero, so that the path alone speaks.

        What the first layer of a side reads, rows or codes, may be small or large beside that: a
        smooth activation is then a line, which adds nothing to the path, or a step, which learns
        rows by heart. With a `spread` its units begin where they bend: what they are given has
        the standard deviation 1/2, to which each code contributes as its variance does, and
        biases are uniform in [-1, 1]; both times the reach of the activation.

        Where weights are tied, a last layer of zeros is the decoder's first, too, and no gradient
        reaches either: at PCA nothing is gained by a change of codes alone. There the encoder's
        first layer is zero, which is the decoder's last, and the decoder learns at once.
        """
        tied, last = self.tied_weights and self.has_path, self.n_hidden
        reach = ACTIVATIONS[self.activation].reach
        silent: tuple[str, ...] = ()
        if self.linear_path:
            silent = "encoder.0" if tied else f"encoder.{last}", f"decoder.{last}"
        for name, view in self._views(theta).items():
            if name in silent:
                view.zero_()
                continue
            side, i = name.split(".")
            n_in, n_out = self.sides[side][int(i)], view.shape[1]
            # drawn in float32 on the CPU: the same start for every dtype and device
            draw = torch.empty(view.shape, dtype=torch.float32, device="cpu")
            draw.uniform_(-1, 1, generator=generator)
            glorot = math.sqrt(6.0 / (n_in + n_out))
            if tied and name == f"encoder.{last}":  # the decoder's first, transposed
                draw[:n_in] *= glorot if spread is None else reach * _bent(spread.codes)
                draw[n_in:] = 0.0
            elif spread is not None and i == "0":
                draw[-1] *= reach
                if not tied:
                    reads = spread.codes if side == "decoder" else spread.rows
                    draw[:-1] *= reach * _bent(reads)[:, None]
                if side == "encoder":
                    draw[-1] -= spread.mean @ draw[:-1].to(spread.mean)
            else:
                draw[:-1] *= glorot
                draw[-1] *= n_in**-0.5
            view.copy_(draw)
        if self.variational and not self.linear_path:
            block = self._views(theta)[f"encoder.{self.n_hidden}"]
            block[-1, self.n_components :] = FIRST_LOG_VARIANCE

    def start_path(self, theta, encode, shift, decode, bias):
        """Set the affine maps x encode + shift and h decode + bias in a started `theta` (P,)."""
        views, last = self._views(theta), self.n_hidden
        block = views[f"encoder.{last}"]
        block[-1 - len(encode) : -1], block[-1] = encode, shift
        block = views[f"decoder.{last}"]
        if not self.tied_weights:
            block[-1 - len(decode) : -1] = decode
            block[-1] = bias
            return
        block[0] = bias
        if self.n_hidden:  # what the rest of the encoder says to a row, whatever the row
            encoder = self.module(theta).encoder
            said = encoder.network(theta.new_zeros(1, self.n_features))[0] - shift
            views[f"encoder.{last}"][-1] -= said

    def module(self, theta, mean=None, scale=None):
        """A plain module with copies of `theta` (P,), `mean` and `scale`, in eval mode."""
        if self.tied_weights:  # where a layer refers to another
            return self.joined(*self._built(self._views(theta)), mean, scale)
        pattern, places = _pattern(self)
        begin = theta.storage_offset()
        values = {
            parameter: theta.as_strided(size, stride, begin + offset).clone()
            for parameter, size, stride, offset in places
        }
        module = patterned(pattern, values)
        for name, value in (("mean", mean), ("scale", scale)):
            module._buffers[name] = None if value is None else value.clone()
        return module

    def bound(self, theta: Tensor, grad: Tensor | None) -> AutoencoderModule:
        """The module whose parameters are views of `theta` (P,), and their `grad` of `grad`."""
        module = self.joined(*self._built(self._views(theta), self.dropout > 0), None, None)
        placed = self._placed(module, theta)
        gradients = placed if grad is None else self._placed(module, grad)
        for (parameter, view), (_, d_view) in zip(placed, gradients, strict=True):
            parameter.data = view
            if grad is not None:
                parameter.grad = d_view
        return module

    def module_from(self, weights):
        """The module whose ``state_dict`` is `weights`."""
        some = next(value for name, value in weights.items() if name.endswith("weight"))
        module = self.module(
            some.new_zeros(self.layout.size), weights.get("mean"), weights.get("scale")
        )
        module.load_state_dict(weights)
        return module

    def pack(self, module, theta):
        """Write the parameters of `module` into `theta` (P,): the inverse of `module`."""
        for parameter, view in self._placed(module, theta):
            view.copy_(parameter.detach())

    def passes(self, theta, grad, n_rows, *, linear_output, penalty=None):
        """Hand-written ones, but where the penalty is one of the Jacobian: by autograd."""
        how = {"linear_output": linear_output, "penalty": penalty}
        if penalty is not None and penalty.of_jacobian:
            return ModulePasses(self, theta, grad, n_rows, **how)
        return DensePasses(self, theta, grad, n_rows, **how)

    def compiles(self, *, linear_output, penalty=None):
        """Whether kernels know all activations, and nobody asks for the Jacobian."""
        names = [self.activation, self.code_activation]
        if not linear_output:
            names.append(self.output_activation)
        return CompiledOperations.knows(*names) and not (penalty and penalty.of_jacobian)

    def compiled_passes(self, theta, grad, n_rows, *, linear_output, penalty=None):
        """Hand-written ones of compiled operations."""
        how = {"linear_output": linear_output, "penalty": penalty}
        return DensePasses(self, theta, grad, n_rows, operations=CompiledOperations(), **how)

    def _built(self, views: dict[str, Tensor], dropout: bool = False) -> tuple[Side, Side]:
        """Encoder and decoder with copies of the blocks, and places for masks of dropout."""
        ends = {"encoder": self.code_activation, "decoder": self.output_activation}
        sides: list[Side] = []
        for side, activation in ends.items():
            layers: list[nn.Module] = []
            path = None
            for i, width in enumerate(self.sides[side][:-1]):
                block = views[f"{side}.{i}"]
                if self.tied_weights and sides:
                    of = self._linears(sides[0])[self.n_hidden - i]
                    layers.append(TransposedLinear(of, width, nn.Parameter(block[-1].clone())))
                else:
                    layers.append(linear_from(block[:width], block[-1]))
                if i < self.n_hidden:
                    layers.append(ACTIVATIONS[self.activation].module())
                    layers += [KeyedDropout(self.dropout)] * dropout
            if self.has_path:
                if self.tied_weights and sides:
                    path = TransposedLinear(sides[0].path, self.n_components, None)
                else:
                    path = linear_from(block[width:-1])
            sides.append(Side(nn.Sequential(*layers), path, OUTPUTS[activation]()))
        return sides[0], sides[1]

    @staticmethod
    def _linears(side: Side) -> list[nn.Module]:
        """The layers of a side that hold parameters."""
        return [
            layer for layer in side.network if isinstance(layer, (nn.Linear, TransposedLinear))
        ]

    def _placed(self, module: AutoencoderModule, flat: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Each parameter of `module` with the view of `flat` (P,) where it belongs."""
        views, placed = self._views(flat), []
        for name, widths in self.sides.items():
            side = getattr(module, name)
            for i, (layer, width) in enumerate(zip(self._linears(side), widths, strict=False)):
                block = views[f"{name}.{i}"]
                if isinstance(layer, nn.Linear):
                    placed.append((layer.weight, block[:width].T))
                placed.append((layer.bias, block[-1]))
            if isinstance(side.path, nn.Linear):
                placed.append((side.path.weight, block[width:-1].T))
        return placed


def _bent(deviations: Tensor) -> Tensor:
    """What to multiply weights in [-1, 1] with for inputs of these standard deviations (inputs,).

    Numbers so small that training would hardly move their weights count as a thousandth.
    """
    largest = deviations.max()
    shares = deviations / largest
    gain = _BEND * 3**0.5 / shares.square().square().sum().sqrt() / largest.clamp_min(1e-3)
    return gain * shares


@functools.lru_cache(maxsize=16)
def _pattern(network: DenseAutoencoder) -> tuple[AutoencoderModule, list[tuple]]:
    """Its module without numbers, and where in theta (P,) they are: id, size, stride, offset."""
    theta = torch.empty(network.layout.size, device="meta")
    module = network.joined(*network._built(network._views(theta)), None, None)
    places = [
        (id(parameter), view.size(), view.stride(), view.storage_offset())
        for parameter, view in network._placed(module, theta)
    ]
    return module, places
