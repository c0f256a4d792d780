"""Description of a recurrent network: where its parameters lie, how they start, what they become.

A stack of recurrent layers, in one direction or both, a pooling over steps, and the output

    o = f_o(h W_ho + x W_xo + b_o)

for the pooled h and x (or for those of every step).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ._cells import CELLS, Cell
from ._layout import Layout
from ._modules import linear_from, with_memory
from ._packing import Packing
from ._pooling import EVERY_STEP, POOLINGS, Pooling
from ._recurrent_module import OUTPUTS, UNITS, RecurrentModule, pooling_module
from ._recurrent_passes import BACKWARD, FORWARD, Bound, RecurrentPasses


@dataclass(frozen=True)
class RecurrentNetwork:
    """A recurrent network between sequences and vectors or sequences, without parameters.

    Parameters
    ----------
    n_inputs, hidden_size, n_outputs : int
        Widths C of a step, H of the state of a layer, O of the output.
    cell : str
        Key of `CELLS`.
    n_layers : int
    bidirectional : bool
    activation : str
        Of the vanilla cell.
    pooling : str or None
        Key of `POOLINGS`; None: one output a step.
    input_skip : bool
        Whether the output reads x as well.
    output_activation : str
        Key of `OUTPUTS`.
    dropout : float
        Rate at which what is read of a layer, by the next or by the output, is dropped.
    """

    n_inputs: int
    hidden_size: int
    n_outputs: int
    cell: str = "lstm"
    n_layers: int = 1
    bidirectional: bool = False
    activation: str = "tanh"
    pooling: str | None = "last"
    input_skip: bool = True
    output_activation: str = "identity"
    dropout: float = 0.0

    @property
    def directions(self) -> tuple[str, ...]:
        """Names of the directions of a layer."""
        return (FORWARD, BACKWARD) if self.bidirectional else (FORWARD,)

    @property
    def n_hidden(self) -> int:
        """Width of the output of a layer."""
        return self.hidden_size * len(self.directions)

    @property
    def n_pooled(self) -> int:
        """Width of what the output layer reads."""
        return self.n_hidden + (self.n_inputs if self.input_skip else 0)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The cell of each layer; both directions have the same."""
        widths = [self.n_inputs] + [self.n_hidden] * (self.n_layers - 1)
        make = CELLS[self.cell]
        return tuple(make(width, self.hidden_size, self.activation) for width in widths)

    @property
    def pool(self) -> Pooling:
        """How steps become vectors."""
        return EVERY_STEP if self.pooling is None else POOLINGS[self.pooling]

    @cached_property
    def layout(self) -> Layout:
        """Where the parameters lie in a flat vector."""
        shapes = {}
        for i, cell in enumerate(self.cells):
            for direction in self.directions:
                named = {f"{i}.{direction}.{name}": s for name, s in cell.shapes.items()}
                shapes.update(named)
        shapes.update({f"pool.{k}": s for k, s in self.pool.shapes(self.n_hidden).items()})
        shapes["output.weight"] = (self.n_pooled + 1, self.n_outputs)
        return Layout(shapes)

    def blocks(self, flat: Tensor, prefix: str) -> dict[str, Tensor]:
        """Views of the blocks of `flat` (P,) whose names begin with `prefix` and a dot."""
        views = self.layout.views(flat[None])
        start = f"{prefix}."
        return {n.removeprefix(start): v[0] for n, v in views.items() if n.startswith(start)}

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers of a step in the input, in each layer and in the output."""
        return (self.n_inputs, *[self.n_hidden] * self.n_layers, self.n_outputs)

    @property
    def states_per_step(self) -> int:
        """Numbers that all layers make of a step."""
        return self.n_hidden * self.n_layers

    def with_dropout(self, rate: float) -> RecurrentNetwork:
        """The same network with another rate of dropout."""
        return replace(self, dropout=rate)

    def bound(self, theta: Tensor, grad: Tensor | None) -> Bound:
        """Views of parameters and gradients (1, P) for `passes`."""
        return Bound(self, theta, grad)

    def passes(self, bound: Bound, packing: Packing, **how: bool) -> RecurrentPasses:
        """Forward and backward passes over batches of a packing; see `RecurrentPasses`."""
        return RecurrentPasses(self, bound, packing, **how)

    @property
    def largest_product(self) -> int:
        """Multiplications per row in the largest matrix product of a step."""
        return max(math.prod(shape) for shape in self.layout.shapes.values())

    @property
    def penalised(self) -> Tensor:
        """Mask (P,): 1 for weights, 0 for biases."""
        mask = torch.ones(self.layout.size, device="cpu")
        for i, cell in enumerate(self.cells):
            for direction in self.directions:
                blocks = self.blocks(mask, f"{i}.{direction}")
                for name, part in cell.penalised.items():
                    blocks[name].copy_(part)
        self.blocks(mask, "output")["weight"][-1] = 0
        return mask

    @property
    def state_widths(self) -> tuple[int, ...]:
        """Widths of what a state array holds, in its order."""
        n_states = sum(cell.n_states for cell in self.cells)
        return (self.hidden_size,) * n_states + self.pool.widths(self.n_pooled)

    @property
    def count_column(self) -> int | None:
        """Where a state array says how much has been pooled, if anything is."""
        n_states = sum(cell.n_states for cell in self.cells)
        pooled = self.pool.widths(self.n_pooled)
        return n_states * self.hidden_size + pooled[0] if pooled else None

    def start(self, theta: Tensor, generator: torch.Generator, bias: Tensor | float = 0.0) -> None:
        """Write random parameters into `theta` (P,).

        The output starts at zero and at `bias` (O,): with the best constant, and nothing to
        unlearn. Attention starts as the mean.
        """
        for i, cell in enumerate(self.cells):
            for direction in self.directions:
                cell.start(self.blocks(theta, f"{i}.{direction}"), generator)
        for query in self.blocks(theta, "pool").values():
            query.zero_()
        block = self.blocks(theta, "output")["weight"].zero_()
        block[-1] = bias

    def module(self, theta: Tensor, **units: Tensor | None) -> RecurrentModule:
        """A plain module with copies of `theta` (P,) and of scalings, in eval mode."""
        # made without memory, and then given some: nothing is drawn from the global generator
        layers = CELLS[self.cell].torch_class(
            self.n_inputs,
            self.hidden_size,
            self.n_layers,
            batch_first=True,
            bidirectional=self.bidirectional,
            dtype=theta.dtype,
            device="meta",
            **({"nonlinearity": self.activation} if self.cell == "rnn" else {}),
        )
        with_memory(layers, theta.device)
        for weights, cell, blocks in self._torch_weights(layers, theta):
            for weight, value in zip(weights, cell.to_torch(blocks), strict=True):
                weight.data.copy_(value)
        layers.flatten_parameters()
        block = self.blocks(theta, "output")["weight"]
        pooling = pooling_module(self.pooling, **self.blocks(theta, "pool"))
        units = {name: None if v is None else v.clone() for name, v in units.items()}
        return RecurrentModule(
            layers,
            pooling,
            linear_from(block[:-1], block[-1]),
            OUTPUTS[self.output_activation](),
            input_skip=self.input_skip,
            **units,
        ).eval()

    def module_from(self, weights: dict[str, Tensor]) -> RecurrentModule:
        """The module whose ``state_dict`` is `weights`."""
        theta = weights["output.weight"].new_zeros(self.layout.size)
        module = self.module(theta, **{name: weights.get(name) for name in UNITS})
        module.load_state_dict(weights)
        return module

    def pack(self, module: RecurrentModule, theta: Tensor) -> None:
        """Write the parameters of `module` into `theta` (P,)."""
        for weights, cell, blocks in self._torch_weights(module.layers, theta):
            cell.from_torch(*weights, blocks)
        for query in self.blocks(theta, "pool").values():
            query.copy_(module.pooling.query.weight.T)
        block = self.blocks(theta, "output")["weight"]
        block[:-1] = module.output.weight.T
        block[-1] = module.output.bias

    def _torch_weights(self, layers, theta: Tensor):
        """Yield the parameters of torch's layers, the cell and its blocks in `theta`."""
        every = iter(layers.all_weights)
        for i, cell in enumerate(self.cells):
            for direction in self.directions:
                weights = [weight.data for weight in next(every)]
                yield weights, cell, self.blocks(theta, f"{i}.{direction}")
