"""Autoencoders by torch's autograd, around the module that their description builds.

The parameters of the module are views of one row of theta, and their gradients of one of grad, so
that autograd adds the gradient of every parameter where it belongs: nothing is gathered, and a
solver's step stays one operation.

A parameter of the module is one block of theta, in the order in which its elements lie in memory.
Behind what is trained lies what is only carried along: frozen parameters, and buffers such as the
running means of batch normalisation. Their gradient is zero, so no solver moves them; being part
of theta, they are evaluated, restored and resumed with the weights they belong to.
"""

from __future__ import annotations

import math
import threading
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from functools import cached_property

import torch
from torch import Tensor, nn

from ..._core.noise import dropout_mask, mix
from .._layout import Layout
from .interface import AutoencoderNetwork, Passes
from .module import LOG_VARIANCES, AutoencoderModule, Side
from .penalties import Penalty

# A generator of torch's own, seeded by two threads at a time, would serve both of them wrongly.
_GENERATORS = threading.RLock()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the generators that modules on `device` draw from, and put them back afterwards."""
    generators = [torch.default_generator]
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        generators.append(torch.cuda.default_generators[index])
    with _GENERATORS:
        before = [generator.get_state() for generator in generators]
        try:
            for generator in generators:
                generator.manual_seed(seed)
            yield
        finally:
            for generator, state in zip(generators, before, strict=True):
                generator.set_state(state)


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


class ModuleNetwork(AutoencoderNetwork):
    """Description of an autoencoder that builds a module and leaves the rest to autograd.

    For frozen dataclasses: what is not a field is made when needed and not pickled.
    """

    def __getstate__(self):
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state):
        self.__dict__.update(state)

    @abstractmethod
    def fresh(self, device: torch.device | str) -> tuple[Side, Side]:
        """Encoder and decoder with memory of their own, whatever is in it."""

    @cached_property
    def template(self) -> AutoencoderModule:
        """A module to look at: names, shapes and strides are those of every other."""
        return self.joined(*self.fresh("meta"), None, None)

    @cached_property
    def carried(self) -> dict[str, Tensor]:
        """What has a place in theta, by its name in the module: trained parameters first."""
        parameters = dict(self.template.named_parameters())
        trained = {name: p for name, p in parameters.items() if p.requires_grad}
        return {**trained, **parameters}

    @cached_property
    def layout(self):
        """Where the block of each parameter lies in theta."""
        return Layout({name: (value.numel(),) for name, value in self.carried.items()})

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

    def places(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of `flat` (P,), each with shape and strides of what has its place there."""
        blocks = self.layout.views(flat[None])
        return {name: blocks[name][0].as_strided(*self._order[name]) for name in self.carried}

    @cached_property
    def _order(self) -> dict[str, tuple[torch.Size, tuple[int, ...]]]:
        """Shape and strides of what has a place in theta, without gaps or overlaps."""
        return {name: (v.shape, _packed_strides(v)) for name, v in self.carried.items()}

    def bound(self, theta: Tensor, grad: Tensor | None = None) -> AutoencoderModule:
        """The module whose parameters are views of `theta` (P,), and their `grad` of `grad`."""
        module = self._moved(theta)
        self._bind(module, self.places(theta))
        if grad is not None:
            gradients = self.places(grad)
            for name, parameter in module.named_parameters():
                if parameter.requires_grad:
                    parameter.grad = gradients[name]
        return module

    def _moved(self, theta: Tensor) -> AutoencoderModule:
        """A module of this network with the type and device of `theta`."""
        module = self.joined(*self.fresh(theta.device), None, None)
        return module.to(dtype=theta.dtype)

    def _bind(self, module: AutoencoderModule, places: dict[str, Tensor]) -> None:
        # by `data`: a parameter keeps its identity wherever it is shared, and its own count of
        # changes, so that autograd takes no change elsewhere in theta for one of this parameter
        for name, parameter in module.named_parameters():
            parameter.data = places[name]

    def module(self, theta, mean=None, scale=None):
        """A plain module with copies of `theta` (P,), `mean` and `scale`, in eval mode."""
        module = self._moved(theta)
        self._copy(self.places(theta), values(module))
        return self.joined(module.encoder, module.decoder, mean, scale)

    def module_from(self, weights):
        """The module whose ``state_dict`` is `weights`."""
        some = next(iter(self.carried))
        module = self._moved(weights[some])
        units = weights.get("mean"), weights.get("scale")
        module = self.joined(module.encoder, module.decoder, *units)
        module.load_state_dict(weights)
        return module

    def pack(self, module, theta):
        """Write the parameters of `module` into `theta` (P,): the inverse of `module`."""
        self._copy(values(module), self.places(theta))

    def _copy(self, source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name in self.carried:
                target[name].copy_(source[name])

    def passes(self, theta, grad, n_rows, *, linear_output, penalty=None):
        """By autograd, one model at a time."""
        return ModulePasses(
            self, theta, grad, n_rows, linear_output=linear_output, penalty=penalty
        )


def values(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of `module`, each once, by name."""
    named = [*module.named_parameters(), *module.named_buffers()]
    return {name: value.detach() for name, value in named}


def _packed_strides(value: Tensor) -> tuple[int, ...]:
    """Strides of a tensor without gaps whose axes lie in memory in the order of `value`."""
    strides, step = [1] * value.dim(), 1
    for axis in sorted(range(value.dim()), key=lambda i: (value.stride(i), -i)):
        strides[axis] = step
        step *= value.shape[axis]
    return tuple(strides)
