"""Forward and backward passes of a sequence autoencoder: those of two networks, joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ._noise import mix
from ._packing import Packing

if TYPE_CHECKING:
    from ._sequence_autoencoder import SequenceAutoencoder

_DECODER = 0x2545F491  # tells its dropout masks from the encoder's


class BoundAutoencoder:
    """Views of one model's parameters and gradients, as `Bound` has them, for both networks.

    Parameters
    ----------
    network : SequenceAutoencoder
    theta : Tensor of shape (1, P)
        Parameters. Looked into, not copied.
    grad : Tensor of shape (1, P) or None
        Where their gradient goes; without it there is no way back.
    """

    def __init__(self, network: SequenceAutoencoder, theta: Tensor, grad: Tensor | None):
        encoder, self.begin, decoder = network.split(theta)
        encoder_grad = self.d_begin = decoder_grad = None
        if grad is not None:
            encoder_grad, self.d_begin, decoder_grad = network.split(grad)
        self.encoder = network.encoder.bound(encoder, encoder_grad)
        self.decoder = network.decoder.bound(decoder, decoder_grad)


class SequenceAutoencoderPasses:
    """Passes of a `SequenceAutoencoder` over batches of one packing, for one model (K = 1).

    Parameters
    ----------
    network : SequenceAutoencoder
    bound : BoundAutoencoder
        Its parameters; of passes over sequences of unequal length, use those made last.
    packing : Packing
    linear_output : bool
        Leave out `output_activation`, for a loss defined on what comes before it.

    Attributes
    ----------
    x : Tensor of shape (S, C)
        Write the packed batch here.
    code : Tensor of shape (B, K)
        Holds the codes after `forward`.
    output : Tensor of shape (1, S, C)
        Holds the reconstruction after `forward`.
    delta : Tensor of shape (1, S, C)
        Write the gradient of the loss with respect to `output` here, before `backward`.
    """

    def __init__(
        self,
        network: SequenceAutoencoder,
        bound: BoundAutoencoder,
        packing: Packing,
        *,
        linear_output: bool = False,
    ):
        self.packing, self._bound = packing, bound
        self._encoder = network.encoder.passes(bound.encoder, packing)
        self._decoder = network.decoder.passes(
            bound.decoder, packing, linear_output=linear_output, input_gradient=True
        )
        self.x, self.code = self._encoder.x, self._encoder.output[0]
        self.output, self.delta = self._decoder.output, self._decoder.delta
        self._code = self.code.new_ones(packing.n_rows, network.n_components + 1)

    def forward(self) -> None:
        """From `x` to `output`."""
        self._encoder.forward()
        self._code[:, :-1] = self.code
        self._decoder.set_state(self._code @ self._bound.begin)
        self.packing.spread(self.code, out=self._decoder.x)
        self._decoder.forward()

    def backward(self) -> None:
        """From `delta` to the gradient of every parameter, which is overwritten."""
        decoder, begin = self._decoder, self._bound.begin
        decoder.backward()
        torch.mm(self._code.mT, decoder.d_state, out=self._bound.d_begin)
        d_code = self.packing.sums(decoder.d_x)  # a code is read at every step
        d_code.addmm_(decoder.d_state, begin[:-1].mT)
        self._encoder.delta[0] = d_code
        self._encoder.backward()

    def draw_masks(self, keys: Tensor, seed: int, epoch: int) -> None:
        """New dropout masks for the sequences whose content hashes are `keys` (B,)."""
        self._encoder.draw_masks(keys, seed, epoch)
        self._decoder.draw_masks(keys, mix(seed, _DECODER), epoch)
