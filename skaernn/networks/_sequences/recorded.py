"""Passes of a recurrent network as operations of the compiled kernels, batch after batch.

For sequences of one length through layers in one direction: what most small fits are. Rows are
those of `RecurrentPasses`, step after step; a shorter batch uses the beginning of all memory.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..._native.operations import OF_BATCH, Code, LayerOperation, Operation
from .._activations import ACTIVATIONS
from .._operations import CompiledOperations
from ._layers.compiled import CompiledPass
from .packing import Packing
from .passes import Bound
from .shape import RecurrentShape

_POOLINGS = ("last", "mean")  # numbered as in `src`


def can_record(network: RecurrentShape, *, linear_output: bool) -> bool:
    """Whether kernels know all that is in a network."""
    outputs = () if linear_output else (network.output_activation,)
    return (
        not network.bidirectional
        and not network.dropout
        and network.pooling in (None, *_POOLINGS)
        and all(CompiledPass.knows(cell) for cell in network.cells)
        and CompiledOperations.knows(*outputs)
    )


class RecordedPasses:
    """Passes over up to `n_rows` sequences of `n_steps` steps, as those of `RecurrentPasses`.

    Parameters
    ----------
    network : RecurrentShape
    bound : Bound
        Its parameters.
    n_steps, n_rows : int
    linear_output : bool
        Leave out `output_activation`, for a loss defined on what comes before it.

    See `CompiledPasses` for the attributes; K = 1, rows of `output` are those of all steps where
    there is no pooling, and there is nothing that a penalty could be of. Where the network reads
    windows, what these come to is to be written to `path` (1, B, r + O); see `RecurrentPasses`.
    """

    noise = None

    def __init__(
        self,
        network: RecurrentShape,
        bound: Bound,
        n_steps: int,
        n_rows: int,
        *,
        linear_output: bool,
    ):
        self._network, self._bound, self._n_steps = network, bound, n_steps
        self.masks: list[Tensor] = []
        new = bound.theta.new_empty
        self._per_step = network.pooling is None
        n_outputs = n_rows * n_steps if self._per_step else n_rows
        self._make = CompiledOperations(n_steps if self._per_step else 1)
        self.x = new(1, n_rows * n_steps, network.n_inputs)
        self.output, self.delta = (new(1, n_outputs, network.n_outputs) for _ in range(2))
        self._layers = self._stacked(Packing.uniform(n_steps, n_rows))
        width = network.n_pooled + network.path_rank
        self._read = torch.ones_like(new(1, n_outputs, width + 1))
        # what is told of windows: along the directions, and in the map begun with
        self.path = None
        if network.reads_window:
            self.path = new(1, n_outputs, network.path_rank + network.n_outputs)
        forward = [LayerOperation(layer.structure, back=False) for layer in self._layers]
        h = self._layers[-1].h[None]
        forward += self._pooled(h, self._read[..., : network.n_hidden])
        if network.input_skip:
            forward += self._pooled(self.x, self._read[..., network.n_hidden : network.n_pooled])
        if network.path_rank:
            along = self.path[..., : network.path_rank]
            forward += self._make.copy(along, self._read[..., network.n_pooled : -1])
        weight = bound.blocks["output"]["weight"][None]
        activation = "identity" if linear_output else network.output_activation
        linear = self.output
        if ACTIVATIONS[activation].needs_input:
            linear = torch.empty_like(linear)
        forward += self._make.product(self._read, weight, linear)
        if self.path is not None:
            forward += self._make.add(self.path[..., network.path_rank :], linear)
        forward += self._make.activate(activation, linear, self.output)
        self.tapes = forward, self._back(linear, weight, activation) if bound.trained else []

    def _back(self, linear: Tensor, weight: Tensor, activation: str) -> list[Operation]:
        """From `delta` to all gradients."""
        make, n_hidden = self._make, self._network.n_hidden
        saved = linear if ACTIVATIONS[activation].needs_input else self.output
        tape = make.differentiate(activation, saved, self.delta)
        tape += make.gradient(self._read, self.delta, self._bound.grads["output"]["weight"][None])
        d_pooled = torch.empty_like(self._read[..., :n_hidden])
        tape += make.product(self.delta, weight[:, :n_hidden].mT, d_pooled)
        tape += self._pooled(d_pooled, self._layers[-1].delta[None], back=True)
        back = [LayerOperation(layer.structure, back=True) for layer in reversed(self._layers)]
        return tape + back

    def _stacked(self, packing: Packing) -> list[CompiledPass]:
        """The layers, each of which reads what the one before gives."""
        layers: list[CompiledPass] = []
        x, d_x = self.x[0], None
        for i, cell in enumerate(self._network.cells):
            name = f"{i}.{self._network.directions[0]}"
            blocks, grads = self._bound.blocks[name], self._bound.grads[name]
            layers.append(CompiledPass(cell, blocks, grads, packing, x, d_x))
            x, d_x = layers[-1].h, layers[-1].delta if self._bound.trained else None
        return layers

    def _pooled(self, steps: Tensor, rows: Tensor, *, back: bool = False) -> list[Operation]:
        """From all steps to what the output reads; on the way back the other way round."""
        n = rows.shape[2]
        if self._per_step:
            return self._make.copy(steps, rows)
        code = Code.POOL_BACK if back else Code.POOL
        kind = _POOLINGS.index(self._network.pooling)
        places = {"a": steps[0], "c": rows[0]}
        return [self._make.make(code, OF_BATCH, n, self._n_steps, kind, **places)]
