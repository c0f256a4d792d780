"""What a user gets for wrong parameters of the recurrent estimators, and at wrong moments."""

import builtins
import pickle

import numpy as np
import pytest
import torch
from refusal import plain_id
from sequence_refusal import LABELS, SMALL, X, Y, classifier, refuse, regressor, targets_of
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from test_bad_parameters import CHOICES as COMMON_CHOICES
from test_bad_parameters import FLAG, NO_CHOICES, OUT_OF_RANGE, Callback, Refused, cases

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor, sliding_windows
from skaernn._core.compat import InvalidParameterError
from skaernn._losses.targets import TARGET_LOSSES
from skaernn.networks import ACTIVATIONS, CELLS, POOLINGS

NAN, INF = float("nan"), float("inf")
POSITIVE_INT = OUT_OF_RANGE["max_iter"]
OF_THE_AUTOENCODER = ("n_components", "hidden_layer_sizes", "linear_path")
BAD_VALUES = {
    **{name: bad for name, bad in OUT_OF_RANGE.items() if name not in OF_THE_AUTOENCODER},
    "hidden_size": [*POSITIVE_INT, (32,), [32]],
    "n_layers": [*POSITIVE_INT, 1001, 10**12],
    "n_channels": [*POSITIVE_INT, "auto"],
    "bidirectional": FLAG,
    "return_sequences": FLAG,
    "input_skip": FLAG,
    "max_grad_norm": [0, -1, NAN, INF, "a", [1.0]],
}
BAD_OF_ONE = {
    regressor: {"quantile": [0, 1, 0.0, 1.0, -0.1, 1.5, NAN, "a", None, [0.1, 0.9]]},
    classifier: {"class_weight": ["balance", "", 1.0, [1, 2], ["balanced"], True, {"a"}, LABELS]},
}
CHOICES = {
    **{name: COMMON_CHOICES[name] for name in ("solver", "schedule", "dtype", "device")},
    "cell": CELLS,
    "activation": ["tanh", "relu"],
    "pooling": POOLINGS,
    "scaling": ["standard"],
}
CHOICES_OF_THE_REGRESSOR = {"loss": TARGET_LOSSES, "output_activation": ACTIVATIONS}
OTHER_NAMES = {
    "cell": ["LSTM", "GRU", "elman", torch.nn.LSTM, None],
    "activation": ["logistic", "sigmoid", None],
    "pooling": ["first", "sum", None],
    "scaling": ["global", "auto", "minmax"],
    "loss": ["mse", "log_loss", "cross_entropy", None],
    "output_activation": ["auto", "softmax", "exp", None],
}


def refuse_parameter(make, name, value):
    model = make(**{name: value})
    kind = type(model).__name__
    message = f"The '{name}' parameter of {kind} must be "
    y = LABELS if make is classifier else Y
    refuse(model, lambda: model.fit(X, y), InvalidParameterError, f"{message}.*Got ")
    if hasattr(model, "partial_fit"):
        more = {"classes": np.unique(y)} if make is classifier else {}
        refuse(model, lambda: model.partial_fit(X, y, **more), InvalidParameterError, message)


@pytest.fixture(scope="module")
def fitted():
    return {make: make().fit(X, y) for make, y in ((regressor, Y), (classifier, LABELS))}


@pytest.mark.parametrize(("name", "value"), cases(BAD_VALUES), ids=plain_id)
def test_out_of_range(name, value):
    for make in (regressor, classifier):
        refuse_parameter(make, name, value)


@pytest.mark.parametrize("make", BAD_OF_ONE)
def test_out_of_range_for_one(make):
    for name, value in cases(BAD_OF_ONE[make]):
        refuse_parameter(make, name, value)


@pytest.mark.parametrize("make", [regressor, classifier])
def test_a_refused_parameter_leaves_the_last_fit(make, fitted):
    y = LABELS if make is classifier else Y
    for name, value in (("max_iter", 0), ("cell", "LSTM"), ("n_layers", 0), ("pooling", "sum")):
        model = pickle.loads(pickle.dumps(fitted[make])).set_params(**{name: value})
        refuse(model, lambda m=model: m.fit(X, y), InvalidParameterError, f"'{name}'.*Got")


def choices():
    for make in (regressor, classifier):
        of_one = CHOICES_OF_THE_REGRESSOR if make is regressor else {}
        for name, known in {**CHOICES, **of_one}.items():
            for value in NO_CHOICES + OTHER_NAMES.get(name, []):
                is_choice = (value is None and name == "scaling") or (
                    callable(value) and name == "cell"  # a function: see test_own_cells.py
                )
                if not is_choice:
                    yield make, name, value, known


@pytest.mark.parametrize(("make", "name", "value", "known"), list(choices()), ids=plain_id)
def test_unknown_choices_name_the_known_ones(make, name, value, known):
    refuse_parameter(make, name, value)
    with pytest.raises(InvalidParameterError) as caught:
        make(**{name: value}).fit(X, targets_of(make()))
    assert all(repr(choice) in str(caught.value) for choice in known)


@pytest.mark.parametrize("make", [regressor, classifier])
def test_a_word_as_learning_rate_names_the_schedule(make):
    model = make(learning_rate="adaptive")
    words = "parameter schedule, one of .*'cosine'"
    refuse(model, lambda: model.fit(X, targets_of(model)), InvalidParameterError, words)


@pytest.mark.parametrize(
    ("odd", "plain"),
    [
        ({"hidden_size": np.int64(5)}, {"hidden_size": 5}),
        ({"n_layers": np.uint8(2)}, {"n_layers": 2}),
        ({"n_channels": np.int32(2)}, {"n_channels": 2}),
        ({"bidirectional": np.True_}, {"bidirectional": True}),
        ({"input_skip": np.False_}, {"input_skip": False}),
        ({"cell": np.str_("lstm")}, {"cell": "lstm"}),
        ({"max_grad_norm": 1}, {"max_grad_norm": 1.0}),
        ({"quantile": np.float32(0.5), "loss": "quantile"}, {"loss": "quantile"}),
        ({"batch_size": 10**9}, {"batch_size": 8}),
        ({"device": torch.device("cpu")}, {"device": "cpu"}),
        ({"dtype": "float64"}, {"dtype": None}),
    ],
    ids=plain_id,
)
def test_other_spellings_of_the_same(odd, plain):
    model = clone(regressor(**odd)).fit(X.reshape(8, 12), Y)
    expected = regressor(**plain).fit(X.reshape(8, 12), Y)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), expected.predict(X))


@pytest.mark.parametrize(
    "device",
    [
        *["meta", "cuda:99", torch.device("meta"), "vulkan"],
        *(["cuda"] if not torch.cuda.is_available() else []),
        *(["mps"] if not torch.backends.mps.is_available() else []),
    ],
    ids=plain_id,
)
def test_absent_devices(device):
    for model in (regressor(device=device), classifier(device=device)):
        words = f"device='{device}' was requested but is not available here; available: 'cpu'"
        refuse(model, lambda m=model: m.fit(X, targets_of(m)), ValueError, words)


OWN = "has an output activation of its own; leave output_activation"
SENSELESS = [
    (regressor, {"solver": "lbfgs", "early_stopping": True}, "not support early_stopping=True"),
    (regressor, {"solver": "lbfgs", "dropout": 0.5}, "does not support dropout=0.5"),
    (classifier, {"solver": "lbfgs", "early_stopping": True}, "not support early_stopping=True"),
    *(
        (make, {"return_sequences": True, "pooling": name}, f"pooling='{name}' makes one vector")
        for make in (regressor, classifier)
        for name in POOLINGS
        if name != "last"
    ),
    (regressor, {"loss": "poisson", "output_activation": "relu"}, f"'poisson' {OWN}"),
    (regressor, {"loss": "gaussian", "output_activation": "tanh"}, f"'gaussian' {OWN}"),
    (regressor, {"loss": "binary_cross_entropy", "output_activation": "relu"}, OWN),
    (regressor, {"loss": "poisson"}, "'poisson' needs y to be non-negative.*choose another"),
    (regressor, {"loss": "binary_cross_entropy"}, r"needs y to be in \[0, 1\], .*choose another"),
    (classifier, {"class_weight": {"a": -1}}, "finite and not negative"),
    (classifier, {"class_weight": {"a": NAN}}, "finite and not negative"),
    (classifier, {"class_weight": {"a": INF}}, "finite and not negative"),
    (classifier, {"class_weight": {"a": "1"}}, "finite and not negative"),
    (classifier, {"class_weight": {"a": None}}, "finite and not negative"),
    (classifier, {"class_weight": {"a": 1j}}, "finite and not negative"),
    (classifier, {"class_weight": {"a": [1]}}, "finite and not negative"),
    (classifier, {"class_weight": dict.fromkeys("abc", 0)}, "leaves no class that counts"),
    (classifier, {"class_weight": {"a": 1, "z": 2}}, r"\['b', 'c'\], are not in class_weight"),
    (classifier, {"class_weight": {0: 1, 1: 2, 2: 3}}, "are not in class_weight"),
]


@pytest.mark.parametrize(("make", "parameters", "words"), SENSELESS, ids=plain_id)
def test_senseless_together(make, parameters, words):
    model = make(**parameters)
    refuse(model, lambda: model.fit(X, targets_of(model)), ValueError, words)


def test_unknown_parameters():
    for kind in (RNNSequenceRegressor, RNNSequenceClassifier):
        model = kind(**SMALL)
        refuse(model, lambda m=model: m.set_params(nope=1), ValueError, "Invalid parameter 'nope'")
        with pytest.raises(TypeError, match="unexpected keyword argument 'nope'"):
            kind(nope=1)
        with pytest.raises(TypeError, match="positional argument"):
            kind("gru", 3, 2)


@pytest.mark.parametrize(
    "parameter", [{"early_stopping": True}, {"solver": "lbfgs"}], ids=plain_id
)
def test_partial_fit_is_not_there(parameter):
    for model in (regressor(**parameter), classifier(**parameter)):
        assert not hasattr(model, "partial_fit")
        words = "has no attribute 'partial_fit'"
        refuse(model, lambda m=model: m.partial_fit, AttributeError, words)
        assert hasattr(model.set_params(early_stopping=False, solver="sgd"), "partial_fit")


ANOTHER_NETWORK = {
    "cell": "lstm",
    "hidden_size": 4,
    "n_layers": 2,
    "bidirectional": True,
    "activation": "relu",
    "return_sequences": True,
    "pooling": "mean",
    "input_skip": False,
    "scaling": None,
    "dtype": "float32",
}
OF_THE_REGRESSOR = {"loss": "huber", "output_activation": "tanh"}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        *((make, *item) for make in (regressor, classifier) for item in ANOTHER_NETWORK.items()),
        *((regressor, *item) for item in OF_THE_REGRESSOR.items()),
    ],
    ids=plain_id,
)
def test_weights_of_another_network_cannot_be_continued(make, name, value, method):
    model = make(warm_start=True)
    model.fit(X, targets_of(model)).set_params(**{name: value})
    words = f"^{name} changed from .*Restore {name}, or fit with warm_start=False"
    refuse(model, lambda: getattr(model, method)(X, targets_of(model)), ValueError, words)
    assert len(model.set_params(warm_start=False).fit(X, targets_of(model)).predict(X)) == 8


# Forecasts, deviations, windows


STEPS = [0, -1, 1.5, "a", None, True, np.True_, [3], np.array(2)]


@pytest.mark.parametrize("n_steps", STEPS, ids=plain_id)
def test_number_of_steps_to_forecast(n_steps):
    model = regressor().fit(X, X[:, -1])
    words = "n_steps must be a positive int"
    refuse(model, lambda: model.forecast(X, n_steps), ValueError, words)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_forecasts_need_targets_like_inputs(n_outputs):
    model = regressor().fit(X, np.tile(Y[:, None], n_outputs) if n_outputs > 1 else Y)
    words = f"y had {n_outputs} outputs and a step has 2 channels"
    refuse(model, lambda: model.forecast(X, 2), ValueError, words)


def test_windows_of_series_go_into_a_fit():
    """Windows are read-only, overlap, and may be of several series."""
    series = np.random.default_rng(3).normal(size=(20, 2))
    windows, y = sliding_windows([series, series[:9]], 5, 2)
    model = regressor().fit(windows, y)
    expected = regressor().fit(np.array(windows), np.array(y))
    np.testing.assert_array_equal(model.predict(windows), expected.predict(windows))
    assert model.forecast(series[None, -5:], 3).shape == (1, 3, 2)
    words = "X has 1 channels, but"
    other, _ = sliding_windows(series[:, 0], 5)
    refuse(model, lambda: model.forecast(other, 3), ValueError, words)
    refuse(model, lambda: model.forecast(series[:, 0], 3), ValueError, "Reshape your data")


def test_classifiers_do_not_forecast():
    model = classifier().fit(X, LABELS)
    refuse(model, lambda: model.forecast, AttributeError, "no attribute 'forecast'")


def test_deviations_need_the_gaussian_loss():
    model = regressor().fit(X, Y)
    words = "return_std=True needs .*loss='gaussian'.*'squared_error'"
    refuse(model, lambda: model.predict(X, return_std=True), ValueError, words)
    new = regressor()
    refuse(new, lambda: new.predict(X, return_std=True), NotFittedError, "not fitted yet")
    model.set_params(loss="gaussian")
    refuse(model, lambda: model.predict(X, return_std=True), ValueError, words)
    model = regressor(loss="gaussian").fit(X, Y).set_params(loss="huber")
    assert [len(answer) for answer in model.predict(X, return_std=True, return_state=True)] == [
        8
    ] * 3


# What a callback raises


def printing_fails(model, monkeypatch):
    def fail(*args, **kwargs):
        raise Refused

    monkeypatch.setattr(builtins, "print", fail)
    return model.set_params(verbose=True)


def callback_fails(model, monkeypatch):
    return model.set_callbacks(Callback())


# Before scikit-learn 1.9 there are no callbacks to set; what `verbose` prints can always fail.
FAILURES = [printing_fails, callback_fails][: 1 + hasattr(RNNSequenceRegressor, "set_callbacks")]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("make", [regressor, classifier])
def test_a_failing_report_interrupts_the_fit(failure, make, monkeypatch):
    model = failure(make(), monkeypatch)
    with pytest.raises(Refused):
        model.fit(X, targets_of(model))
    monkeypatch.undo()
    assert model.n_iter_ == len(model.loss_curve_) == 1
    answers = model.predict(X)
    assert len(answers) == 8
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), answers)
    assert again.state_size_ == 3 + model._fitted.network.n_outputs + 1  # and of a window
