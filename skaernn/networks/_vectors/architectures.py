"""The kinds of autoencoders of vectors that have a name."""

from __future__ import annotations

from .convolutional import ConvolutionalAutoencoder
from .dense import DenseAutoencoder
from .interface import AutoencoderNetwork

ARCHITECTURES: dict[str, type[AutoencoderNetwork]] = {
    "dense": DenseAutoencoder,
    "convolutional": ConvolutionalAutoencoder,
}
