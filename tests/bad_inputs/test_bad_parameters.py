"""What a user gets for wrong parameters, wrong combinations, and wrong moments."""

import builtins
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import torch
from refusal import LARGE, X, make, plain_id, refuse
from sklearn.base import clone

from skaernn import AutoencoderTransformer
from skaernn._core.compat import InvalidParameterError
from skaernn._losses.reconstruction import LOSSES
from skaernn._training.solvers import SCHEDULES, SOLVERS
from skaernn.networks import ACTIVATIONS

NAN, INF = float("nan"), float("inf")
POSITIVE_INT = [0, -1, 1.5, 2.0, "5", None, NAN, INF, [5], np.array(3)]
FLAG = [None, 0, 1, "yes", "True"]

OUT_OF_RANGE = {
    "max_iter": POSITIVE_INT,
    "n_iter_no_change": POSITIVE_INT,
    "batch_size": [0, -1, 1.5, "big", None, NAN],
    "learning_rate": [0, -1e-3, NAN, INF, None, [0.1], lambda epoch: 0.1],
    "n_components": [0, -1, 0.0, 1.0, 2.0, "3", "mle", None, NAN, INF, [2], np.array(2)],
    "hidden_layer_sizes": [
        *[(0,), (-1,), (5.0,), ("5",), ((5,),), 0, -1, 5.0, "a", None, {5}, {5: 1}],
        *[np.array(5), np.array([5.0]), np.array([[5]]), torch.tensor([5]), range(3, 5)],
        (width for width in (5, 3)),
    ],
    "dropout": [-0.1, 1.0, 1.5, NAN, "a", None],
    "linear_path": FLAG,
    "momentum": [-0.1, 1, 1.5, NAN, "nesterov", None],
    "alpha": [-1, NAN, INF, "a", None],
    "tol": [-1, NAN, INF, "a", None],
    "early_stopping": FLAG,
    "shuffle": FLAG,
    "warm_start": FLAG,
    "random_state": [-1, 2**32, 2**33, 1.5, "a", NAN, [1], np.random.default_rng(0)],
    "verbose": [-1, "a", None],
}

CHOICES = {
    "activation": ACTIVATIONS,
    "code_activation": ACTIVATIONS,
    "output_activation": ["auto", *ACTIVATIONS],
    "scaling": ["auto", "global", "standard"],
    "loss": LOSSES,
    "solver": SOLVERS,
    "schedule": SCHEDULES,
    "dtype": ["float32", "float64"],
    "device": ["auto", "cpu", "cuda", "mps", "xpu"],
}
NO_CHOICES = ["unknown", "", 0, True, [], torch.nn.ReLU(), np.float32]


def cases(table):
    return [(name, value) for name, values in table.items() for value in values]


def refuse_parameter(name, value):
    message = f"The '{name}' parameter of AutoencoderTransformer must be "
    model, fitted = make(**{name: value}), make().fit(X)
    refuse(model, lambda: model.fit(X), InvalidParameterError, message)
    if hasattr(model, "partial_fit"):  # 1 is True, so that early_stopping=1 has none
        refuse(model, lambda: model.partial_fit(X), InvalidParameterError, message)
    fitted.set_params(**{name: value})
    refuse(fitted, lambda: fitted.fit(X), InvalidParameterError, f"{message}.*Got ")


@pytest.mark.parametrize(("name", "value"), cases(OUT_OF_RANGE), ids=plain_id)
def test_out_of_range(name, value):
    refuse_parameter(name, value)


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, -0.1, 1.5, NAN, "a", None], ids=plain_id)
def test_validation_fraction(value):
    refuse_parameter("validation_fraction", value)
    model = make(early_stopping=True, validation_fraction=value)
    refuse(model, lambda: model.fit(X), InvalidParameterError, r"range \(0\.0, 1\.0\)")


@pytest.mark.parametrize("value", NO_CHOICES, ids=plain_id)
@pytest.mark.parametrize("name", CHOICES)
def test_unknown_choices_name_the_known_ones(name, value):
    refuse_parameter(name, value)
    with pytest.raises(InvalidParameterError) as caught:
        make(**{name: value}).fit(X)
    assert all(repr(choice) in str(caught.value) for choice in CHOICES[name])


@pytest.mark.parametrize("rate", ["constant", "adaptive", "invscaling"])
def test_a_word_as_learning_rate_names_the_schedule(rate):
    model = make(learning_rate=rate)
    refuse(
        model, lambda: model.fit(X), InvalidParameterError, "parameter schedule, one of .*'cosine'"
    )


@pytest.mark.parametrize(
    ("odd", "plain"),
    [
        ({"max_iter": np.int64(3)}, {"max_iter": 3}),
        ({"n_components": np.int32(2)}, {"n_components": 2}),
        ({"n_components": np.float64(0.5)}, {"n_components": 0.5}),
        ({"batch_size": np.int64(7)}, {"batch_size": 7}),
        ({"batch_size": 10**9}, {"batch_size": 20}),
        ({"n_iter_no_change": np.uint8(3)}, {"n_iter_no_change": 3}),
        ({"learning_rate": np.float32(0.5)}, {"learning_rate": 0.5}),
        ({"learning_rate": 1}, {"learning_rate": 1.0}),
        ({"random_state": np.int64(3)}, {"random_state": 3}),
        ({"random_state": np.uint32(2**32 - 1)}, {"random_state": 2**32 - 1}),
        ({"shuffle": np.bool_(True)}, {"shuffle": True}),
        ({"linear_path": np.bool_(False)}, {"linear_path": False}),
        ({"hidden_layer_sizes": 5}, {"hidden_layer_sizes": (5,)}),
        ({"hidden_layer_sizes": np.int64(5)}, {"hidden_layer_sizes": (5,)}),
        ({"hidden_layer_sizes": [5, 3]}, {"hidden_layer_sizes": (5, 3)}),
        ({"hidden_layer_sizes": np.array([5, 3])}, {"hidden_layer_sizes": (5, 3)}),
        ({"hidden_layer_sizes": []}, {"hidden_layer_sizes": ()}),
        ({"device": torch.device("cpu")}, {"device": "cpu"}),
        ({"device": np.str_("cpu")}, {"device": "cpu"}),
        ({"dtype": "float64"}, {"dtype": None}),
    ],
    ids=plain_id,
)
@pytest.mark.filterwarnings("ignore:Training with learning_rate")  # of one half, and of one
def test_other_spellings_of_the_same(odd, plain):
    model = clone(make(**odd)).fit(X)
    np.testing.assert_array_equal(model.transform(X), make(**plain).fit(X).transform(X))
    model = pickle.loads(pickle.dumps(model)).partial_fit(X)
    expected = make(**plain).fit(X).partial_fit(X)
    np.testing.assert_array_equal(model.transform(X), expected.transform(X))


@pytest.mark.parametrize("n_components", [4, 100])
def test_more_components_than_features(n_components):
    codes = make(n_components=n_components).fit_transform(X)
    assert codes.shape == (20, n_components)
    assert np.isfinite(codes).all()


@pytest.mark.parametrize(
    "device",
    [
        *["meta", "cuda:99", torch.device("meta"), torch.device("cuda:99"), "vulkan"],
        *(["cuda"] if not torch.cuda.is_available() else []),
        *(["mps"] if not torch.backends.mps.is_available() else []),
    ],
    ids=plain_id,
)
def test_absent_devices(device):
    model = make(device=device)
    words = f"device='{device}' was requested but is not available here; available: 'cpu'"
    refuse(model, lambda: model.fit(X), ValueError, words)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"solver": "lbfgs", "early_stopping": True}, "does not support early_stopping=True"),
        ({"solver": "lbfgs", "dropout": 0.5}, "does not support dropout=0.5"),
        (
            {"loss": "binary_cross_entropy", "output_activation": "relu"},
            "needs output_activation='logistic'",
        ),
        ({"loss": "binary_cross_entropy", "scaling": "global"}, "needs scaling=None"),
    ],
    ids=plain_id,
)
def test_senseless_together(parameters, words):
    model = make(**parameters)
    refuse(model, lambda: model.fit(X), ValueError, words)


def test_unknown_parameters():
    model = make()
    refuse(model, lambda: model.set_params(nope=1), ValueError, "Invalid parameter 'nope'")
    with pytest.raises(TypeError, match="unexpected keyword argument 'nope'"):
        AutoencoderTransformer(nope=1)
    with pytest.raises(TypeError, match="positional argument"):
        AutoencoderTransformer(2, (4,), "relu")


@pytest.mark.parametrize(
    "parameter", [{"early_stopping": True}, {"solver": "lbfgs"}], ids=plain_id
)
def test_partial_fit_is_not_there(parameter):
    model = make(**parameter)
    assert not hasattr(model, "partial_fit")
    refuse(model, lambda: model.partial_fit, AttributeError, "has no attribute 'partial_fit'")
    assert hasattr(model.set_params(early_stopping=False, solver="sgd"), "partial_fit")


ANOTHER_NETWORK = {
    "n_components": 1,
    "hidden_layer_sizes": (5,),
    "activation": "tanh",
    "code_activation": "tanh",
    "output_activation": "tanh",
    "linear_path": False,
    "scaling": "standard",
    "loss": "huber",
    "dtype": "float32",
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("name", "value"), ANOTHER_NETWORK.items(), ids=plain_id)
def test_weights_of_another_network_cannot_be_continued(name, value, method):
    model = make(warm_start=True).fit(X).set_params(**{name: value})
    refuse(model, lambda: getattr(model, method)(X), ValueError, f"^{name} changed from ")
    assert np.isfinite(model.set_params(warm_start=False).fit(X).transform(X)).all()


def test_a_list_changed_in_place_is_noticed():
    widths = [4]
    model = make(hidden_layer_sizes=widths, warm_start=True).fit(X)
    widths[0] = 6
    words = re.escape("hidden_layer_sizes changed from (4,) to (6,)")
    refuse(model, lambda: model.fit(X), ValueError, words)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_other_columns_cannot_continue(method):
    model = make(warm_start=True).fit(X)
    call = getattr(model, method)
    refuse(model, lambda: call(X[:, :2]), ValueError, "X has 2 features, but .* expecting 3")
    frame = pd.DataFrame(X, columns=list("abc"))
    named = make(warm_start=True).fit(frame)
    with pytest.raises(ValueError, match="must be in the same order"):
        getattr(named, method)(frame[["b", "a", "c"]])
    assert list(named.feature_names_in_) == ["a", "b", "c"]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("first", "then"), [("f4", "f8"), ("f8", "f4")])
def test_another_dtype_continues(first, then, method):
    model = make(warm_start=True).fit(X.astype(first)).partial_fit(X.astype(first))
    codes = getattr(model, method)(X.astype(then)).transform(X.astype(then))
    assert codes.dtype == then
    assert np.isfinite(codes).all()


def test_a_float32_network_cannot_continue_beyond_float32():
    model = make().fit(X.astype(np.float32))
    refuse(model, lambda: model.partial_fit(X * 1e300), ValueError, LARGE)


class Refused(Exception):
    pass


class Callback:
    """One of scikit-learn's callbacks, that raises after an epoch."""

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **data):
        pass

    def on_fit_task_end(self, estimator, context, **data):
        raise Refused


def printing_fails(model, monkeypatch):
    def fail(*args, **kwargs):
        raise Refused

    monkeypatch.setattr(builtins, "print", fail)
    return model.set_params(verbose=True)


def callback_fails(model, monkeypatch):
    return model.set_callbacks(Callback())


# Before scikit-learn 1.9 there are no callbacks to set; what `verbose` prints can always fail.
FAILURES = [printing_fails, callback_fails][: 1 + hasattr(AutoencoderTransformer, "set_callbacks")]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("linear_path", [True, False])
def test_a_failing_report_interrupts_the_fit(failure, linear_path, monkeypatch):
    model = failure(make(linear_path=linear_path), monkeypatch)
    with pytest.raises(Refused):
        model.fit(X)
    monkeypatch.undo()
    assert model.n_iter_ == len(model.loss_curve_) == 1
    codes = model.transform(X)
    assert np.isfinite(codes).all()
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(X), codes)
