"""What a user gets for settings of autoencoders that are senseless together."""

import numpy as np
import pytest
from refusal import X, plain_id, refuse
from refusal import make as make_autoencoder

from skaernn import VariationalAutoencoderTransformer
from skaernn._core.compat import InvalidParameterError

CONVOLUTIONAL = {"architecture": "convolutional"}
LBFGS = "does not support {}: its line search needs the same loss throughout"


def own(n_features, n_components):
    raise AssertionError("refused before anything is built")


def make_variational(**parameters):
    small = {"hidden_layer_sizes": (4,), "max_iter": 2, "tol": 0, "random_state": 0}
    return VariationalAutoencoderTransformer(**{**small, **parameters})


# Of both kinds of autoencoders
SHARED = [
    ({"loss": "binary_cross_entropy", "output_activation": "relu"}, r"'logistic' \(or 'auto'\)"),
    ({"loss": "binary_cross_entropy", "scaling": "global"}, "needs scaling=None"),
    ({"loss": "binary_cross_entropy", "scaling": "standard"}, "needs scaling=None"),
    ({"loss": "poisson", "output_activation": "softplus"}, r"needs output_activation='exp' \(or"),
    ({"loss": "poisson", "output_activation": "identity"}, "got 'identity'"),
    ({"loss": "poisson", "scaling": "standard"}, r"needs scaling=None \(or 'auto'\)"),
    (
        {"image_shape": (1, 3)},
        r"image_shape=\(1, 3\) is read by architecture='convolutional' only",
    ),
    ({"image_shape": (1, 3), "architecture": own}, "got architecture=<function own"),
    ({**CONVOLUTIONAL, "hidden_layer_sizes": ()}, "needs the channels of at least one layer"),
    ({"architecture": own, "linear_path": True}, "linear_path=True is not possible with an"),
    ({"architecture": own, "dropout": 0.3}, "dropout=0.3 is not possible.*torch.nn.Dropout"),
    ({**CONVOLUTIONAL, "image_shape": (2, 2)}, "stands for 4 numbers a row, but X has 3 features"),
    ({**CONVOLUTIONAL, "image_shape": (3, 1, 3)}, "stands for 9 numbers a row"),
]
AUTOENCODER = [
    *SHARED,
    ({"solver": "lbfgs", "early_stopping": True}, LBFGS.format("early_stopping=True")),
    ({"solver": "lbfgs", "dropout": 0.5}, LBFGS.format("dropout=0.5")),
    ({"solver": "lbfgs", "corruption": "masking"}, LBFGS.format("corruption='masking'")),
    ({"code_penalty": "kl"}, "needs code_activation='logistic', got 'identity'"),
    ({"code_penalty": "kl", "code_activation": "tanh"}, "compares codes with probabilities"),
    ({"corruption": "masking", "corruption_level": 1.5}, "must be at most 1, got 1.5"),
    ({"corruption": "salt_and_pepper", "corruption_level": 2}, "replaces a share of the numbers"),
    ({"architecture": own, "tied_weights": True}, "its layers are not known to mirror each other"),
]
VARIATIONAL = [
    *SHARED,
    ({"solver": "lbfgs"}, "does not support variational autoencoders, which draw codes.*'adam'"),
]


def refuse_both_ways(make, parameters, words):
    model = make(**parameters)
    refuse(model, lambda: model.fit(X), ValueError, words)
    fitted = make().fit(X).set_params(**parameters)
    refuse(fitted, lambda: fitted.fit(X), ValueError, words)
    if hasattr(model, "partial_fit"):
        refuse(model, lambda: model.partial_fit(X), ValueError, words)


@pytest.mark.parametrize(("parameters", "words"), AUTOENCODER, ids=plain_id)
def test_autoencoder(parameters, words):
    refuse_both_ways(make_autoencoder, parameters, words)


@pytest.mark.parametrize(("parameters", "words"), VARIATIONAL, ids=plain_id)
def test_variational_autoencoder(parameters, words):
    refuse_both_ways(make_variational, parameters, words)


@pytest.mark.parametrize(
    "parameters",
    [
        {"corruption": "gaussian", "corruption_level": 1.5},
        {"corruption": "masking", "corruption_level": 1.0},
        {"corruption_level": 1.5},  # of no meaning without a corruption
        {"code_penalty": "kl", "code_activation": "logistic"},
        {"loss": "squared_error", "output_activation": "identity", "scaling": None},
        {**CONVOLUTIONAL, "image_shape": (3, 1)},
        {**CONVOLUTIONAL, "image_shape": [1, 1, 3]},
        {**CONVOLUTIONAL, "image_shape": np.array([1, 3])},
        {**CONVOLUTIONAL, "image_shape": (np.int64(3), 1)},
        CONVOLUTIONAL,
    ],
    ids=plain_id,
)
def test_neighbours_of_what_is_refused(parameters):
    codes = make_autoencoder(**parameters).fit_transform(X)
    assert codes.shape == (20, 2)
    assert np.isfinite(codes).all()


NAN, INF = float("nan"), float("inf")
FLAG = [None, 0, 1, "yes"]
AUTOENCODER_RANGES = {
    "image_shape": [(3,), (1, 1, 1, 3), (0, 3), (-1, -3), (1.0, 3.0), "13", 3, ("1", "3"), {1, 3}],
    "architecture": ["sparse", "", None, 1, ("dense",)],
    "code_penalty": ["l2", "", 0, True, ["l1"]],
    "penalty_strength": [-1e-9, NAN, INF, "1", None],
    "corruption": ["dropout", "", 0, True, ["masking"]],
    "corruption_level": [-0.1, NAN, INF, "1", None],
    "tied_weights": FLAG,
}
VARIATIONAL_RANGES = {
    "kl_weight": [-1e-9, NAN, INF, "1", None],
    "loss": ["absolute_error", "huber", "gaussian", None],
    "solver": ["newton", None],
    "n_components": [0, 1.0, -1, None],
    "image_shape": AUTOENCODER_RANGES["image_shape"],
    "architecture": AUTOENCODER_RANGES["architecture"],
}


def cases(table):
    return [(name, value) for name, values in table.items() for value in values]


@pytest.mark.parametrize(("name", "value"), cases(AUTOENCODER_RANGES), ids=plain_id)
def test_out_of_range_for_an_autoencoder(name, value):
    model = make_autoencoder(**{name: value})
    words = f"The '{name}' parameter of AutoencoderTransformer must be"
    refuse(model, lambda: model.fit(X), InvalidParameterError, words)


@pytest.mark.parametrize(("name", "value"), cases(VARIATIONAL_RANGES), ids=plain_id)
def test_out_of_range_for_a_variational_autoencoder(name, value):
    model = make_variational(**{name: value})
    words = f"The '{name}' parameter of VariationalAutoencoderTransformer must be"
    refuse(model, lambda: model.fit(X), InvalidParameterError, words)


@pytest.mark.parametrize("make", [make_autoencoder, make_variational])
@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (
            "poisson",
            r"loss='poisson' needs X to be non-negative, but it lies in \[-.*remove or shift",
        ),
        ("binary_cross_entropy", r"needs X to be in \[0, 1\].*MinMaxScaler"),
    ],
)
def test_rows_that_a_loss_has_no_meaning_for(make, loss, words):
    model = make(loss=loss)
    refuse(model, lambda: model.fit(X), ValueError, words)
    fitted = make(loss=loss).fit(abs(X) / 10)
    for method in ("reconstruction_error", "score_samples", "partial_fit"):
        with pytest.raises(ValueError, match=words):
            getattr(fitted, method)(X)
