"""Parameters and values under the names that they have elsewhere: what was meant is named."""

import inspect

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import InvalidParameterError

from skaernn import (
    AutoencoderTransformer,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)

KINDS = [
    AutoencoderTransformer,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
    VariationalAutoencoderTransformer,
]
X = np.random.default_rng(0).normal(size=(10, 4))
VALUES = [
    (RNNSequenceRegressor, {"loss": "mse"}, "'squared_error'"),
    (RNNSequenceRegressor, {"loss": "mae"}, "'absolute_error'"),
    (RNNSequenceRegressor, {"cell": "LSTM"}, "'lstm'"),
    (RNNSequenceRegressor, {"solver": "Adam"}, "'adam'"),
    (RNNSequenceRegressor, {"pooling": "avg"}, "'mean'"),
    (RNNSequenceRegressor, {"pooling": "atention"}, "'attention'"),
    (RNNSequenceRegressor, {"dtype": "float"}, "'float64'"),
    (RNNSequenceRegressor, {"scaling": "none"}, "None"),
    (AutoencoderTransformer, {"activation": "sigmoid"}, "'logistic'"),
    (AutoencoderTransformer, {"activation": "ReLU"}, "'relu'"),
    (AutoencoderTransformer, {"architecture": "conv"}, "'convolutional'"),
    (AutoencoderTransformer, {"loss": "bce"}, "'binary_cross_entropy'"),
    (AutoencoderTransformer, {"device": "gpu"}, "'cuda'"),
]
NAMES = [
    (AutoencoderTransformer, "epochs", "max_iter"),
    (AutoencoderTransformer, "latent_dim", "n_components"),
    (AutoencoderTransformer, "lr", "learning_rate"),
    (AutoencoderTransformer, "optimizer", "solver"),
    (VariationalAutoencoderTransformer, "beta", "kl_weight"),
    (RNNSequenceRegressor, "units", "hidden_size"),
    (RNNSequenceRegressor, "num_layers", "n_layers"),
    (RNNSequenceClassifier, "random_seed", "random_state"),
    (RNNSequenceClassifier, "bidirectionnal", "bidirectional"),
    (SequenceAutoencoderTransformer, "weight_decay", "alpha"),
]


@pytest.mark.parametrize(("kind", "params", "meant"), VALUES, ids=str)
def test_a_value(kind, params, meant):
    arguments = (X,) if "Autoencoder" in kind.__name__ else (X, X[:, 0])
    with pytest.raises(InvalidParameterError) as refused:
        kind(**params).fit(*arguments)
    message = str(refused.value)
    assert message.endswith(f" Did you mean {meant}?")
    assert message.startswith(f"The {next(iter(params))!r} parameter of {kind.__name__} must be")


def test_a_value_like_nothing():
    with pytest.raises(InvalidParameterError) as refused:
        RNNSequenceRegressor(loss="xyzzy").fit(X, X[:, 0])
    assert "Did you mean" not in str(refused.value)


@pytest.mark.parametrize(("kind", "name", "meant"), NAMES, ids=str)
def test_a_name(kind, name, meant):
    with pytest.raises(TypeError, match=rf"argument {name!r}.*Did you mean {meant}\?"):
        kind(**{name: 1})
    with pytest.raises(ValueError, match=rf"Invalid parameter {name!r}.*Did you mean {meant!r}\?"):
        kind().set_params(**{name: 1})


def test_a_name_in_a_search():
    search = GridSearchCV(RNNSequenceRegressor(), {"epochs": [1]}, cv=2)
    with pytest.raises(ValueError, match=r"Did you mean 'max_iter'\?"):
        search.fit(X, X[:, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_constructors_are_seen_as_they_are_written(kind):
    names = list(inspect.signature(kind).parameters)
    assert "random_state" in names
    assert not {"args", "parameters", "kwargs"} & set(names)
    assert kind().get_params().keys() == set(names)
    assert clone(kind(max_iter=7)).max_iter == 7
    with pytest.raises(TypeError, match="positional"):
        kind(1, 2, 3, 4)
