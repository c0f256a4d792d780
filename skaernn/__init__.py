"""scikit-learn estimators on PyTorch: autoencoders (and, next, recurrent networks)."""

from ._autoencoder import AutoencoderTransformer

__version__ = "0.1.0"
__all__ = ["AutoencoderTransformer"]
