"""Networks as pure torch: no numpy, no scikit-learn, nothing about estimators.

A network here is a description: where its parameters lie in one flat vector, how they start,
how a batch goes forward and backward through preallocated buffers, and how to build a plain
`torch.nn.Module` from a flat vector.
"""

from .._core.noise import mix, normal, uniform
from ._activations import ACTIVATIONS, SMALLEST_DEVIATION
from ._sequences.autoencoder import SequenceAutoencoder
from ._sequences.cells import CELLS
from ._sequences.compiled import CompiledNetwork
from ._sequences.custom import OwnRecurrentNetwork, recurrent_network
from ._sequences.embedding import UNKNOWN, EmbeddedModule, EmbeddedNetwork
from ._sequences.module import RecurrentModule, SequenceAutoencoderModule
from ._sequences.network import RecurrentNetwork
from ._sequences.packing import Packing
from ._sequences.passes import Bound, RecurrentPasses
from ._sequences.pooling import POOLINGS
from ._sequences.recorded import RecordedPasses
from ._sequences.shape import POOLED, WINDOW
from ._sequences.stepper import Stepper
from ._vectors.architectures import ARCHITECTURES
from ._vectors.compiled import CompiledSide, compiled_side
from ._vectors.convolutional import ConvolutionalAutoencoder, check_image_shape
from ._vectors.corruptions import CORRUPTIONS, Corrupter, Corruption, Range
from ._vectors.custom import CustomAutoencoder
from ._vectors.dense import DenseAutoencoder
from ._vectors.interface import AutoencoderNetwork, CompiledPasses, Passes, Spread
from ._vectors.module import LOG_VARIANCES, AutoencoderModule, VariationalModule
from ._vectors.penalties import L1, PENALTIES, Penalty, StandardNormal, divergences

__all__ = [
    "ACTIVATIONS",
    "ARCHITECTURES",
    "CELLS",
    "CORRUPTIONS",
    "L1",
    "LOG_VARIANCES",
    "PENALTIES",
    "POOLED",
    "POOLINGS",
    "SMALLEST_DEVIATION",
    "UNKNOWN",
    "WINDOW",
    "AutoencoderModule",
    "AutoencoderNetwork",
    "Bound",
    "CompiledNetwork",
    "CompiledPasses",
    "CompiledSide",
    "ConvolutionalAutoencoder",
    "Corrupter",
    "Corruption",
    "CustomAutoencoder",
    "DenseAutoencoder",
    "EmbeddedModule",
    "EmbeddedNetwork",
    "OwnRecurrentNetwork",
    "Packing",
    "Passes",
    "Penalty",
    "Range",
    "RecordedPasses",
    "RecurrentModule",
    "RecurrentNetwork",
    "RecurrentPasses",
    "SequenceAutoencoder",
    "SequenceAutoencoderModule",
    "Spread",
    "StandardNormal",
    "Stepper",
    "VariationalModule",
    "check_image_shape",
    "compiled_side",
    "divergences",
    "mix",
    "normal",
    "recurrent_network",
    "uniform",
]

# Descriptions are pickled with the estimators: under this name, whatever file they move to.
for _description in (
    ConvolutionalAutoencoder,
    CustomAutoencoder,
    DenseAutoencoder,
    EmbeddedNetwork,
    OwnRecurrentNetwork,
    RecurrentNetwork,
    SequenceAutoencoder,
):
    _description.__module__ = __name__
del _description
