"""Hand-written forward and backward passes of the dense autoencoder.

A pass is a tape: a list of operations with all their arguments bound, recorded once for a batch
size, each writing into memory allocated then. They are calls of torch, or what compiled kernels go
through in one call. Activations are (K, B, width) for K models and B rows. Autograd through the
module of the same parameters is the oracle in the tests.
"""

from __future__ import annotations

from torch import Tensor

from ..._core.noise import dropout_mask, mix
from .._activations import ACTIVATIONS
from .._operations import Operations, TorchOperations
from .dense_shape import DenseShape
from .interface import Passes
from .module import LOG_VARIANCES
from .penalties import Penalty


class DensePasses(Passes):
    """Passes of a `DenseAutoencoder` over batches of one size.

    Parameters
    ----------
    network : DenseShape
    theta : Tensor of shape (K, P)
        Parameters. Looked into, not copied.
    grad : Tensor of shape (K, P) or None
        Where their gradient goes; without it there is no `backward`.
    n_rows : int
        Rows B of a batch.
    linear_output : bool
        Leave out `output_activation`, for a loss defined on what comes before it.
    penalty : Penalty or None
        What else there is a gradient from.
    operations : Operations or None
        What makes the operations of the tapes; None: `TorchOperations`. Only torch's can be run
        by `forward` and `backward`.

    See `Passes` for the other attributes.

    Attributes
    ----------
    tapes : tuple of list
        The operations forward and backward, in order.
    masks : list of Tensor
        Memory for the masks of dropout.
    """

    def __init__(
        self,
        network: DenseShape,
        theta: Tensor,
        grad: Tensor | None,
        n_rows: int,
        *,
        linear_output: bool = False,
        penalty: Penalty | None = None,
        operations: Operations | None = None,
    ):
        self.network = network
        self._operations = operations or TorchOperations()
        self._theta, self._n_rows = theta, n_rows
        self._blocks = network.layout.views(theta)
        self._grads = None if grad is None else network.layout.views(grad)
        self._forward: list = []
        self._backward: list = []
        self.tapes = self._forward, self._backward
        self.masks: list[Tensor] = []
        n_features, n_components = network.n_features, network.n_components
        hidden = network.hidden_layer_sizes if network.has_path else (0,)
        # With a path: [last hidden | what the path reads | 1], so that both are one product.
        inner = self._buffer(hidden[-1] + n_features, ones=True)
        outer = self._buffer(hidden[0] + n_components, ones=True)
        outer_delta = self._buffer(hidden[0] + n_components)
        self.x = inner[..., -1 - n_features : -1]
        self.output, self.delta = self._buffer(n_features), self._buffer(n_features)
        code, d_code = outer[..., -1 - n_components : -1], outer_delta[..., -n_components:]
        self.encoded, d_encoder = code, d_code
        if network.variational:
            self.encoded, d_encoder = (self._buffer(network.n_encoded) for _ in range(2))
        self._record("encoder", inner, None, self.encoded, d_encoder, network.code_activation)
        if penalty is not None:
            self.d_encoded = self._buffer(network.n_encoded)
            # the tape of `backward` is turned round: this comes before the encoder's own part
            self._backward += self._operations.add(self.d_encoded, d_encoder)
        if network.variational:
            self.noise = self._buffer(n_components)
            forward, backward = self._operations.draw(
                self.encoded, LOG_VARIANCES, self.noise, code, d_code, d_encoder
            )
            self._forward += forward
            if grad is not None:
                self._backward += reversed(backward)
        output_activation = "identity" if linear_output else network.output_activation
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
        for mask, new in zip(self.masks, self.new_masks(keys, seed, epoch), strict=True):
            mask.copy_(new)

    def new_masks(self, keys: Tensor, seed: int, epoch: int) -> list[Tensor]:
        """The same masks (B, width) for any number of rows."""
        rate = self.network.dropout
        return [
            dropout_mask(keys, mix(seed, epoch, i), mask.shape[-1], rate, mask.dtype)
            for i, mask in enumerate(self.masks)
        ]

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
            self._record_layer(name, source, node, delta, target, activation, not last, accumulate)
            if not last:
                source, target, accumulate = next_source, next_target, False

    def _record_layer(
        self,
        name: str,
        source: Tensor,
        node: Tensor,
        delta: Tensor,
        target: Tensor | None,
        activation: str,
        hidden: bool,
        accumulate: bool,
    ) -> None:
        """One layer: `source` (with ones) to `node`; `delta` at the node to `target`."""
        width, make = node.shape[-1], self._operations
        drops = hidden and self.network.dropout > 0
        needs_input = ACTIVATIONS[activation].needs_input
        a = self._buffer(width) if drops else node
        z = self._buffer(width) if needs_input else a
        self._record_product(name, source, z)
        self._forward += make.activate(activation, z, a)
        if drops:
            mask = self._buffer(width)
            self.masks.append(mask)
            self._forward += make.multiply(a, mask, node)
        if self._grads is None:
            return
        backward = make.multiply(delta, mask, delta) if drops else []
        backward += make.differentiate(activation, z if needs_input else a, delta)
        backward += self._gradients(name, source, delta, target, accumulate)
        self._backward.extend(reversed(backward))  # the whole tape is turned round at the end

    def _record_product(self, name: str, source: Tensor, z: Tensor) -> None:
        """Record the affine part of a layer, `source` (with ones) to `z`."""
        block, make = self._blocks[name], self._operations
        terms = self._tied(name, source, None, self._blocks)
        if terms is None:
            self._forward += make.product(source, block, z)
            return
        self._forward += make.copy(block, z)  # the bias
        for read, _, of in terms:
            self._forward += make.product(read, of.mT, z, adds=True)

    def _gradients(
        self, name: str, source: Tensor, delta: Tensor, target: Tensor | None, accumulate: bool
    ) -> list:
        """Operations from `delta` before a layer's activation to its weights and to `target`."""
        make = self._operations
        terms = self._tied(name, source, target, self._grads)
        if terms is not None:
            weights = self._tied(name, source, target, self._blocks)
            tape = make.sum(delta, self._grads[name])
            for (read, share, d_of), (_, _, of) in zip(terms, weights, strict=True):
                tape += make.gradient(delta, read, d_of)
                tape += make.product(delta, of, share, adds=accumulate)
            return tape
        d_block, tied = self._grads[name], self.network.tied_weights
        # with tied weights the decoder has left its share of their gradient
        tape = make.clear(d_block[:, -1]) if tied else []
        tape += make.gradient(source, delta, d_block, adds=tied)
        if target is not None:
            weight = self._blocks[name][:, : target.shape[-1]].mT
            tape += make.product(delta, weight, target, adds=accumulate)
        return tape

    def _tied(self, name: str, source: Tensor, target: Tensor | None, blocks: dict[str, Tensor]):
        """Parts of a layer whose weights are the encoder's, transposed; None for other layers.

        A list of (columns of `source` that it reads, columns of `target` where their gradient
        goes, part of an encoder's block).
        """
        side, i = name.split(".")
        network = self.network
        if not network.tied_weights or side == "encoder":
            return None
        mirror = network.n_hidden - int(i)
        n_in, n_out = network.sides[side][int(i)], network.sides[side][int(i) + 1]
        parts = [(slice(n_in), blocks[f"encoder.{mirror}"][:, :n_out])]
        if network.has_path and mirror == 0:
            last = blocks[f"encoder.{network.n_hidden}"]
            parts.append((slice(n_in, n_in + network.n_components), last[:, -1 - n_out : -1]))
        return [
            (source[..., columns], None if target is None else target[..., columns], part)
            for columns, part in parts
        ]
