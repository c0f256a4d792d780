"""Autoencoders made of the user's own modules."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from .._activations import OUTPUTS
from .._carried import (
    Buffers,
    MadeByUser,
    rest_normalisations,
    seeded,
    single_precision,
    values_of,
)
from .autograd import ModuleNetwork, ModulePasses
from .module import AutoencoderModule, Side

Factory = Callable[[int, int], tuple[nn.Module, nn.Module]]


class OwnSide(Side):
    """Encoder or decoder around a user's module, which may change what it is given in place."""

    def before(self, x: Tensor) -> Tensor:
        return super().before(x.clone())


@dataclass(frozen=True)
class CustomAutoencoder(MadeByUser, ModuleNetwork):
    """Description of an autoencoder whose encoder and decoder a user's function makes.

    Parameters
    ----------
    factory : callable
        ``factory(n_features, n_components)`` returns two `torch.nn.Module`: an encoder from rows
        (n, F) to codes (n, C), or to (n, 2 C), means and log-variances, if `variational`; and a
        decoder from codes (n, C) to rows (n, F). Both come before the activations below. It must
        make the same network every time but for the random numbers in it, which it draws from
        torch's default generator: this is seeded, and put back.
    n_features, n_components : int
        F and C.
    code_activation, output_activation : str
        Keys of `OUTPUTS`, applied to what the modules return.
    variational : bool
        Whether the encoder gives means and log-variances, not codes.

    Notes
    -----
    Buffers of floating point numbers, and counters (whole numbers without an axis), are trained
    state as parameters are. Other buffers are taken for constants: they are as the factory makes
    them from a fixed seed, and so is everything random that is neither parameter nor buffer.

    Examples
    --------
    >>> import torch
    >>> from skaernn.networks import CustomAutoencoder
    >>> def pair(n_features, n_components):
    ...     encoder = torch.nn.Linear(n_features, n_components)
    ...     return encoder, torch.nn.Linear(n_components, n_features)
    >>> network = CustomAutoencoder(pair, n_features=4, n_components=2)
    >>> theta = torch.zeros(network.layout.size)
    >>> network.start(theta, torch.Generator().manual_seed(0))
    >>> network.module(theta).encode(torch.ones(3, 4)).shape
    torch.Size([3, 2])
    """

    factory: Factory
    n_features: int
    n_components: int
    code_activation: str = "identity"
    output_activation: str = "identity"
    variational: bool = False

    draws = True

    @classmethod
    def refusal(cls, given):
        """See `AutoencoderNetwork`."""
        reasons = {
            "linear_path": "its layers are not known to start at zero",
            "tied_weights": "its layers are not known to mirror each other",
            "dropout": "put torch.nn.Dropout into its modules instead",
        }
        for name, reason in reasons.items():
            if given[name] not in (False, "auto"):  # 0.0 is one of them
                return (
                    f"{name}={given[name]!r} is not possible with an architecture of your own: "
                    f"{reason}."
                )
        return super().refusal(given)

    @cached_property
    def template(self):
        """See `ModuleNetwork`; here with constants that every other takes over."""
        return self._made(0)

    def fresh(self, device):
        """See `ModuleNetwork`."""
        module = copy.deepcopy(self.template).to(device)
        return module.encoder, module.decoder

    def start(self, theta, generator, spread=None):
        """Write into `theta` (P,) what the factory makes."""
        seed = int(torch.randint(1 << 62, (), generator=generator, device="cpu"))
        module = self._made(seed)
        made, known = values_of(module), self.carried
        if made.keys() != values_of(self.template).keys() or any(
            made[name].shape != known[name].shape for name in known
        ):
            raise ValueError("The factory must make networks of the same shapes every time.")
        self.pack(module, theta)

    @cached_property
    def largest_product(self):
        """Multiplications per row in the largest product of a pass, as far as layers tell."""
        sizes = [super().largest_product]

        def note(layer: nn.Module, inputs: tuple, output: Tensor) -> None:
            # one of these numbers, times what it is multiplied by
            many = inputs[0] if getattr(layer, "transposed", False) else output
            sizes.append(many.numel() * layer.weight[0].numel())

        cpu = torch.device("cpu")
        module = copy.deepcopy(self.template)
        for layer in module.modules():
            if isinstance(layer, (nn.Linear, nn.modules.conv._ConvNd)):
                layer.register_forward_hook(note)
        row = torch.zeros(1, self.n_features, dtype=module.dtype)
        with torch.no_grad(), seeded(0, cpu), cpu:
            module(row)
        return max(sizes)

    def with_dropout(self, rate):
        """See `AutoencoderNetwork`: what a user's module drops is its own affair."""
        return self

    def start_path(self, theta, encode, shift, decode, bias):
        """Not for the user's own modules, which have no path."""
        raise TypeError("A network of the user's own has no linear path.")

    def passes(self, theta, grad, n_rows, *, linear_output, penalty=None):
        """By autograd, one model at a time."""
        return _StatefulPasses(
            self, theta, grad, n_rows, linear_output=linear_output, penalty=penalty
        )

    def _made(self, seed: int) -> AutoencoderModule:
        """A new module by the factory, in eval mode."""
        cpu = torch.device("cpu")
        with torch.inference_mode(False), seeded(seed, cpu), single_precision(), cpu:
            pair = self.factory(self.n_features, self.n_components)
            encoder, decoder = _two_modules(pair)
            encoded = "means and log-variances of n_components" if self.variational else "codes"
            _try("encoder", encoder, self.n_features, self.n_encoded, encoded)
            _try("decoder", decoder, self.n_components, self.n_features, "rows")
        return self.joined(
            OwnSide(encoder, None, OUTPUTS[self.code_activation]()),
            OwnSide(decoder, None, OUTPUTS[self.output_activation]()),
            None,
            None,
        )


class _StatefulPasses(ModulePasses):
    """Passes of a module with buffers that training changes."""

    def __init__(self, network: CustomAutoencoder, theta: Tensor, *arguments, **options):
        super().__init__(network, theta, *arguments, **options)
        if len(self.x[0]) == 1:  # one row has no variance: the running ones serve
            rest_normalisations(self.module)
        self._buffers = Buffers(network, self.module, theta)

    def forward(self):
        self._buffers.begin()
        super().forward()

    def backward(self):
        super().backward()
        self._buffers.keep()


def _two_modules(pair: object) -> tuple[nn.Module, nn.Module]:
    wanted = (
        "The factory must return two torch.nn.Module, an encoder from n_features to n_components "
        "and a decoder back; it returned"
    )
    if not isinstance(pair, (tuple, list)):
        raise TypeError(f"{wanted} {type(pair).__name__}.")
    if len(pair) != 2:
        raise ValueError(f"{wanted} {len(pair)} things.")
    for module in pair:
        if not isinstance(module, nn.Module):
            raise TypeError(f"{wanted} {' and '.join(type(thing).__name__ for thing in pair)}.")
    return pair[0], pair[1]


def _try(what: str, module: nn.Module, n_in: int, n_out: int, meaning: str) -> None:
    """Let a module have two rows; one that is lazy then has its shapes."""
    types = [p.dtype for p in module.parameters() if p.is_floating_point()]
    rows = torch.zeros(2, n_in, dtype=types[0] if types else None)
    wanted = f"the {what} must turn rows of {n_in} numbers into {n_out}, the {meaning}"
    try:
        with torch.no_grad():
            answer = module.eval()(rows)
    except Exception as error:
        raise ValueError(
            f"The {what} that the factory returned failed on an array of shape (2, {n_in}) "
            f"({error}); {wanted}."
        ) from error
    if not isinstance(answer, Tensor):
        raise TypeError(
            f"The {what} that the factory returned gives {type(answer).__name__}, not a tensor; "
            f"{wanted}."
        )
    if answer.shape != (2, n_out):
        raise ValueError(
            f"The {what} that the factory returned gives an array of shape {tuple(answer.shape)} "
            f"for two rows; {wanted}."
        )
