"""scikit-learn estimators on PyTorch: autoencoders and recurrent networks."""

from ._autoencoder import AutoencoderTransformer
from ._recurrent_classifier import RNNSequenceClassifier
from ._recurrent_regressor import RNNSequenceRegressor
from ._sequence_autoencoder import SequenceAutoencoderTransformer
from ._variational import VariationalAutoencoderTransformer
from ._windows import sliding_windows

__version__ = "0.1.0"
__all__ = [
    "AutoencoderTransformer",
    "RNNSequenceClassifier",
    "RNNSequenceRegressor",
    "SequenceAutoencoderTransformer",
    "VariationalAutoencoderTransformer",
    "sliding_windows",
]
