"""Networks of sequences around a user's own module, by torch's autograd."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ..._core.noise import dropout_mask, mix
from .._activations import OUTPUTS
from .._carried import (
    Buffers,
    MadeByUser,
    rest_normalisations,
    seeded,
    single_precision,
    values_of,
)
from .._linear import linear_from
from .cells import start_weights
from .module import CONSTANTS, RecurrentModule
from .network import RecurrentNetwork
from .packing import Packing
from .passes import STEP
from .pooling import EVERY_STEP, POOLINGS, Pooling
from .shape import POOLED, WINDOW

Factory = Callable[[int, int], nn.Module]
_INNER = 8  # numbers that a module is taken to make of a step, for each that it gives


class OwnLayers(nn.Module):
    """A user's module with the interface of torch's recurrent layers for packed sequences.

    Parameters
    ----------
    own : nn.Module
        From (x, lengths), x (n, T, C) zero beyond `lengths` (n,), to (n, T, H).
    hidden_size : int
        H.
    """

    num_layers, bidirectional = 1, False

    def __init__(self, own: nn.Module, hidden_size: int):
        super().__init__()
        self.own, self.hidden_size = own, hidden_size

    def forward(self, packed: PackedSequence, state: None = None) -> tuple[PackedSequence, Tensor]:
        """Outputs, packed as the input is, and those of the last steps (1, n, H)."""
        x, lengths = pad_packed_sequence(packed, batch_first=True)
        h = self.own(x, lengths.to(x.device))
        final = h[torch.arange(len(h), device=h.device), lengths.to(h.device) - 1]
        return pack_padded_sequence(h, lengths, batch_first=True, enforce_sorted=False), final[
            None
        ]


@dataclass(frozen=True)
class OwnRecurrentNetwork(MadeByUser):
    """Description of a network of sequences whose layers a user's function makes.

    Parameters
    ----------
    factory : callable
        ``factory(n_inputs, hidden_size)`` returns a `torch.nn.Module` that maps ``(x, lengths)``,
        x (B, T, C) padded with zeros and lengths (B,), to (B, T, H). What it gives beyond
        `lengths` is not read. It must make the same network every time but for the random numbers
        in it, which it draws from torch's default generator: this is seeded, and put back.
    n_inputs, hidden_size, n_outputs, pooling, input_skip, output_activation, dropout, \
    linear_path, path_rank
        As of `RecurrentNetwork`; dropout acts on what the output reads.
    """

    factory: Factory
    n_inputs: int
    hidden_size: int
    n_outputs: int
    pooling: str | None = "last"
    input_skip: bool = True
    output_activation: str = "identity"
    dropout: float = 0.0
    linear_path: str | None = None
    path_rank: int = 0

    draws = True
    stateless = "a cell of your own, which need not have one"
    state_widths = ()
    count_columns = ()

    @property
    def n_hidden(self) -> int:
        """Width of the output of the layers."""
        return self.hidden_size

    @property
    def n_pooled(self) -> int:
        """Width of what the output layer reads."""
        return self.hidden_size + (self.n_inputs if self.input_skip else 0)

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers of a step in the input, in the layers and in the output."""
        return self.n_inputs, self.hidden_size, self.n_outputs

    @property
    def states_per_step(self) -> int:
        """Numbers that the layers may make of a step."""
        return _INNER * self.hidden_size

    @property
    def numbers_per_step(self) -> int:
        """Numbers held of each step in a pass and its way back: input and output, at least."""
        outputs = 2 * self.n_outputs * (self.pooling is None)
        return 2 * self.n_inputs + self.hidden_size + outputs

    @property
    def numbers_per_row(self) -> int:
        """The same of each sequence, whatever its length."""
        return 2 * self.n_outputs * (self.pooling is not None)

    @property
    def largest_product(self) -> int:
        """Multiplications per row in the largest product of a step, as far as weights tell."""
        return max(math.prod(value.shape) for value in self.carried.values())

    @property
    def pool(self) -> Pooling:
        """How steps become vectors."""
        return EVERY_STEP if self.pooling is None else POOLINGS[self.pooling]

    @property
    def reads_window(self) -> bool:
        """Whether the output reads every step by its place."""
        return self.linear_path == WINDOW

    @property
    def penalised(self) -> Tensor:
        """Mask (P,): 1 for trained weights, else 0: biases, linear path, what is only carried."""
        mask = torch.zeros(self.layout.size, device="cpu")
        places = self.places(mask)
        for name, block in places.items():
            block.fill_(self.carried[name].requires_grad and self.carried[name].dim() >= 2)
        first = self.n_hidden if self.linear_path == POOLED else self.n_pooled
        places["output.weight"][:, first:] = 0
        return mask

    @property
    def shrunk(self) -> Tensor:
        """See `RecurrentShape`."""
        mask, last = self.penalised, self.n_pooled + self.path_rank
        self.places(mask)["output.weight"][:, self.n_pooled : last] = 1
        return mask

    @cached_property
    def template(self) -> RecurrentModule:
        """See `ModuleDescription`; here with constants that every other takes over."""
        return self._made(0)

    def with_dropout(self, rate: float) -> OwnRecurrentNetwork:
        """The same network with another rate of dropout."""
        return self if rate == self.dropout else replace(self, dropout=rate)

    def start(self, theta: Tensor, generator: torch.Generator, bias: Tensor | float = 0.0) -> None:
        """Write into `theta` (P,) what the factory makes; the output starts at `bias` (O,)."""
        seed = int(torch.randint(1 << 62, (), generator=generator, device="cpu"))
        module = self._made(seed)
        made, known = values_of(module), self.carried
        if made.keys() != values_of(self.template).keys() or any(
            made[name].shape != known[name].shape for name in known
        ):
            raise ValueError("The factory must make networks of the same shapes every time.")
        self.pack(module, theta)
        self.places(theta)["output.bias"].copy_(torch.as_tensor(bias))

    def start_output(self, theta: Tensor, generator: torch.Generator) -> None:
        """Random weights for the output, which else starts at zero."""
        start_weights(self.places(theta)["output.weight"].T, generator)

    def start_path(self, theta: Tensor, weight: Tensor) -> None:
        """See `RecurrentNetwork`."""
        places = self.places(theta)
        places["output.weight"][:, self.n_hidden : self.n_pooled] = weight[:-1].T
        places["output.bias"].copy_(weight[-1])

    def module(self, theta: Tensor, **constants: Tensor | None) -> RecurrentModule:
        """A plain module with copies of `theta` (P,) and of constants, in eval mode."""
        module = self._moved(theta)
        self._copy(self.places(theta), values_of(module))
        constants = {name: None if v is None else v.clone() for name, v in constants.items()}
        for name, value in constants.items():
            module.register_buffer(name, value)
        return module.eval()

    def module_from(self, weights: dict[str, Tensor]) -> RecurrentModule:
        """The module whose ``state_dict`` is `weights`."""
        theta = weights["output.weight"].new_zeros(self.layout.size)
        module = self.module(theta, **{name: weights.get(name) for name in CONSTANTS})
        module.load_state_dict(weights)
        return module

    def bound(self, theta: Tensor, grad: Tensor | None = None):
        """Views of parameters and gradients (P,) or (1, P) for `passes`."""
        if theta.dim() == 1:
            return super().bound(theta, grad)
        return OwnBound(self, theta, grad)

    def passes(self, bound: OwnBound, packing: Packing, **how: bool) -> OwnPasses:
        """Forward and backward passes over batches of a packing; see `RecurrentPasses`."""
        return OwnPasses(self, bound, packing, **how)

    def compiled(self, functions: object, module: RecurrentModule) -> None:
        """Nothing: kernels do not know the user's own layers."""

    def stepper(self, module: RecurrentModule) -> OwnStepper:
        """What runs a fitted module."""
        return OwnStepper(module)

    def _moved(self, theta: Tensor) -> RecurrentModule:
        return copy.deepcopy(self.template).to(theta.device).to(dtype=theta.dtype)

    def _made(self, seed: int) -> RecurrentModule:
        """A new module by the factory, in eval mode."""
        cpu = torch.device("cpu")
        with torch.inference_mode(False), seeded(seed, cpu), single_precision(), cpu:
            own = self.factory(self.n_inputs, self.hidden_size)
            _try(own, self.n_inputs, self.hidden_size)
            shapes = self.pool.shapes(self.n_hidden)
            return RecurrentModule(
                OwnLayers(own, self.hidden_size),
                self.pool.built({name: torch.zeros(shape) for name, shape in shapes.items()}),
                linear_from(
                    torch.zeros(self.n_pooled + self.path_rank, self.n_outputs),
                    torch.zeros(self.n_outputs),
                ),
                OUTPUTS[self.output_activation](),
                input_skip=self.input_skip,
            ).eval()


class OwnBound:
    """The module whose parameters are views of `theta` (1, P), their gradients of `grad`."""

    def __init__(self, network: OwnRecurrentNetwork, theta: Tensor, grad: Tensor | None):
        self.theta, self.grad = theta, grad
        self.module = network.bound(theta[0], None if grad is None else grad[0])
        self.module.train(grad is not None)
        self.buffers = Buffers(network, self.module, theta)


class OwnPasses:
    """Passes of an `OwnRecurrentNetwork` over batches of one packing, by autograd.

    Those with a gradient train: the module is in training mode. See `RecurrentPasses` for the
    attributes.
    """

    def __init__(
        self,
        network: OwnRecurrentNetwork,
        bound: OwnBound,
        packing: Packing,
        *,
        linear_output: bool = False,
        input_gradient: bool = False,
    ):
        self.network, self.packing, self._bound = network, packing, bound
        self.d_x = None
        self._linear_output = linear_output
        theta = bound.theta
        self.x = theta.new_empty(packing.size, network.n_inputs)
        n = packing.size if network.pooling is None else packing.n_rows
        self.output = theta.new_empty(1, n, network.n_outputs)
        self.delta = torch.empty_like(self.output)
        if input_gradient and bound.grad is not None:
            self.d_x = torch.empty_like(self.x)
        self._places = packing.positions(theta.device)
        self._lengths = packing.lengths(theta.device)
        steps = torch.arange(packing.n_steps, device=theta.device)
        self._valid = steps < self._lengths[:, None]
        self._mask: Tensor | None = None
        self._path: Tensor | None = None
        self._seed = 0

    def forward(self) -> None:
        """From `x` to `output`."""
        packing, module = self.packing, self._bound.module
        trains = self._bound.grad is not None
        self._bound.buffers.begin()
        if packing.size == 1 and trains:  # one step has no variance: the running ones serve
            rest_normalisations(module)
        x = self.x.new_zeros(packing.n_rows, packing.n_steps, self.x.shape[1])
        x[self._places] = self.x
        self._padded = x.requires_grad_(self.d_x is not None)
        with (
            seeded(self._seed, x.device) if trains else nullcontext(),
            torch.set_grad_enabled(trains),
        ):
            h = module.layers.own(x, self._lengths)
            final = h[torch.arange(len(h), device=h.device), self._lengths - 1]
            read = module.read(h, x, self._valid, final)
            if self.network.pooling is None:
                read = read[self._places]
            if self._mask is not None:
                width = self.network.n_hidden
                read = torch.cat([read[:, :width] * self._mask, read[:, width:]], dim=1)
            if self._path is not None:
                read = torch.cat([read, self._path[:, : self.network.path_rank]], dim=1)
            self._result = module.output(read)
            if self._path is not None:
                self._result = self._result + self._path[:, self.network.path_rank :]
            if not self._linear_output:
                self._result = module.activation(self._result)
        self.output[0].copy_(self._result.detach())

    def backward(self) -> None:
        """From `delta` to the gradient of every parameter, which is overwritten."""
        self._bound.grad.zero_()  # autograd adds, in place
        # From one number: given others, torch imports sympy first, and an interrupt there would
        # break it for good.
        with torch.enable_grad():
            total = (self._result * self.delta[0]).sum()
        del self._result
        inputs = [p for p in self._bound.module.parameters() if p.requires_grad]
        total.backward(inputs=inputs if self.d_x is None else [*inputs, self._padded])
        if self.d_x is not None:
            d_x = self._padded.grad  # None: the module does not look at what it is given
            self.d_x.copy_(self.d_x.new_zeros(()) if d_x is None else d_x[self._places])
            del self._padded
        self._bound.buffers.keep()

    def set_path(self, path: Tensor) -> None:
        """See `RecurrentPasses`."""
        self._path = path

    def draw_masks(self, keys: Tensor, seed: int, epoch: int) -> None:
        """New dropout masks for the sequences whose content hashes are `keys` (B,).

        What a module of the user's draws by itself from torch's generators is a function of the
        set of sequences, and of their order.
        """
        self._seed = mix(seed, epoch, int(keys.sum()))
        if self.network.dropout and self._bound.grad is not None:
            row, t = self._places
            of_outputs = keys[row] + t * STEP if self.network.pooling is None else keys
            how = self.network.n_hidden, self.network.dropout, self.x.dtype
            self._mask = dropout_mask(of_outputs, mix(seed, epoch, 0), *how)


class OwnStepper:
    """A fitted module on groups of R whole sequences; see `Stepper`."""

    def __init__(self, module: RecurrentModule):
        self._module = module

    def run(self, x: Tensor, lengths: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (R, O) or, one a step, (T, R, O), and no states, (R, 0)."""
        # rows that only fill up have a step of zeros: modules know no sequences of none
        output = self._module.answers(x.transpose(0, 1), lengths.clamp_min(1))
        return output.transpose(0, 1) if output.dim() == 3 else output, state


def recurrent_network(
    cell: str | Callable[[int, int], nn.Module],
    n_inputs: int,
    hidden_size: int,
    n_outputs: int,
    *,
    n_layers: int = 1,
    bidirectional: bool = False,
    activation: str = "tanh",
    **others: Any,
) -> RecurrentNetwork | OwnRecurrentNetwork:
    """The network around a cell that has a name, or around a user's own module."""
    if callable(cell):
        return OwnRecurrentNetwork(cell, n_inputs, hidden_size, n_outputs, **others)
    layers = {"n_layers": n_layers, "bidirectional": bidirectional, "activation": activation}
    return RecurrentNetwork(n_inputs, hidden_size, n_outputs, cell=cell, **layers, **others)


def _try(own: object, n_inputs: int, hidden_size: int) -> None:
    """Let a module have two short sequences; one that is lazy then has its shapes."""
    if not isinstance(own, nn.Module):
        raise TypeError(
            "cell(n_inputs, hidden_size) must return a torch.nn.Module that maps (x, lengths) to "
            f"(n, T, hidden_size); it returned {type(own).__name__}."
        )
    types = [p.dtype for p in own.parameters() if p.is_floating_point()]
    x = torch.zeros(2, 3, n_inputs, dtype=types[0] if types else None)
    wanted = (
        f"it must map x of shape (n, T, {n_inputs}) and lengths of shape (n,) to (n, T, "
        f"{hidden_size})"
    )
    try:
        with torch.no_grad():
            answer = own.eval()(x, torch.tensor([3, 2]))
    except Exception as error:
        raise ValueError(
            f"The module that cell returned failed on x of shape (2, 3, {n_inputs}) and lengths "
            f"[3, 2] ({error}); {wanted}."
        ) from error
    if not isinstance(answer, Tensor):
        raise TypeError(
            f"The module that cell returned gives {type(answer).__name__}, not a tensor; {wanted}."
        )
    if answer.shape != (2, 3, hidden_size):
        raise ValueError(
            f"The module that cell returned gives an array of shape {tuple(answer.shape)} for x "
            f"of shape (2, 3, {n_inputs}); {wanted}."
        )
