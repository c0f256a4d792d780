"""The kinds of autoencoders of vectors that have a name."""

from __future__ import annotations

from ._autoencoder import AutoencoderNetwork
from ._convolutional import ConvolutionalAutoencoder
from ._dense import DenseAutoencoder

ARCHITECTURES: dict[str, type[AutoencoderNetwork]] = {
    "dense": DenseAutoencoder,
    "convolutional": ConvolutionalAutoencoder,
}
