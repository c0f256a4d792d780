"""Hand-written forward and backward passes of the dense autoencoder.

Every product and every activation writes into memory that was allocated once per batch size.
Activations are (K, B, width) for K models and B rows, weights (K, inputs, outputs). Autograd
through the module of the same parameters is their oracle in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._activations import ACTIVATIONS, Activation
from ._dense import DenseAutoencoder
from ._noise import dropout_mask, mix


@dataclass
class _Layer:
    """One affine map and its activation, bound to buffers."""

    weight: Tensor
    bias: Tensor
    grad_weight: Tensor
    grad_bias: Tensor
    activation: Activation
    input: Tensor
    z: Tensor
    a: Tensor
    output: Tensor  # a, or a with some of it dropped
    mask: Tensor | None
    delta: Tensor  # gradient with respect to output, then a, then z
    back_weight: Tensor | None  # carries delta to back_delta; None at the input
    back_delta: Tensor | None
    accumulate: bool  # back_delta already holds the path's share

    def forward(self) -> None:
        torch.baddbmm(self.bias, self.input, self.weight, out=self.z)
        if self.activation.forward is not None:
            self.activation.forward(self.z, out=self.a)
        if self.mask is not None:
            torch.mul(self.a, self.mask, out=self.output)

    def backward(self) -> None:
        delta = self.delta
        if self.mask is not None:
            delta.mul_(self.mask)
        if self.activation.backward is not None:
            self.activation.backward(delta, self.z if self.activation.needs_input else self.a)
        torch.bmm(self.input.mT, delta, out=self.grad_weight)
        torch.sum(delta, 1, keepdim=True, out=self.grad_bias)
        if self.accumulate:
            self.back_delta.baddbmm_(delta, self.back_weight)
        elif self.back_weight is not None:
            torch.bmm(delta, self.back_weight, out=self.back_delta)


class DensePasses:
    """Passes of a `DenseAutoencoder` over batches of one size.

    Parameters
    ----------
    network : DenseAutoencoder
    theta, grad : Tensor of shape (K, P); `grad` may be None
        Parameters, and where their gradient goes. Both are looked into, not copied. Without
        `grad` there is no `backward`.
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
        self.network, self.n_rows, self._theta = network, n_rows, theta
        self._grad = grad
        self._weights = network.layout.views(theta)
        self._grads = network.layout.views(theta if grad is None else grad)
        self._output_activation = "identity" if linear_output else network.output_activation
        n_features, n_components = network.n_features, network.n_components
        beside = network.hidden_layer_sizes if network.linear_path else ()
        # A path and the layer beside it read one buffer, so that they are one product:
        # [x | last hidden] makes the code, [last hidden | code] makes the output.
        self._inner = self._buffer(n_features + (beside[-1] if beside else 0))
        outer_width = n_components + (beside[0] if beside else 0)
        self._outer, self._outer_delta = self._buffer(outer_width), self._buffer(outer_width)
        self.x = self._inner[..., :n_features]
        self.output, self.delta = self._buffer(n_features), self._buffer(n_features)
        self.layers = [*self._encoder(bool(beside)), *self._decoder(bool(beside))]

    def forward(self) -> None:
        """From `x` to `output`."""
        for layer in self.layers:
            layer.forward()

    def backward(self) -> None:
        """From `delta` to the gradient of every parameter, which is overwritten."""
        assert self._grad is not None
        for layer in reversed(self.layers):
            layer.backward()

    def draw_masks(self, keys: Tensor, seed: int, epoch: int) -> None:
        """New dropout masks for the rows whose content hashes are `keys` (B,)."""
        for i, layer in enumerate(self.layers):
            if layer.mask is not None:
                salt = mix(seed, epoch, i)
                width = layer.mask.shape[-1]
                layer.mask.copy_(dropout_mask(keys, salt, width, self.network.dropout))

    def _buffer(self, width: int) -> Tensor:
        return self._theta.new_zeros(len(self._theta), self.n_rows, width)

    def _encoder(self, path: bool) -> list[_Layer]:
        network = self.network
        hidden, code = network.hidden_layer_sizes, network.n_components
        last = len(hidden)
        nodes = [self.x, *(self._buffer(width) for width in hidden), self._outer[..., -code:]]
        deltas = [None, *(self._buffer(width) for width in hidden),
                  self._outer_delta[..., -code:]]  # fmt: skip
        inputs, back = list(nodes), [w.mT for w in self._side_weights("encoder")]
        if path:
            nodes[last] = self._inner[..., network.n_features :]
            inputs[last] = self._inner
            back[last] = self._weights[f"encoder.{last}"][:, network.n_features :].mT
        back[0] = None
        return [
            self._layer(f"encoder.{i}", inputs[i], nodes[i + 1], deltas[i + 1], back[i], deltas[i])
            for i in range(last + 1)
        ]

    def _decoder(self, path: bool) -> list[_Layer]:
        network = self.network
        hidden, code = network.hidden_layer_sizes[::-1], network.n_components
        last = len(hidden)
        nodes = [self._outer[..., -code:], *(self._buffer(w) for w in hidden), self.output]
        deltas = [self._outer_delta[..., -code:], *(self._buffer(w) for w in hidden), self.delta]
        inputs, targets = list(nodes), list(deltas)
        if path:
            nodes[last], deltas[last] = self._outer[..., :-code], self._outer_delta[..., :-code]
            inputs[last], targets[last] = self._outer, self._outer_delta
        back = [w.mT for w in self._side_weights("decoder")]
        return [
            self._layer(f"decoder.{i}", inputs[i], nodes[i + 1], deltas[i + 1], back[i],
                        targets[i], accumulate=path and i == 0)
            for i in range(last + 1)
        ]  # fmt: skip

    def _side_weights(self, side: str) -> list[Tensor]:
        return [self._weights[f"{side}.{i}"]
                for i in range(len(self.network.hidden_layer_sizes) + 1)]  # fmt: skip

    def _layer(
        self,
        name: str,
        source: Tensor,
        node: Tensor,
        delta: Tensor,
        back_weight: Tensor | None,
        back_delta: Tensor | None,
        accumulate: bool = False,
    ) -> _Layer:
        hidden = int(name.split(".")[1]) < len(self.network.hidden_layer_sizes)
        dropout = hidden and self.network.dropout > 0
        if hidden:
            activation = ACTIVATIONS[self.network.activation]
        elif name.startswith("encoder"):
            activation = ACTIVATIONS[self.network.code_activation]
        else:
            activation = ACTIVATIONS[self._output_activation]
        a = self._buffer(node.shape[-1]) if dropout else node
        return _Layer(
            weight=self._weights[name],
            bias=self._weights[f"{name}.bias"],
            grad_weight=self._grads[name],
            grad_bias=self._grads[f"{name}.bias"],
            activation=activation,
            input=source,
            z=self._buffer(node.shape[-1]) if activation.needs_input else a,
            a=a,
            output=node,
            mask=self._buffer(node.shape[-1]) if dropout else None,
            delta=delta,
            back_weight=back_weight,
            back_delta=back_delta,
            accumulate=accumulate,
        )
