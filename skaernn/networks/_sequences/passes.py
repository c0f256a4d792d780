"""Forward and backward passes of a recurrent network over one packing.

The layers' own passes are in `_layers`; here they are joined: directions, dropout,
pooling, output. Autograd through the module of the same parameters is the oracle in the tests.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..._core.noise import dropout_mask, mix
from .._activations import ACTIVATIONS
from ._layers.choice import layer_pass
from .packing import Packing
from .shape import BACKWARD, RecurrentShape


class Bound:
    """Views of one model's parameters and gradients, and what passes over them have in common.

    Parameters
    ----------
    network : RecurrentShape
    theta : Tensor of shape (1, P)
        Parameters. Looked into, not copied.
    grad : Tensor of shape (1, P) or None
        Where their gradient goes; without it there is no way back.
    """

    def __init__(self, network: RecurrentShape, theta: Tensor, grad: Tensor | None):
        self.theta, self.trained = theta, grad is not None
        layers = [f"{i}.{d}" for i in range(network.n_layers) for d in network.directions]
        prefixes = [*layers, "pool", "output"]
        self.blocks = {prefix: network.blocks(theta[0], prefix) for prefix in prefixes}
        self.grads = dict.fromkeys(prefixes)
        if grad is not None:
            self.grads = {prefix: network.blocks(grad[0], prefix) for prefix in prefixes}
        self.caches: dict[str, dict] = {prefix: {} for prefix in layers}


class RecurrentPasses:
    """Passes of a `RecurrentNetwork` over batches of one packing, for one model (K = 1).

    Parameters
    ----------
    network : RecurrentShape
    bound : Bound
        Its parameters. Passes over sequences of unequal length share memory there: only those
        made last may be used.
    packing : Packing
    linear_output : bool
        Leave out `output_activation`, for a loss defined on what comes before it.
    input_gradient : bool
        Whether `x` has a gradient; where the output reads it, for one output a step.
    state_gradient : bool
        Whether the states that the network begins with have one; in one direction.

    Attributes
    ----------
    x : Tensor of shape (S, C)
        Write the packed batch here.
    output : Tensor of shape (1, N, O)
        Holds the output after `forward`: a row a sequence, or one a step.
    delta : Tensor of shape (1, N, O)
        Write the gradient of the loss with respect to `output` here, before `backward`.
    d_x : Tensor of shape (S, C) or None
        Holds the gradient with respect to `x` after `backward`, if there is to be one.
    d_state : Tensor of shape (B, state width) or None
        The same for the states that the network begins with.
    """

    def __init__(
        self,
        network: RecurrentShape,
        bound: Bound,
        packing: Packing,
        *,
        linear_output: bool = False,
        input_gradient: bool = False,
        state_gradient: bool = False,
    ):
        self.network, self.bound, self.packing = network, bound, packing
        theta = bound.theta
        self.x = theta.new_empty(packing.size, network.n_inputs)
        self._turned = packing.reversed(theta.device) if network.bidirectional else None
        self._layers: list[_Layer] = []
        self.d_x = self.d_state = None
        if input_gradient and bound.trained:
            self.d_x = torch.empty_like(self.x)
        if state_gradient and bound.trained:
            self.d_state = theta.new_empty(packing.n_rows, sum(network.state_widths))
        source, d_source = self.x, self.d_x
        for i in range(network.n_layers):
            layer = _Layer(self, i, source, d_source)
            self._layers.append(layer)
            source, d_source = layer.out, layer.d_out
        skipped = self.x if network.input_skip else self.x[:, :0]
        self._pool = network.pool.passes(
            bound.blocks["pool"],
            bound.grads["pool"],
            packing,
            source,
            skipped,
            d_source,
            len(network.directions),
            network.path_rank,
        )
        first = network.n_pooled
        self._window, self._path = self._pool.out[:, first : first + network.path_rank], None
        self._read, self._mask = self._pool.out, None
        if network.dropout > 0 and bound.trained:  # of h; the pooling needs its own once more
            self._read = torch.ones_like(self._pool.out)
        self._weight = bound.blocks["output"]["weight"]
        self._d_weight = bound.grads["output"]["weight"] if bound.trained else None
        shape = 1, len(self._pool.out), network.n_outputs
        self.output, self.delta = theta.new_empty(shape), theta.new_empty(shape)
        name = "identity" if linear_output else network.output_activation
        self._activation = ACTIVATIONS[name]
        self._linear = self.output[0]
        if self._activation.needs_input:
            self._linear = torch.empty_like(self._linear)

    def forward(self) -> None:
        """From `x` to `output`."""
        for layer in self._layers:
            layer.forward()
        self._pool.forward()
        if self._read is not self._pool.out:
            self._read.copy_(self._pool.out)
            if self._mask is not None:
                self._dropped(self._read).mul_(self._mask)
        torch.mm(self._read, self._weight, out=self._linear)
        if self._path is not None:
            self._linear.add_(self._path)
        if self._activation.forward is not None:
            self._activation.forward(self._linear, out=self.output[0])

    def backward(self) -> None:
        """From `delta` to the gradient of every parameter, which is overwritten."""
        delta = self.delta[0]
        if self._activation.backward is not None:
            saved = self._linear if self._activation.needs_input else self.output[0]
            self._activation.backward(delta, saved)()
        torch.mm(self._read.mT, delta, out=self._d_weight)
        of_pool = self._weight[: self.network.n_pooled]
        torch.mm(delta, of_pool.mT, out=self._pool.d_out)
        if self._mask is not None:
            self._dropped(self._pool.d_out).mul_(self._mask)
        self._pool.backward()
        for layer in reversed(self._layers):
            layer.backward()
        if self.d_x is not None and self.network.input_skip:
            self.d_x.add_(self._pool.d_out[:, self.network.n_hidden :])
        if self.d_state is not None:
            parts = [part for layer in self._layers for part in layer.delta_initial]
            torch.cat(parts, dim=1, out=self.d_state)

    def draw_masks(self, keys: Tensor, seed: int, epoch: int) -> None:
        """New dropout masks for the sequences whose content hashes are `keys` (B,)."""
        row, t = self.packing.positions(keys.device)
        of_steps = keys[row] + t * STEP
        *lower, _ = self._layers
        for i, layer in enumerate(lower):
            layer.draw_mask(of_steps, mix(seed, epoch, i), self.network.dropout)
        keys = of_steps if self.network.pooling is None else keys
        width, dtype = self.network.n_hidden, self._read.dtype
        salt = mix(seed, epoch, len(lower))
        self._mask = dropout_mask(keys, salt, width, self.network.dropout, dtype)

    def _dropped(self, read: Tensor) -> Tensor:
        """The columns that dropout acts on."""
        return read[:, : self.network.n_hidden]

    def set_state(self, state: Tensor) -> None:
        """Begin at `state` (B, state width)."""
        parts = [part for layer in self._layers for part in layer.initial]
        parts += self._pool.initial
        split = state.split(self.network.state_widths, dim=1)
        for part, value in zip(parts, split, strict=False):  # of a window, the path is told
            part.copy_(value)

    def set_path(self, path: Tensor) -> None:
        """What windows come to (B, r + O): along the directions, and in the map begun with."""
        self._window.copy_(path[:, : self.network.path_rank])
        self._path = path[:, self.network.path_rank :]


STEP = 0x5851F42D4C957F2D  # keys of the steps of a sequence, apart from each other


class _Layer:
    """One recurrent layer in all its directions, with dropout on what the next one reads."""

    def __init__(self, passes: RecurrentPasses, i: int, x: Tensor, d_x: Tensor | None):
        network, packing = passes.network, passes.packing
        self._turned, self._x, self._d_x = passes._turned, x, d_x
        self._directions = []
        n_directions = len(network.directions)
        for direction in network.directions:
            backwards = direction == BACKWARD
            source = torch.empty_like(x) if backwards else x
            # each direction has its share of the gradient; one alone leaves it where it belongs
            d_source = d_x if d_x is None or n_directions == 1 else torch.empty_like(d_x)
            name, bound = f"{i}.{direction}", passes.bound
            part = layer_pass(
                network.cells[i],
                bound.blocks[name],
                bound.grads[name],
                packing,
                source,
                d_source,
                cache=None if packing.is_uniform else bound.caches[name],
                begins=passes.d_state is not None,
            )
            self._directions.append((part, source, d_source, backwards))
        first = self._directions[0][0]
        self.initial = () if network.bidirectional else first.initial
        self.delta_initial = first.delta_initial
        self._mask = None
        trained = passes.bound.trained
        drops = network.dropout > 0 and trained and i < network.n_layers - 1
        joined = n_directions > 1 or drops
        self.out, self.d_out = first.h, first.delta if trained else None
        if joined:
            shape = packing.size, network.n_hidden
            self.out = x.new_empty(shape)
            self.d_out = x.new_empty(shape) if trained else None
        self._width = network.hidden_size

    def forward(self) -> None:
        for i, (part, source, _, backwards) in enumerate(self._directions):
            if backwards:
                torch.index_select(self._x, 0, self._turned, out=source)
            part.forward()
            if self.out is not part.h:
                target = self.out[:, i * self._width : (i + 1) * self._width]
                target.copy_(part.h[self._turned] if backwards else part.h)
        if self._mask is not None:
            self.out.mul_(self._mask)

    def backward(self) -> None:
        if self._mask is not None:
            self.d_out.mul_(self._mask)
        for i, (part, _, d_source, backwards) in enumerate(self._directions):
            if self.d_out is not part.delta:
                share = self.d_out[:, i * self._width : (i + 1) * self._width]
                part.delta.copy_(share[self._turned] if backwards else share)
            part.backward()
            if d_source is not self._d_x:
                if backwards:
                    self._d_x.add_(d_source[self._turned])
                else:
                    self._d_x.copy_(d_source)

    def draw_mask(self, keys: Tensor, salt: int, rate: float) -> None:
        self._mask = dropout_mask(keys, salt, self.out.shape[1], rate, self.out.dtype)
