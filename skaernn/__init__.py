"""scikit-learn estimators on PyTorch: autoencoders and recurrent networks."""

from ._autoencoder import AutoencoderTransformer
from ._recurrent_classifier import RNNSequenceClassifier
from ._recurrent_regressor import RNNSequenceRegressor
from ._variational import VariationalAutoencoderTransformer
from ._windows import sliding_windows

__version__ = "0.1.0"
__all__ = [
    "AutoencoderTransformer",
    "RNNSequenceClassifier",
    "RNNSequenceRegressor",
    "VariationalAutoencoderTransformer",
    "sliding_windows",
]
