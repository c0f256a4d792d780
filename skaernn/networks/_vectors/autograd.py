"""Autoencoders by torch's autograd, around the module that their description builds.

The parameters of the module are views of one row of theta, and their gradients of one of grad, so
that autograd adds the gradient of every parameter where it belongs: nothing is gathered, and a
solver's step stays one operation.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from contextlib import nullcontext
from functools import cached_property

import torch
from torch import Tensor, nn

from ..._core.noise import dropout_mask, mix
from .._carried import ModuleDescription, seeded, values_of
from .interface import AutoencoderNetwork, Passes
from .module import LOG_VARIANCES, AutoencoderModule, Side
from .penalties import Penalty


class KeyedDropout(nn.Module):
    """Dropout in training as a function of the content of rows; the identity without keys.

    Parameters
    ----------
    rate : float
        Probability of dropping a unit. Of images, (B, C, H, W), a unit is one number.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate
        self._keys: tuple[Tensor, int] | None = None
        self._mask: Tensor | None = None

    def extra_repr(self) -> str:
        return f"rate={self.rate}"

    def draw(self, keys: Tensor, salt: int) -> None:
        """Drop other units from now on: a function of `salt` and of `keys` (B,)."""
        self._keys, self._mask = (keys, salt), None

    def forward(self, x: Tensor) -> Tensor:
        if self._keys is None or not self.training:
            return x
        if self._mask is None:
            self._mask = dropout_mask(*self._keys, x[0].numel(), self.rate, x.dtype)
            if x.dim() == 4:  # channels last, as images lie in memory here
                n, channels, height, width = x.shape
                images = self._mask.view(n, height, width, channels)
                self._mask = images.permute(0, 3, 1, 2)
        return x * self._mask


class ModulePasses(Passes):
    """Passes of one autoencoder over batches of one size, by autograd.

    Passes with `grad` train: the module is in training mode, dropout drops. Those without only
    evaluate.

    Parameters
    ----------
    network : AutoencoderNetwork
        With a method ``bound(theta, grad)`` that gives a module whose parameters are views of
        `theta` (P,), and their gradients of `grad` (P,) or None.
    theta, grad : Tensor of shape (1, P)
        Looked into, not copied. Without `grad` there is no `backward`.
    n_rows : int
        Rows B of a batch.
    linear_output : bool
        Leave out `output_activation`, for a loss defined on what comes before it.
    penalty : Penalty or None
        What else there is a gradient from.

    See `Passes` for the attributes.
    """

    def __init__(
        self,
        network: AutoencoderNetwork,
        theta: Tensor,
        grad: Tensor | None,
        n_rows: int,
        *,
        linear_output: bool = False,
        penalty: Penalty | None = None,
    ):
        if len(theta) != 1:
            raise ValueError(f"Autograd trains one model at a time, not {len(theta)}.")
        self.network = network
        self._grad, self._linear_output = grad, linear_output
        self.module = network.bound(theta[0], None if grad is None else grad[0])
        self.module.train(grad is not None)
        self._dropouts = [m for m in self.module.modules() if isinstance(m, KeyedDropout)]
        self._differentiates = penalty is not None and penalty.of_jacobian
        self._seed = 0
        self._roots: list[tuple[Tensor, Tensor | None]] = []
        self._x: Tensor | None = None

        def buffer(width: int) -> Tensor:
            return theta.new_zeros(1, n_rows, width)

        self.x, self.output, self.delta = (buffer(network.n_features) for _ in range(3))
        self.encoded, self.d_encoded = buffer(network.n_encoded), buffer(network.n_encoded)
        if network.variational:
            self.noise = buffer(network.n_components)

    def forward(self) -> None:
        """From `x` to `output`."""
        trains, decoder = self._grad is not None, self.module.decoder
        self._x = self.x[0].detach()  # a tensor of its own, which may want a gradient
        draws = seeded(self._seed, self._x.device) if self.network.draws else nullcontext()
        with draws:
            with torch.set_grad_enabled(trains or self._differentiates):
                encoded = self.module.encoder(self._x.requires_grad_(self._differentiates))
            with torch.set_grad_enabled(trains):
                output = decoder.before(self._drawn(encoded))
                if not self._linear_output:
                    output = decoder.activation(output)
        self._roots = [(output, self.delta[0]), (encoded, self.d_encoded[0])]
        self.output[0].copy_(output.detach())
        self.encoded[0].copy_(encoded.detach())

    def _drawn(self, encoded: Tensor) -> Tensor:
        """Codes (B, C) from what the encoder gives, (B, E)."""
        if self.noise is None:
            return encoded
        mean, log_variance = encoded.chunk(2, dim=-1)
        deviation = (0.5 * log_variance.clamp(*LOG_VARIANCES)).exp()
        return mean + deviation * self.noise[0]

    def backward(self) -> None:
        """From `delta` and `d_encoded` to the gradient of every parameter, overwritten."""
        self._grad.zero_()  # autograd adds, in place
        # Frozen parts of a module have no gradient to go back to. From one number: given others,
        # torch imports sympy first, and an interrupt there would break it for good.
        with torch.enable_grad():
            roots = [
                root if gradient is None else (root * gradient).sum()
                for root, gradient in self._roots
                if root.requires_grad
            ]
            total = sum(roots)
        self._roots = []  # the graph is used up
        if roots:
            trained = [p for p in self.module.parameters() if p.requires_grad]
            total.backward(inputs=trained)

    def draw_masks(self, keys: Tensor, seed: int, epoch: int) -> None:
        """New dropout masks for the rows whose content hashes are `keys` (B,).

        What a module of the user's draws by itself from torch's generators is a function of the
        set of rows, and of their order.
        """
        for i, layer in enumerate(self._dropouts):
            layer.draw(keys, mix(seed, epoch, i))
        if self.network.draws:
            self._seed = mix(seed, epoch, int(keys.sum()))

    def contract(self, strength: float, weight: Tensor | None) -> Tensor:
        """Value (1,) of the contractive penalty after `forward`; `backward` minds its gradient.

        strength * sum over rows of weight * |dh/dx|^2 (Rifai, Vincent, Muller, Glorot & Bengio
        2011), h the code or its mean, exactly: one gradient a component. Rows must not see each
        other, as they do in batch normalisation.
        """
        trains, encoded = self._grad is not None, self._roots[1][0]
        value = encoded.new_zeros(())
        with torch.enable_grad():
            code = encoded[:, : self.network.n_components]
            for total in code.sum(0).unbind() if code.requires_grad else ():
                (slope,) = torch.autograd.grad(
                    total, self._x, create_graph=trains, retain_graph=True
                )
                square = slope.square().sum(1, keepdim=True)  # (B, 1)
                value = value + (square if weight is None else square * weight).sum()
            value = strength * value
        if trains:
            self._roots.append((value, None))
        return value.detach()[None]


class ModuleNetwork(ModuleDescription, AutoencoderNetwork):
    """Description of an autoencoder that builds a module and leaves the rest to autograd."""

    @abstractmethod
    def fresh(self, device: torch.device | str) -> tuple[Side, Side]:
        """Encoder and decoder with memory of their own, whatever is in it."""

    @cached_property
    def template(self) -> AutoencoderModule:
        """A module to look at: names, shapes and strides are those of every other."""
        return self.joined(*self.fresh("meta"), None, None)

    @property
    def penalised(self):
        """Mask (P,): 1 for the trained weights of both networks, 0 for everything else."""
        mask = torch.zeros(self.layout.size, device="cpu")
        for name, block in self.places(mask).items():
            value = self.carried[name]
            _, part, *_ = name.split(".")
            if value.requires_grad and value.dim() >= 2 and part == "network":
                block.fill_(1)
        return mask

    @property
    def largest_product(self):
        """Multiplications per row in the largest product of a pass."""
        return max(math.prod(value.shape) for value in self.carried.values())

    def _moved(self, theta: Tensor) -> AutoencoderModule:
        """A module of this network with the type and device of `theta`."""
        module = self.joined(*self.fresh(theta.device), None, None)
        return module.to(dtype=theta.dtype)

    def module(self, theta, mean=None, scale=None):
        """A plain module with copies of `theta` (P,), `mean` and `scale`, in eval mode."""
        module = self._moved(theta)
        self._copy(self.places(theta), values_of(module))
        return self.joined(module.encoder, module.decoder, mean, scale)

    def module_from(self, weights):
        """The module whose ``state_dict`` is `weights`."""
        some = next(iter(self.carried))
        module = self._moved(weights[some])
        units = weights.get("mean"), weights.get("scale")
        module = self.joined(module.encoder, module.decoder, *units)
        module.load_state_dict(weights)
        return module

    def passes(self, theta, grad, n_rows, *, linear_output, penalty=None):
        """By autograd, one model at a time."""
        return ModulePasses(
            self, theta, grad, n_rows, linear_output=linear_output, penalty=penalty
        )
