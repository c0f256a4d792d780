"""scikit-learn estimators on PyTorch: autoencoders and recurrent networks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import datasets as datasets
    from . import networks as networks
    from . import testing as testing
    from ._estimators.autoencoder import AutoencoderTransformer
    from ._estimators.classifier import RNNSequenceClassifier
    from ._estimators.regressor import RNNSequenceRegressor
    from ._estimators.sequence_autoencoder import SequenceAutoencoderTransformer
    from ._estimators.stream import Stream
    from ._estimators.variational import VariationalAutoencoderTransformer
    from ._estimators.vectorizer import SequenceVectorizer
    from ._inputs.channels import channels_last
    from ._inputs.windows import sliding_windows
    from ._native.versions import show_versions

__all__ = [
    "AutoencoderTransformer",
    "RNNSequenceClassifier",
    "RNNSequenceRegressor",
    "SequenceAutoencoderTransformer",
    "SequenceVectorizer",
    "Stream",
    "VariationalAutoencoderTransformer",
    "channels_last",
    "show_versions",
    "sliding_windows",
]

# Imported when first asked for (PEP 562): most users want one of them.
_HOMES = {
    "AutoencoderTransformer": "._estimators.autoencoder",
    "RNNSequenceClassifier": "._estimators.classifier",
    "RNNSequenceRegressor": "._estimators.regressor",
    "SequenceAutoencoderTransformer": "._estimators.sequence_autoencoder",
    "SequenceVectorizer": "._estimators.vectorizer",
    "Stream": "._estimators.stream",
    "VariationalAutoencoderTransformer": "._estimators.variational",
    "channels_last": "._inputs.channels",
    "show_versions": "._native.versions",
    "sliding_windows": "._inputs.windows",
    "datasets": ".datasets",
    "networks": ".networks",
    "testing": ".testing",
}


if not TYPE_CHECKING:  # to a checker, it would have every name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = import_module(_HOMES[name], __name__)
        found = getattr(module, name) if name in __all__ else module
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
