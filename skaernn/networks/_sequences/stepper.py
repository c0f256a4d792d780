"""A recurrent network step by step, as predictions want it.

Every product has the same number of rows, whatever the sequences, so that what a row gets does
not depend, bitwise, on the rows beside it, on padding, or on where a sequence was cut.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .._activations import OUTPUTS
from .shape import RecurrentShape


class Stepper:
    """A fitted network on groups of R sequences, longest first.

    Parameters
    ----------
    network : RecurrentShape
    theta : Tensor of shape (P,)
        Its parameters.
    window : Tensor of shape (T C + 1, O) or None
        The map from a window, if it has one.
    """

    def __init__(self, network: RecurrentShape, theta: Tensor, window: Tensor | None = None):
        self._network = network
        self._window, self._last = None, 0
        if window is not None:  # of steps beyond the last one, nothing
            by_place = window[:-1].unflatten(0, (-1, network.n_inputs))  # (T, C, O)
            self._last = len(by_place)
            self._window = torch.cat([by_place, torch.zeros_like(by_place[:1])])
        self._blocks = {
            direction: [network.blocks(theta, f"{i}.{direction}") for i in range(network.n_layers)]
            for direction in network.directions
        }
        self._pool_blocks = network.blocks(theta, "pool")
        weight = network.blocks(theta, "output")["weight"]
        self._weight, self._bias = weight[: network.n_pooled], weight[-1]
        if window is not None:
            self._bias = self._bias + window[-1]
        self._activation = OUTPUTS[network.output_activation]()

    def run(self, x: Tensor, lengths: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs and the states they end in.

        Parameters
        ----------
        x : Tensor of shape (T, R, C)
            Scaled; anything finite beyond `lengths`.
        lengths : Tensor of shape (R,)
            Longest first; zero for rows that only fill up.
        state : Tensor of shape (R, state width)

        Returns
        -------
        output : Tensor of shape (R, O) or, one output a step, (T, R, O)
        state : Tensor of shape (R, state width)
        """
        network = self._network
        parts = list(state.split(network.state_widths, dim=1))
        of_window = [parts.pop(), parts.pop()][::-1] if network.reads_window else []
        n_cell_states = len(parts) - len(network.pool.widths(network.n_pooled))
        states, pooled = parts[:n_cell_states], tuple(parts[n_cell_states:])
        outputs, result = [], None
        t = torch.arange(len(x), device=x.device)[:, None]
        alive = (lengths > t).sum(1).tolist()
        h = self._layers(x, lengths, alive, states)
        for h_t, x_t, n_alive in zip(h, x, alive, strict=True):
            u = torch.cat([h_t, x_t], dim=1) if network.input_skip else h_t
            after = network.pool.update(pooled, u, self._pool_blocks)
            pooled = tuple(map(_kept, after, pooled, [n_alive] * len(after)))
            if of_window:
                after = self._one_more(x_t, *of_window)
                of_window = list(map(_kept, after, of_window, [n_alive] * 2))
            if network.pooling is None:
                outputs.append(self._output(u))
            else:
                result = u if result is None else _kept(u, result, n_alive)
        ended = torch.cat([*states, *pooled, *of_window], dim=1)
        if network.pooling is None:
            return torch.stack(outputs), ended
        if network.pooling == "last" and network.bidirectional:
            half = slice(network.hidden_size, network.n_hidden)
            result[:, half] = h[0, :, half]  # where the other direction ends
        return self._output(network.pool.result(pooled, result), *of_window[:1]), ended

    def _layers(self, x: Tensor, lengths: Tensor, alive: list[int], states: list) -> Tensor:
        """What the layers make of a block of steps; `states` is brought up to date."""
        network, taken = self._network, 0
        for i, cell in enumerate(network.cells):
            columns = []
            for direction in network.directions:
                backwards = direction != network.directions[0]
                source = _turned(x, lengths) if backwards else x
                if network.bidirectional:
                    zero = x.new_zeros(x.shape[1], cell.hidden_size)
                    now = (zero,) * cell.n_states
                else:
                    now = tuple(states[taken : taken + cell.n_states])
                h = []
                for x_t, n_alive in zip(source, alive, strict=True):
                    after = cell.step(x_t, now, self._blocks[direction][i])
                    now = tuple(map(_kept, after, now, [n_alive] * len(after)))
                    h.append(now[0])
                if not network.bidirectional:
                    states[taken : taken + cell.n_states] = now
                h = torch.stack(h)
                columns.append(_turned(h, lengths) if backwards else h)
            taken += cell.n_states
            x = columns[0] if len(columns) == 1 else torch.cat(columns, dim=2)
        return x

    def _one_more(self, x: Tensor, total: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """The sum over a window with one more step, and the place of the next."""
        weight = self._window[place[:, 0].clamp(max=self._last).long()]  # (R, C, O)
        return total + (x[:, :, None] * weight).sum(1), place + 1

    def _output(self, u: Tensor, *of_window: Tensor) -> Tensor:
        linear = torch.addmm(self._bias, u, self._weight)
        return self._activation(sum(of_window, linear))


def _kept(new: Tensor, old: Tensor, n_alive: int) -> Tensor:
    """`new` in the first rows, `old` in those whose sequence has ended."""
    return new if n_alive == len(new) else torch.cat([new[:n_alive], old[n_alive:]])


def _turned(x: Tensor, lengths: Tensor) -> Tensor:
    """Every sequence of (T, R, ...) turned round within its length."""
    t = torch.arange(len(x), device=x.device)[:, None]
    where = torch.where(t < lengths, lengths - 1 - t, t)
    return x.gather(0, where[..., None].expand_as(x))
