"""A fitted recurrent network as compiled kernels want it."""

from __future__ import annotations

from ctypes import byref, pointer

import torch
from torch import Tensor

from ..._native.functions import Functions
from ..._native.structures import (
    ACTIVATIONS,
    AFFINE,
    GRU,
    LSTM,
    MINGRU,
    POOLINGS,
    Kept,
    Layer,
    Network,
    Run,
    Units,
)
from . import cells
from .cells import Cell
from .shape import RecurrentShape
from .stepped import Blocks


class CompiledNetwork:
    """A network with its weights packed.

    Parameters
    ----------
    functions : Functions
    network : RecurrentShape
    theta : Tensor of shape (P,)
        Its parameters; copied.
    units : dict of Tensor or None
        What inputs and outputs are scaled by.
    window : Tensor of shape (T C + 1, O) or None
        The map from a window, if it has one.
    """

    def __init__(
        self,
        functions: Functions,
        network: RecurrentShape,
        theta: Tensor,
        units: dict,
        window: Tensor | None = None,
    ):
        self._kept = kept = Kept(functions.vector_bytes)
        self._functions = functions.sequences[theta.dtype]
        layers = [
            LAYERS[type(cell)](kept, cell, network.blocks(theta, f"{i}.{direction}"))
            for i, cell in enumerate(network.cells)
            for direction in network.directions
        ]
        weight = network.blocks(theta, "output")["weight"]
        n_hidden, n_pooled, bias = network.n_hidden, network.n_pooled, weight[-1]
        rest, n_places = weight[n_hidden:n_pooled], 0
        if window is not None:  # whose sum is read as one more input of the output
            n_places = (len(window) - 1) // network.n_inputs
            rest = torch.cat(
                [rest, torch.eye(network.n_outputs, dtype=weight.dtype, device=weight.device)]
            )
            bias = bias + window[-1]
        output = kept.layer(AFFINE, [weight[:n_hidden]], [rest], [bias], network.output_activation)
        query = Layer()
        for block in network.blocks(theta, "pool").values():
            query = kept.layer(AFFINE, [block], [block[:0]], [block.new_zeros(1)])
        n_states = sum(cell.n_states for cell in network.cells)
        self._structure = Network(
            n_channels=network.n_inputs,
            n_layers=network.n_layers,
            n_directions=len(network.directions),
            pooling=POOLINGS.index(network.pooling),
            n_outputs=network.n_outputs,
            state_width=sum(network.state_widths),
            state_of_pool=n_states * network.hidden_size,
            n_skipped=n_pooled - n_hidden,
            n_places=n_places,
            window=None if window is None else kept.rows(window[:-1]),
            layers=kept.array(layers),
            output=pointer(output),
            query=pointer(query),
            units_in=kept.units(units["x_mean"], units["x_scale"], network.n_inputs),
            units_out=_units_out(kept, network, units),
        )

    def run(self, dtype: str, run: Run) -> None:
        """Run sequences; `dtype` is that of their numbers and of the answers'."""
        if self._functions[dtype](byref(self._structure), byref(run)):
            raise MemoryError("There is not enough memory for the states of the network.")


def _units_out(kept: Kept, network: RecurrentShape, units: dict) -> Units:
    """Outputs' units; of means and standard deviations side by side the latter are not moved."""
    mean, scale = units["y_mean"], units["y_scale"]
    if mean is not None and network.output_activation == "mean_and_deviation":
        n = network.n_outputs // 2
        mean, scale = mean.expand(n), scale.expand(n)
        mean, scale = torch.cat([mean, torch.zeros_like(mean)]), torch.cat([scale, scale])
    return kept.units(mean, scale, network.n_outputs)


def _gates(block: Tensor, cell: Cell) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Weights of x and of h, and biases, of a block that reads [h | x | 1]."""
    parts = block.split(cell.hidden_size, dim=1)
    n = cell.hidden_size
    return [p[n:-1] for p in parts], [p[:n] for p in parts], [p[-1] for p in parts]


def _vanilla(kept: Kept, cell: Cell, blocks: Blocks) -> Layer:
    return kept.layer(AFFINE, *_gates(blocks["weight"], cell), cell.activation)


def _lstm(kept: Kept, cell: Cell, blocks: Blocks) -> Layer:
    return kept.layer(LSTM, *_gates(blocks["weight"], cell))


def _gru(kept: Kept, cell: Cell, blocks: Blocks) -> Layer:
    of_x, of_h, biases = _gates(blocks["weight"], cell)
    return kept.layer(GRU, of_x, of_h, [*biases, blocks["candidate_bias"][0]])


def _mingru(kept: Kept, cell: Cell, blocks: Blocks) -> Layer:
    parts = blocks["weight"].split(cell.hidden_size, dim=1)
    of_x, of_h = [part[:-1] for part in parts], [part[:0] for part in parts]
    return kept.layer(MINGRU, of_x, of_h, [part[-1] for part in parts])


LAYERS = {cells.Vanilla: _vanilla, cells.LSTM: _lstm, cells.GRU: _gru, cells.MinGRU: _mingru}


def can_compile(network: RecurrentShape) -> bool:
    """Whether the kernels know all that the network consists of."""
    known = {type(cell) for cell in network.cells} <= LAYERS.keys()
    return known and network.output_activation in ACTIVATIONS
