"""Networks as pure torch: no numpy, no scikit-learn, nothing about estimators.

A network here is a description: where its parameters lie in one flat vector, how they start,
how a batch goes forward and backward through preallocated buffers, and how to build a plain
`torch.nn.Module` from a flat vector.
"""

from ._activations import ACTIVATIONS
from ._cells import CELLS
from ._dense import DenseAutoencoder
from ._modules import AutoencoderModule
from ._noise import mix
from ._packing import Packing
from ._passes import DensePasses
from ._pooling import POOLINGS
from ._recurrent import RecurrentNetwork
from ._recurrent_module import (
    SMALLEST_DEVIATION,
    RecurrentModule,
    SequenceAutoencoderModule,
)
from ._recurrent_passes import Bound, RecurrentPasses
from ._sequence_autoencoder import SequenceAutoencoder
from ._stepping import Stepper

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "POOLINGS",
    "SMALLEST_DEVIATION",
    "AutoencoderModule",
    "Bound",
    "DenseAutoencoder",
    "DensePasses",
    "Packing",
    "RecurrentModule",
    "RecurrentNetwork",
    "RecurrentPasses",
    "SequenceAutoencoder",
    "SequenceAutoencoderModule",
    "Stepper",
    "mix",
]
