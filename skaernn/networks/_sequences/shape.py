"""Widths of a recurrent network, and where its parameters lie in one flat vector."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .._layout import Layout
from .cells import CELLS, Cell
from .pooling import EVERY_STEP, POOLINGS, Pooling

FORWARD, BACKWARD = "forward", "backward"
WINDOW, POOLED = "window", "pooled"  # linear paths


@dataclass(frozen=True)
class RecurrentShape:
    """What of a recurrent network its passes know: widths, places, cells, pooling.

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
    linear_path : str or None
        The affine map beside the network: "window", of every step by its place; "pooled", the
        skip. None: there is none, or the skip is one more input of the output.
    path_rank : int
        Numbers r that the output reads of a window: the directions along which its map is trained.
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
    linear_path: str | None = None
    path_rank: int = 0

    @property
    def reads_window(self) -> bool:
        """Whether the output reads every step by its place."""
        return self.linear_path == WINDOW

    @property
    def directions(self) -> tuple[str, ...]:
        """Names of the directions of a layer."""
        return (FORWARD, BACKWARD) if self.bidirectional else (FORWARD,)

    @property
    def stateless(self) -> str | None:
        """Why there is no state to begin at or to end in; None if there is one."""
        if self.bidirectional:
            return "bidirectional=True: one direction begins at the end of a sequence"
        return None

    @property
    def n_hidden(self) -> int:
        """Width of the output of a layer."""
        return self.hidden_size * len(self.directions)

    @property
    def n_pooled(self) -> int:
        """Width of what the pooling gives the output layer."""
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
        shapes["output.weight"] = (self.n_pooled + self.path_rank + 1, self.n_outputs)
        return Layout(shapes)

    def blocks(self, flat: Tensor, prefix: str) -> dict[str, Tensor]:
        """Views of the blocks of `flat` (P,) whose names begin with `prefix` and a dot."""
        return self.layout.blocks(flat, f"{prefix}.")

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers of a step in the input, in each layer and in the output."""
        return (self.n_inputs, *[self.n_hidden] * self.n_layers, self.n_outputs)

    @property
    def states_per_step(self) -> int:
        """Numbers that all layers make of a step."""
        return self.n_hidden * self.n_layers

    @property
    def numbers_per_step(self) -> int:
        """Numbers that a pass and its way back hold of each step, not more than there are."""
        layers = sum(cell.n_inputs + cell.n_kept * cell.hidden_size for cell in self.cells)
        joined = 2 * self.n_hidden * self.n_layers * self.bidirectional
        outputs = 2 * (self.n_pooled + self.n_outputs) * (self.pooling is None)
        return self.n_inputs + layers * len(self.directions) + joined + outputs

    @property
    def numbers_per_row(self) -> int:
        """The same of each sequence, whatever its length."""
        of_window = self.path_rank + self.n_outputs * self.reads_window
        return (2 * (self.n_pooled + self.n_outputs) + of_window) * (self.pooling is not None)

    @property
    def largest_product(self) -> int:
        """Multiplications per row in the largest matrix product of a step."""
        return max(math.prod(shape) for shape in self.layout.shapes.values())

    @property
    def penalised(self) -> Tensor:
        """Mask (P,): 1 for weights, 0 for biases and the linear path."""
        mask = torch.ones(self.layout.size, device="cpu")
        for i, cell in enumerate(self.cells):
            for direction in self.directions:
                blocks = self.blocks(mask, f"{i}.{direction}")
                for name, part in cell.penalised.items():
                    blocks[name].copy_(part)
        first = self.n_hidden if self.linear_path == POOLED else self.n_pooled
        self.blocks(mask, "output")["weight"][first:] = 0
        return mask

    @property
    def shrunk(self) -> Tensor:
        """Mask (P,): 1 also for what the map of a window learns beside its start."""
        mask = self.penalised
        self.blocks(mask, "output")["weight"][self.n_pooled : self.n_pooled + self.path_rank] = 1
        return mask

    @property
    def state_widths(self) -> tuple[int, ...]:
        """Widths of what a state array holds, in its order."""
        n_states = sum(cell.n_states for cell in self.cells)
        of_window = (self.n_outputs, 1) if self.reads_window else ()  # their sum, and the place
        return (self.hidden_size,) * n_states + self.pool.widths(self.n_pooled) + of_window

    @property
    def count_columns(self) -> tuple[int, ...]:
        """Where a state array says how much has been pooled, or how many steps there were."""
        n_states = sum(cell.n_states for cell in self.cells)
        pooled = self.pool.widths(self.n_pooled)
        columns = [n_states * self.hidden_size + pooled[0]] if pooled else []
        return (*columns, *[sum(self.state_widths) - 1] * self.reads_window)
