"""Recurrent layers of a fitted module made of a cell's step, where torch has none of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

Blocks = dict[str, Tensor]
States = tuple[Tensor, ...]


class Steps(Protocol):
    """Description of a layer that can do a step."""

    n_inputs: int
    hidden_size: int
    n_states: int
    shapes: dict[str, tuple[int, ...]]

    def step(self, x: Tensor, states: States, blocks: Blocks) -> States:
        """The states after one step of input `x` (n, C) from `states`, (n, H) each."""


class SteppedLayers(nn.Module):
    """A stack of layers of one cell, with the interface of `nn.RNNBase` for packed sequences.

    Parameters
    ----------
    cell : Cell
        Of the first layer; the others read the outputs of the one before.
    n_layers : int
    bidirectional : bool
    dtype : torch.dtype
        Of the parameters, which have no memory yet ("meta"). They are named by their block,
        layer and direction: ``weight_l0``, ``weight_l0_reverse``.
    """

    def __init__(self, cell: Steps, n_layers: int, bidirectional: bool, dtype: torch.dtype):
        super().__init__()
        self.hidden_size, self.num_layers = cell.hidden_size, n_layers
        self.bidirectional = bidirectional
        width = cell.hidden_size * (1 + bidirectional)
        self._cells = [cell, *[replace(cell, n_inputs=width)] * (n_layers - 1)]
        self._suffixes = ("", "_reverse") if bidirectional else ("",)
        for i, layer in enumerate(self._cells):
            for suffix in self._suffixes:
                for name, shape in layer.shapes.items():
                    value = nn.Parameter(torch.empty(shape, dtype=dtype, device="meta"))
                    self.register_parameter(f"{name}_l{i}{suffix}", value)

    def extra_repr(self) -> str:
        kind, width = type(self._cells[0]).__name__, self._cells[0].n_inputs
        both = ", bidirectional=True" if self.bidirectional else ""
        return f"{kind}, {width}, {self.hidden_size}, num_layers={self.num_layers}{both}"

    def flatten_parameters(self) -> None:
        """Nothing to do; torch's layers arrange their memory here."""

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """Parameters of each layer and direction."""
        return [
            [getattr(self, f"{name}_l{i}{suffix}") for name in layer.shapes]
            for i, layer in enumerate(self._cells)
            for suffix in self._suffixes
        ]

    def forward(
        self, packed: PackedSequence, states: Tensor | States | None = None
    ) -> tuple[PackedSequence, Tensor | States]:
        """Outputs, packed as the input is, and the last states (layers, n, H) for h(, c)."""
        x, sizes = packed.data, packed.batch_sizes.tolist()
        n_states = self._cells[0].n_states
        if states is None:
            every = len(self._cells) * len(self._suffixes)
            began = x.new_zeros(n_states, every, sizes[0], self.hidden_size)
        else:
            began = torch.stack(states if isinstance(states, tuple) else (states,))
            if packed.sorted_indices is not None:
                began = began.index_select(2, packed.sorted_indices)
        weights, ended = iter(self.all_weights), []
        for cell in self._cells:
            outputs = []
            for suffix in self._suffixes:
                blocks = dict(zip(cell.shapes, next(weights), strict=True))
                start = tuple(began[:, len(ended)])
                h, last = _run(cell, x, sizes, start, blocks, backwards=bool(suffix))
                outputs.append(h)
                ended.append(torch.stack(last))
            x = torch.cat(outputs, dim=1)
        last = torch.stack(ended, dim=1)  # (states, layers, n, H)
        if packed.unsorted_indices is not None:
            last = last.index_select(2, packed.unsorted_indices)
        result = tuple(last) if n_states > 1 else last[0]
        return packed._replace(data=x), result


def _run(
    cell: Steps,
    x: Tensor,
    sizes: Sequence[int],
    states: States,
    blocks: Blocks,
    *,
    backwards: bool,
) -> tuple[Tensor, States]:
    """Outputs (S, H) of one layer in one direction, and the states where sequences end."""
    steps, outputs = x.split(list(sizes)), [x[:0]] * len(sizes)
    times = range(len(sizes))
    for t in reversed(times) if backwards else times:
        n = sizes[t]
        now = cell.step(steps[t], tuple(state[:n] for state in states), blocks)
        states = tuple(torch.cat([new, old[n:]]) for new, old in zip(now, states, strict=True))
        outputs[t] = now[0]
    return torch.cat(outputs), states
