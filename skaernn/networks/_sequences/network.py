"""Description of a recurrent network: where its parameters lie, how they start, what they become.

A stack of recurrent layers, in one direction or both, a pooling over steps, and the output

    o = f_o(h W_ho + x W_xo + b_o)

for the pooled h and x (or for those of every step).
"""

from __future__ import annotations

import functools
import weakref
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..._native.functions import Functions
from .._activations import OUTPUTS
from .._linear import linear_from, patterned, with_memory
from ._layers.compiled import CompiledPass
from .cells import TorchCell, start_weights
from .compiled import CompiledNetwork, can_compile
from .module import CONSTANTS, RecurrentModule
from .packing import Packing
from .passes import Bound, RecurrentPasses
from .recorded import RecordedPasses, can_record
from .shape import RecurrentShape
from .stepper import Stepper


@dataclass(frozen=True)
class RecurrentNetwork(RecurrentShape):
    """A recurrent network between sequences and vectors or sequences, without parameters.

    See `RecurrentShape` for what it is described by.
    """

    def with_dropout(self, rate: float) -> RecurrentNetwork:
        """The same network with another rate of dropout."""
        return replace(self, dropout=rate)

    def bound(self, theta: Tensor, grad: Tensor | None) -> Bound:
        """Views of parameters and gradients (1, P) for `passes`."""
        return Bound(self, theta, grad)

    def passes(self, bound: Bound, packing: Packing, **how: bool) -> RecurrentPasses:
        """Forward and backward passes over batches of a packing; see `RecurrentPasses`."""
        return RecurrentPasses(self, bound, packing, **how)

    def compiles(self, *, linear_output: bool) -> bool:
        """Whether there are `recorded` passes."""
        return can_record(self, linear_output=linear_output)

    def recorded(
        self, bound: Bound, n_steps: int, n_rows: int, *, linear_output: bool
    ) -> RecordedPasses:
        """Passes as operations of the compiled kernels; see `RecordedPasses`."""
        return RecordedPasses(self, bound, n_steps, n_rows, linear_output=linear_output)

    def recorded_pays(
        self, n_steps: int, n_rows: int, dtype: torch.dtype, device: torch.device
    ) -> bool:
        """Whether they are faster: where compiled passes of every layer are."""
        packing, x = Packing.uniform(n_steps, n_rows), torch.empty(0, dtype=dtype, device=device)
        return all(CompiledPass.pays(cell, packing, x, True) for cell in self.cells)

    def stepper(self, module: RecurrentModule) -> Stepper:
        """What runs a fitted module."""
        theta = module.output.weight.new_empty(self.layout.size)
        self.pack(module, theta)
        return Stepper(self, theta, module.window_weight())

    def compiled(self, functions: Functions, module: RecurrentModule) -> CompiledNetwork | None:
        """The same with compiled kernels; None: they do not know all that is in the network."""
        if not can_compile(self):
            return None
        theta = module.output.weight.new_empty(self.layout.size)
        self.pack(module, theta)
        window = module.window_weight()
        return CompiledNetwork(functions, self, theta, module.units, window)

    def start_output(self, theta: Tensor, generator: torch.Generator) -> None:
        """Random weights for the output, which else starts at zero."""
        start_weights(self.blocks(theta, "output")["weight"][:-1], generator)

    def start_path(self, theta: Tensor, weight: Tensor) -> None:
        """Let the skip and the bias be the affine map `weight` (C + 1, O)."""
        block = self.blocks(theta, "output")["weight"]
        block[self.n_hidden : self.n_pooled] = weight[:-1]
        block[-1] = weight[-1]

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

    def module(self, theta: Tensor, **constants: Tensor | None) -> RecurrentModule:
        """A plain module with copies of `theta` (P,) and of constants, in eval mode."""
        layers = self._built(theta)
        layers.flatten_parameters()
        block = self.blocks(theta, "output")["weight"]
        pooling = self.pool.built(self.blocks(theta, "pool"))
        constants = {name: None if v is None else v.clone() for name, v in constants.items()}
        return RecurrentModule(
            layers,
            pooling,
            linear_from(block[:-1], block[-1]),
            OUTPUTS[self.output_activation](),
            input_skip=self.input_skip,
            **constants,
        ).eval()

    def module_from(self, weights: dict[str, Tensor]) -> RecurrentModule:
        """The module whose ``state_dict`` is `weights`."""
        theta = weights["output.weight"].new_zeros(self.layout.size)
        module = self.module(theta, **{name: weights.get(name) for name in CONSTANTS})
        module.load_state_dict(weights)
        return module

    def pack(self, module: RecurrentModule, theta: Tensor) -> None:
        """Write the parameters of `module` into `theta` (P,)."""
        for weights, cell, blocks in self._weights_of(module.layers, theta):
            cell.from_module([weight.data for weight in weights], blocks)
        for name, block in self.blocks(theta, "pool").items():
            block.copy_(getattr(module.pooling, name).weight.T)
        block = self.blocks(theta, "output")["weight"]
        block[:-1] = module.output.weight.T
        block[-1] = module.output.bias

    def _built(self, theta: Tensor) -> nn.Module:
        """Its layers, with copies of their parameters in `theta` (P,)."""
        first = self.cells[0]
        if isinstance(first, TorchCell):
            pattern = _pattern(first, self.n_layers, self.bidirectional, theta.dtype)
            values = {
                id(weight): value.clone(memory_format=torch.contiguous_format)
                for weights, cell, blocks in self._weights_of(pattern, theta)
                for weight, value in zip(weights, cell.to_module(blocks), strict=True)
            }
            layers = patterned(pattern, values)
            # where torch's own layers look for them
            flat = [layers._parameters[name] for name in pattern._flat_weights_names]
            refs = [weakref.ref(weight) for weight in flat]
            vars(layers).update(_flat_weights=flat, _flat_weight_refs=refs)
            return layers
        # made without memory, and then given some: nothing is drawn from the global generator
        layers = first.layers(self.n_layers, self.bidirectional, theta.dtype)
        with_memory(layers, theta.device)
        for weights, cell, blocks in self._weights_of(layers, theta):
            for weight, value in zip(weights, cell.to_module(blocks), strict=True):
                weight.data.copy_(value)
        return layers

    def _weights_of(self, layers, theta: Tensor):
        """Yield parameters of each of a module's layers, its cell and its blocks in `theta`."""
        every = iter(layers.all_weights)
        for i, cell in enumerate(self.cells):
            for direction in self.directions:
                yield next(every), cell, self.blocks(theta, f"{i}.{direction}")


@functools.lru_cache(maxsize=16)
def _pattern(cell: TorchCell, n_layers: int, bidirectional: bool, dtype: torch.dtype) -> nn.Module:
    """Layers without numbers."""
    return cell.layers(n_layers, bidirectional, dtype)
