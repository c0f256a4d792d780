"""A recurrent network of tokens: each number becomes a vector of a table, which the layers read.

The table lies behind the parameters of the network in one flat vector. What the network knows of
a token is its vector alone, so all else here is handed on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from .._layout import Layout
from .custom import OwnPasses, OwnRecurrentNetwork
from .module import RecurrentModule
from .network import RecurrentNetwork
from .packing import Packing
from .passes import RecurrentPasses

UNKNOWN = 0  # the token that stands for all that no other stands for
_TABLE = "embedding.weight"
# Deviation of a start: of 1, .3 and .1 the best on classes of texts with many rare words.
_SPREAD = 0.1


def _of_reader(name: str) -> Any:
    """A property that the network which reads the vectors has."""
    return property(lambda self: getattr(self.reader, name))


@dataclass(frozen=True)
class EmbeddedNetwork:
    """Description of a recurrent network that reads tokens.

    Parameters
    ----------
    reader : RecurrentNetwork or OwnRecurrentNetwork
        What reads the vectors; its inputs are as wide as these.
    n_tokens : int
    """

    reader: RecurrentNetwork | OwnRecurrentNetwork
    n_tokens: int

    n_outputs = _of_reader("n_outputs")
    pooling = _of_reader("pooling")
    output_activation = _of_reader("output_activation")
    dropout = _of_reader("dropout")
    linear_path = _of_reader("linear_path")
    reads_window = _of_reader("reads_window")
    stateless = _of_reader("stateless")
    state_widths = _of_reader("state_widths")
    count_columns = _of_reader("count_columns")
    states_per_step = _of_reader("states_per_step")
    numbers_per_row = _of_reader("numbers_per_row")
    largest_product = _of_reader("largest_product")

    @property
    def size(self) -> int:
        """Numbers of a vector."""
        return self.reader.n_inputs

    @property
    def widths(self) -> tuple[int, ...]:
        """Tokens, and then the widths of the reader."""
        return (self.n_tokens, *self.reader.widths)

    @property
    def numbers_per_step(self) -> int:
        """See `RecurrentShape`; the gradient of a vector, and its token."""
        return self.reader.numbers_per_step + self.size + 1

    @cached_property
    def layout(self) -> Layout:
        """Where the parameters lie in a flat vector."""
        shapes = {"reader": (self.reader.layout.size,), _TABLE: (self.n_tokens, self.size)}
        return Layout(shapes)

    def parts(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """What of (..., P) is the reader's, and the table, in the memory of `flat`."""
        n = self.reader.layout.size
        return flat[..., :n], flat[..., n:].view(*flat.shape[:-1], self.n_tokens, self.size)

    @property
    def penalised(self) -> Tensor:
        """Mask (P,): 1 for weights, the vectors among them, 0 for biases."""
        return torch.cat([self.reader.penalised, torch.ones(self.n_tokens * self.size)])

    def with_dropout(self, rate: float) -> EmbeddedNetwork:
        """The same network with another rate of dropout."""
        return replace(self, reader=self.reader.with_dropout(rate))

    def start(self, theta: Tensor, generator: torch.Generator, bias: Tensor | float = 0.0) -> None:
        """Write random parameters into `theta` (P,).

        The unknown token says nothing until there is one to learn from.
        """
        own, table = self.parts(theta)
        self.reader.start(own, generator, bias)
        draw = torch.empty(table.shape, dtype=torch.float64, device="cpu")
        table.copy_(draw.normal_(std=_SPREAD, generator=generator))
        table[UNKNOWN] = 0

    def bound(self, theta: Tensor, grad: Tensor | None) -> EmbeddedBound:
        """Views of parameters and gradients (1, P) for `passes`."""
        return EmbeddedBound(self, theta, grad)

    def passes(self, bound: EmbeddedBound, packing: Packing, **how: bool) -> EmbeddedPasses:
        """Forward and backward passes over batches of a packing; see `RecurrentPasses`."""
        return EmbeddedPasses(self, bound, packing, **how)

    def module(self, theta: Tensor, **constants: Tensor | None) -> EmbeddedModule:
        """A plain module with copies of `theta` (P,) and of constants, in eval mode."""
        own, table = self.parts(theta)
        module = self.reader.module(own, **constants)
        return EmbeddedModule(_embedding(table.clone()), module).eval()

    def module_from(self, weights: dict[str, Tensor]) -> EmbeddedModule:
        """The module whose ``state_dict`` is `weights`."""
        prefix = "network."
        own = {name.removeprefix(prefix): v for name, v in weights.items() if name != _TABLE}
        return EmbeddedModule(_embedding(weights[_TABLE]), self.reader.module_from(own)).eval()

    def pack(self, module: EmbeddedModule, theta: Tensor) -> None:
        """Write the parameters of `module` into `theta` (P,)."""
        own, table = self.parts(theta)
        self.reader.pack(module.network, own)
        table.copy_(module.embedding.weight)


class EmbeddedBound:
    """Views of one model's parameters and gradients (1, P): the reader's, and the tables."""

    def __init__(self, network: EmbeddedNetwork, theta: Tensor, grad: Tensor | None):
        own, table = network.parts(theta)
        own_grad, d_table = (None, None) if grad is None else network.parts(grad)
        self.reader = network.reader.bound(own, own_grad)
        self.table, self.d_table = table[0], None if d_table is None else d_table[0]


class EmbeddedPasses:
    """Passes of an `EmbeddedNetwork` over batches of one packing, for one model (K = 1).

    Attributes
    ----------
    x : Tensor of shape (S, 1), int64
        Write the tokens of the packed batch here.
    output, delta, packing
        See `RecurrentPasses`.
    """

    def __init__(
        self,
        network: EmbeddedNetwork,
        bound: EmbeddedBound,
        packing: Packing,
        *,
        linear_output: bool = False,
    ):
        self.packing, self._bound = packing, bound
        self._reader: RecurrentPasses | OwnPasses = network.reader.passes(
            bound.reader, packing, linear_output=linear_output, input_gradient=True
        )
        device = bound.table.device
        self.x = torch.zeros(packing.size, 1, dtype=torch.int64, device=device)
        self.output, self.delta = self._reader.output, self._reader.delta

    def forward(self) -> None:
        """From `x` to `output`."""
        torch.index_select(self._bound.table, 0, self.x[:, 0], out=self._reader.x)
        self._reader.forward()

    def backward(self) -> None:
        """From `delta` to the gradient of every parameter, which is overwritten."""
        self._reader.backward()
        self._bound.d_table.zero_().index_add_(0, self.x[:, 0], self._reader.d_x)

    def draw_masks(self, keys: Tensor, seed: int, epoch: int) -> None:
        """See `RecurrentPasses`."""
        self._reader.draw_masks(keys, seed, epoch)

    def set_state(self, state: Tensor) -> None:
        """See `RecurrentPasses`."""
        self._reader.set_state(state)


class EmbeddedModule(nn.Module):
    """A recurrent network from sequences of tokens, to answers in the user's units.

    Parameters
    ----------
    embedding : nn.Embedding
        The vector of each token.
    network : RecurrentModule
        What reads them.

    Examples
    --------
    >>> import torch
    >>> from skaernn import RNNSequenceRegressor
    >>> X = torch.tensor([[1, 2, 3], [3, 2, 0]])
    >>> module = RNNSequenceRegressor(embedding_size=4, max_iter=1).fit(X, [0.0, 1.0]).module_
    >>> module.embedding
    Embedding(4, 4)
    >>> with torch.inference_mode():
    ...     module(X).shape
    torch.Size([2, 1])
    """

    def __init__(self, embedding: nn.Embedding, network: RecurrentModule):
        super().__init__()
        self.embedding, self.network = embedding, network

    @property
    def dtype(self) -> torch.dtype:
        """The floating type it computes in."""
        return self.network.dtype

    @property
    def units(self) -> dict[str, Tensor | None]:
        """What targets are scaled by; tokens are not."""
        return self.network.units

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, state: Tensor | None = None
    ) -> Tensor:
        """Outputs (n, O) of tokens (n, T) or (n, T, 1), or (n, T, O), one a step.

        See `RecurrentModule`; what is beyond `lengths` (n,) need not be a token.
        """
        x = x[..., 0] if x.dim() == 3 else x
        if lengths is not None:
            there = torch.arange(x.shape[1], device=x.device) < lengths[:, None].to(x.device)
            x = torch.where(there, x, UNKNOWN)
        return self.network(self.embedding(x.long()), lengths, state)


def _embedding(weight: Tensor) -> nn.Embedding:
    """One that holds `weight` (n_tokens, size) itself; nothing is drawn."""
    return nn.Embedding.from_pretrained(weight, freeze=False)
