"""Hand-written forward and backward passes of the dense autoencoder.

A pass is a tape: a list of torch calls with all their arguments bound, recorded once for a batch
size, each writing into memory allocated then. Activations are (K, B, width) for K models and B
rows. Autograd through the module of the same parameters is the oracle in the tests.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from ._activations import ACTIVATIONS, Activation, Operation
from ._dense import DenseAutoencoder
from ._noise import dropout_mask, mix

Tape = list[Operation]


class DensePasses:
    """Passes of a `DenseAutoencoder` over batches of one size.

    Parameters
    ----------
    network : DenseAutoencoder
    theta : Tensor of shape (K, P)
        Parameters. Looked into, not copied.
    grad : Tensor of shape (K, P) or None
        Where their gradient goes; without it there is no `backward`.
    n_rows : int
        Rows B of a batch.
    linear_output : bool
        Leave out `output_activation`, for a loss defined on what comes before it.

    Attributes
    ----------
    x : Tensor of shape (K, B, F)
        Write the batch here.
    output : Tensor of shape (K, B, F)
        Holds the reconstruction after `forward`.
    delta : Tensor of shape (K, B, F)
        Write the gradient of the loss with respect to `output` here, before `backward`.
    """

    def __init__(
        self,
        network: DenseAutoencoder,
        theta: Tensor,
        grad: Tensor | None,
        n_rows: int,
        *,
        linear_output: bool = False,
    ):
        self.network = network
        self._theta, self._n_rows = theta, n_rows
        self._blocks = network.layout.views(theta)
        self._grads = None if grad is None else network.layout.views(grad)
        self._forward: Tape = []
        self._backward: Tape = []
        self._masks: list[Tensor] = []
        n_features, n_components = network.n_features, network.n_components
        hidden = network.hidden_layer_sizes if network.has_path else (0,)
        # With a path: [last hidden | what the path reads | 1], so that both are one product.
        inner = self._buffer(hidden[-1] + n_features, ones=True)
        outer = self._buffer(hidden[0] + n_components, ones=True)
        outer_delta = self._buffer(hidden[0] + n_components)
        self.x = inner[..., -1 - n_features : -1]
        self.output, self.delta = self._buffer(n_features), self._buffer(n_features)
        code, code_delta = outer[..., -1 - n_components : -1], outer_delta[..., -n_components:]
        output_activation = "identity" if linear_output else network.output_activation
        self._record("encoder", inner, None, code, code_delta, network.code_activation)
        self._record("decoder", outer, outer_delta, self.output, self.delta, output_activation)
        self._backward.reverse()

    def forward(self) -> None:
        """From `x` to `output`."""
        for operation in self._forward:
            operation()

    def backward(self) -> None:
        """From `delta` to the gradient of every parameter, which is overwritten."""
        for operation in self._backward:
            operation()

    def draw_masks(self, keys: Tensor, seed: int, epoch: int) -> None:
        """New dropout masks for the rows whose content hashes are `keys` (B,)."""
        for i, mask in enumerate(self._masks):
            salt, width = mix(seed, epoch, i), mask.shape[-1]
            mask.copy_(dropout_mask(keys, salt, width, self.network.dropout, mask.dtype))

    def _buffer(self, width: int, ones: bool = False) -> Tensor:
        """Memory (K, B, width), with a column of ones behind it if `ones`."""
        shape = len(self._theta), self._n_rows, width + ones
        return self._theta.new_ones(shape) if ones else self._theta.new_zeros(shape)

    def _record(
        self,
        side: str,
        entry: Tensor,
        entry_delta: Tensor | None,
        exit_node: Tensor,
        exit_delta: Tensor,
        exit_activation: str,
    ) -> None:
        """Record the layers of one side, from what it reads to what it writes.

        `entry` is [last hidden | input | 1] with a path, else [input | 1]; `entry_delta`, the
        gradient with respect to all of it but the ones, is None where nobody asks for it.
        """
        network = self.network
        n_in, *widths = network.sides[side]
        source = entry[..., -1 - n_in :]
        target = None if entry_delta is None else entry_delta[..., -n_in:]
        # the path has already left its share of the gradient where the first layer leaves its own
        accumulate = network.has_path and target is not None
        for i, width in enumerate(widths):
            name, last = f"{side}.{i}", i == network.n_hidden
            if last:
                node, delta, activation = exit_node, exit_delta, exit_activation
            elif network.has_path and i == network.n_hidden - 1:
                node, next_source = entry[..., :width], entry
                next_target = self._buffer(width) if entry_delta is None else entry_delta
                delta, activation = next_target[..., :width], network.activation
            else:
                next_source = self._buffer(width, ones=True)
                node, delta = next_source[..., :-1], self._buffer(width)
                next_target, activation = delta, network.activation
            self._record_layer(
                name, source, node, delta, target, ACTIVATIONS[activation], not last, accumulate
            )
            if not last:
                source, target, accumulate = next_source, next_target, False

    def _record_layer(
        self,
        name: str,
        source: Tensor,
        node: Tensor,
        delta: Tensor,
        target: Tensor | None,
        activation: Activation,
        hidden: bool,
        accumulate: bool,
    ) -> None:
        """One layer: `source` (with ones) to `node`; `delta` at the node to `target`."""
        width, block = node.shape[-1], self._blocks[name]
        drops = hidden and self.network.dropout > 0
        a = self._buffer(width) if drops else node
        z = self._buffer(width) if activation.needs_input else a
        self._forward.append(_product(source, block, out=z))
        if activation.forward is not None:
            self._forward.append(partial(activation.forward, z, out=a))
        if drops:
            mask = self._buffer(width)
            self._masks.append(mask)
            self._forward.append(partial(torch.mul, a, mask, out=node))
        if self._grads is None:
            return
        backward: Tape = []
        if drops:
            backward.append(partial(delta.mul_, mask))
        if activation.backward is not None:
            saved = z if activation.needs_input else a
            backward.append(activation.backward(delta, saved))
        backward.append(_product(source.mT, delta, out=self._grads[name]))
        if target is not None:
            weight = block[:, : target.shape[-1]].mT
            if accumulate:
                backward.append(partial(target.baddbmm_, delta, weight))
            else:
                backward.append(_product(delta, weight, out=target))
        self._backward.extend(reversed(backward))  # the whole tape is turned round at the end


def _product(a: Tensor, b: Tensor, *, out: Tensor) -> Operation:
    """Operation that writes the product of `a` and `b`, model by model, into `out`."""
    if out.shape[0] == 1:  # `bmm` takes a slower way into memory with gaps
        return partial(torch.mm, a[0], b[0], out=out[0])
    return partial(torch.bmm, a, b, out=out)
