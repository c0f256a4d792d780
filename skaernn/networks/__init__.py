"""Networks as pure torch: no numpy, no scikit-learn, nothing about estimators.

A network here is a description: where its parameters lie in one flat vector, how they start,
how a batch goes forward and backward through preallocated buffers, and how to build a plain
`torch.nn.Module` from a flat vector.
"""

from ._activations import ACTIVATIONS
from ._architectures import ARCHITECTURES
from ._autoencoder import AutoencoderNetwork, Passes
from ._cells import CELLS
from ._convolutional import check_image_shape
from ._corruptions import CORRUPTIONS, Corrupter, Range
from ._custom import CustomAutoencoder
from ._dense import DenseAutoencoder
from ._modules import AutoencoderModule, VariationalModule
from ._noise import mix, normal, uniform
from ._packing import Packing
from ._penalties import PENALTIES, Penalty, StandardNormal, divergences
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
    "ARCHITECTURES",
    "CELLS",
    "CORRUPTIONS",
    "PENALTIES",
    "POOLINGS",
    "SMALLEST_DEVIATION",
    "AutoencoderModule",
    "AutoencoderNetwork",
    "Bound",
    "Corrupter",
    "CustomAutoencoder",
    "DenseAutoencoder",
    "Packing",
    "Passes",
    "Penalty",
    "Range",
    "RecurrentModule",
    "RecurrentNetwork",
    "RecurrentPasses",
    "SequenceAutoencoder",
    "SequenceAutoencoderModule",
    "StandardNormal",
    "Stepper",
    "VariationalModule",
    "check_image_shape",
    "divergences",
    "mix",
    "normal",
    "uniform",
]
