"""Networks as pure torch: no numpy, no scikit-learn, nothing about estimators.

A network here is a description: where its parameters lie in one flat vector, how they start,
how a batch goes forward and backward through preallocated buffers, and how to build a plain
`torch.nn.Module` from a flat vector.
"""

from ._activations import ACTIVATIONS
from ._dense import DenseAutoencoder
from ._modules import AutoencoderModule
from ._noise import mix
from ._passes import DensePasses

__all__ = ["ACTIVATIONS", "AutoencoderModule", "DenseAutoencoder", "DensePasses", "mix"]
