"""A recurrent network of tokens: each number becomes a vector of a table, which the layers read.

The table lies behind the parameters of that network, the reader, in one flat vector. Beside it
may stand a bag of words: a second table, the mean of whose rows over a sequence is added to the
output.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from .._activations import OUTPUTS
from .._layout import Layout
from .custom import OwnPasses, OwnRecurrentNetwork
from .module import RecurrentModule
from .network import RecurrentNetwork
from .packing import Packing
from .passes import RecurrentPasses
from .shape import POOLED

_OF_TARGETS = "y_mean", "y_scale"
UNKNOWN = 0  # the token that stands for all that no other stands for
_TABLE, _BAG = "embedding.weight", "bag.weight"
# Deviation of a start, that of `nn.Embedding`. Of 1, .3, .1 and .03 the best beside a bag of words
# on drawn texts of six topics with many rare words: what starts small learns these by heart.
_SPREAD = 1.0


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
    bag : bool
        Whether there is a bag of words; the output is linear then, up to the loss's own link.
    """

    reader: RecurrentNetwork | OwnRecurrentNetwork
    n_tokens: int
    bag: bool = False

    n_outputs = _of_reader("n_outputs")
    pooling = _of_reader("pooling")
    output_activation = _of_reader("output_activation")
    dropout = _of_reader("dropout")
    stateless = _of_reader("stateless")
    states_per_step = _of_reader("states_per_step")
    largest_product = _of_reader("largest_product")
    reads_window = False

    @property
    def linear_path(self) -> str | None:
        """See `RecurrentShape`."""
        return POOLED if self.bag else None

    @property
    def pools(self) -> bool:
        """Whether there are sums of a bag of words to keep."""
        return self.bag and self.pooling is not None

    @property
    def state_widths(self) -> tuple[int, ...]:
        """Widths of what a state array holds: the reader's, the bag's sum, and its count."""
        return self.reader.state_widths + (self.n_outputs, 1) * self.pools

    @property
    def count_columns(self) -> tuple[int, ...]:
        """Where a state array says how much has been pooled."""
        return (*self.reader.count_columns, *[sum(self.state_widths) - 1] * self.pools)

    @cached_property
    def unlinked(self) -> RecurrentNetwork | OwnRecurrentNetwork:
        """The reader without what follows on the sum of its output and the bag's."""
        return replace(self.reader, output_activation="identity") if self.bag else self.reader

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
        return self.reader.numbers_per_step + self.size + 1 + 2 * self.n_outputs * self.bag

    @property
    def numbers_per_row(self) -> int:
        """See `RecurrentShape`."""
        return self.reader.numbers_per_row + 2 * self.n_outputs * self.pools

    @cached_property
    def layout(self) -> Layout:
        """Where the parameters lie in a flat vector."""
        shapes = {"reader": (self.reader.layout.size,), _TABLE: (self.n_tokens, self.size)}
        shapes |= {_BAG: (self.n_tokens, self.n_outputs)} if self.bag else {}
        return Layout(shapes)

    def parts(self, flat: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """What of (P,) is the reader's, the vectors and the bag, in the memory of `flat`."""
        found = self.layout.blocks(flat)
        return found["reader"], found[_TABLE], found.get(_BAG)

    @property
    def penalised(self) -> Tensor:
        """Mask (P,): 1 for weights, the vectors among them, 0 for biases and the bag."""
        mask = torch.ones(self.layout.size, device="cpu")
        own, _, bag = self.parts(mask)
        own.copy_(self.reader.penalised)
        if bag is not None:
            bag.zero_()
        return mask

    @property
    def shrunk(self) -> Tensor:
        """See `RecurrentShape`."""
        return self.penalised

    def with_dropout(self, rate: float) -> EmbeddedNetwork:
        """The same network with another rate of dropout."""
        return replace(self, reader=self.reader.with_dropout(rate))

    def start(self, theta: Tensor, generator: torch.Generator, bias: Tensor | float = 0.0) -> None:
        """Write random parameters into `theta` (P,).

        The unknown token says nothing until there is one to learn from.
        """
        own, table, bag = self.parts(theta)
        self.reader.start(own, generator, bias)
        draw = torch.empty(table.shape, dtype=torch.float64, device="cpu")
        table.copy_(draw.normal_(std=_SPREAD, generator=generator))
        table[UNKNOWN] = 0
        if bag is not None:
            bag.zero_()

    def start_path(self, theta: Tensor, weight: Tensor) -> None:
        """Let the bag and the bias be `weight` (n_tokens + 1, O)."""
        own, _, bag = self.parts(theta)
        bag.copy_(weight[:-1])
        self.reader.start_path(own, weight[-1:])

    def bound(self, theta: Tensor, grad: Tensor | None) -> EmbeddedBound:
        """Views of parameters and gradients (1, P) for `passes`."""
        return EmbeddedBound(self, theta, grad)

    def passes(self, bound: EmbeddedBound, packing: Packing, **how: bool) -> EmbeddedPasses:
        """Forward and backward passes over batches of a packing; see `RecurrentPasses`."""
        return EmbeddedPasses(self, bound, packing, **how)

    def module(self, theta: Tensor, **constants: Tensor | None) -> EmbeddedModule:
        """A plain module with copies of `theta` (P,) and of constants, in eval mode."""
        own, table, bag = self.parts(theta)
        embedding = _embedding(table.clone())
        if bag is None:
            return EmbeddedModule(embedding, self.reader.module(own, **constants)).eval()
        activation = OUTPUTS[self.output_activation]()
        units = [None if constants.get(u) is None else constants[u].clone() for u in _OF_TARGETS]
        how = _embedding(bag.clone()), activation, *units
        return EmbeddedModule(embedding, self.unlinked.module(own), *how).eval()

    def module_from(self, weights: dict[str, Tensor]) -> EmbeddedModule:
        """The module whose ``state_dict`` is `weights`."""
        prefix = "network."
        own = {n.removeprefix(prefix): v for n, v in weights.items() if n.startswith(prefix)}
        module = EmbeddedModule(_embedding(weights[_TABLE]), self.unlinked.module_from(own))
        if self.bag:
            module.bag = _embedding(weights[_BAG])
            module.activation = OUTPUTS[self.output_activation]()
            module.y_mean, module.y_scale = (weights.get(name) for name in _OF_TARGETS)
        return module.eval()

    def pack(self, module: EmbeddedModule, theta: Tensor) -> None:
        """Write the parameters of `module` into `theta` (P,)."""
        own, table, bag = self.parts(theta)
        self.unlinked.pack(module.network, own)
        table.copy_(module.embedding.weight)
        if bag is not None:
            bag.copy_(module.bag.weight)


class EmbeddedBound:
    """Views of one model's parameters and gradients (1, P): the reader's, and the tables."""

    def __init__(self, network: EmbeddedNetwork, theta: Tensor, grad: Tensor | None):
        own, self.table, self.bag = network.parts(theta[0])
        d_own = self.d_table = self.d_bag = None
        if grad is not None:
            d_own, self.d_table, self.d_bag = network.parts(grad[0])
            d_own = d_own[None]
        self.reader = network.reader.bound(own[None], d_own)


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
        self._began = bound.table.new_zeros(packing.n_rows, network.n_outputs + 1)
        self._lengths = packing.lengths(device)[:, None] if network.pools else None
        self._n_states = sum(network.reader.state_widths)

    def forward(self) -> None:
        """From `x` to `output`."""
        tokens = self.x[:, 0]
        torch.index_select(self._bound.table, 0, tokens, out=self._reader.x)
        if self._bound.bag is not None:
            path = self._bound.bag.index_select(0, tokens)
            if self._lengths is not None:
                self._count = self._began[:, -1:] + self._lengths
                path = (self._began[:, :-1] + self.packing.sums(path)) / self._count
            self._reader.set_path(path)
        self._reader.forward()

    def backward(self) -> None:
        """From `delta` to the gradient of every parameter, which is overwritten."""
        self._reader.backward()
        tokens = self.x[:, 0]
        _add_up(self._reader.d_x, tokens, self._bound.d_table)
        if self._bound.d_bag is not None:
            delta = self.delta[0]
            if self._lengths is not None:
                delta = self.packing.spread(delta / self._count)
            _add_up(delta, tokens, self._bound.d_bag)

    def draw_masks(self, keys: Tensor, seed: int, epoch: int) -> None:
        """See `RecurrentPasses`."""
        self._reader.draw_masks(keys, seed, epoch)

    def set_state(self, state: Tensor) -> None:
        """See `RecurrentPasses`."""
        self._reader.set_state(state[:, : self._n_states])
        if self._lengths is not None:
            self._began.copy_(state[:, self._n_states :])


class EmbeddedModule(nn.Module):
    """A recurrent network from sequences of tokens, to answers in the user's units.

    Parameters
    ----------
    embedding : nn.Embedding
        The vector of each token.
    network : RecurrentModule
        What reads them.
    bag : nn.Embedding or None
        Numbers of each token, whose mean over a sequence, or of each step, is added to what
        `network` gives.
    activation : nn.Module or None
        What follows on the sum.
    y_mean, y_scale : Tensor or None
        See `RecurrentModule`.

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

    to_units = RecurrentModule.to_units

    def __init__(
        self,
        embedding: nn.Embedding,
        network: RecurrentModule,
        bag: nn.Embedding | None = None,
        activation: nn.Module | None = None,
        y_mean: Tensor | None = None,
        y_scale: Tensor | None = None,
    ):
        super().__init__()
        self.embedding, self.network = embedding, network
        self.bag, self.activation = bag, activation
        for name, value in zip(_OF_TARGETS, (y_mean, y_scale), strict=True):
            self.register_buffer(name, value)

    @property
    def dtype(self) -> torch.dtype:
        """The floating type it computes in."""
        return self.network.dtype

    @property
    def units(self) -> dict[str, Tensor | None]:
        """What targets are scaled by; tokens are not."""
        own = {} if self.bag is None else {name: getattr(self, name) for name in _OF_TARGETS}
        return self.network.units | own

    def linked(self, linear: Tensor) -> Tensor:
        """What comes of the sum of what `network` gives and the bag, in the user's units."""
        return self.to_units(self.activation(linear))

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, state: Tensor | None = None
    ) -> Tensor:
        """Outputs (n, O) of tokens (n, T) or (n, T, 1), or (n, T, O), one a step.

        See `RecurrentModule`; what is beyond `lengths` (n,) need not be a token.
        """
        x = x[..., 0] if x.dim() == 3 else x
        if lengths is None:
            lengths = torch.full((len(x),), x.shape[1])
        n_steps = lengths[:, None].to(x.device)
        there = torch.arange(x.shape[1], device=x.device) < n_steps
        x = torch.where(there, x, UNKNOWN).long()
        output = self.network(self.embedding(x), lengths, state)
        if self.bag is None:
            return output
        rows = self.bag(x)
        if output.dim() == 2:
            rows = (rows * there[..., None]).sum(1) / n_steps
        return self.linked(output + rows)


def _add_up(rows: Tensor, tokens: Tensor, out: Tensor) -> None:
    """Sums (n_tokens, F) of the rows (S, F) of each token, always in the same order."""
    if out.is_cpu:
        out.zero_().index_add_(0, tokens, rows)
    else:  # where that one adds in the order in which threads come
        out.copy_(torch.ops.aten.embedding_dense_backward(rows, tokens, len(out), -1, False))


def _embedding(weight: Tensor) -> nn.Embedding:
    """One that holds `weight` (n_tokens, size) itself; nothing is drawn."""
    return nn.Embedding.from_pretrained(weight, freeze=False)
