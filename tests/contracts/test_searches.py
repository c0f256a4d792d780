"""What a search need not do again for every fit, and that leaving it out changes nothing."""

import inspect

import numpy as np
import pytest
import sklearn.utils
import torch
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

from skaernn import AutoencoderTransformer, RNNSequenceClassifier, RNNSequenceRegressor
from skaernn._core.compat import InvalidParameterError
from skaernn._estimators import base
from skaernn._inference import scores
from skaernn._inputs import plain
from skaernn._rows.content import MatrixContent
from skaernn._rows.matrix import repeated
from skaernn._rows.selection import select
from skaernn._rows.vectors import Rows
from skaernn.networks import recurrent_network
from skaernn.networks._linear import with_memory
from skaernn.networks._vectors.dense import DenseAutoencoder

GENERATOR = np.random.default_rng(0)
X = GENERATOR.random((40, 5))
SERIES = GENERATOR.random((40, 4, 2))


class Renamed(AutoencoderTransformer):
    """As users derive: another signature, another parameter."""

    _parameter_constraints = {
        **AutoencoderTransformer._parameter_constraints,
        "share": ["boolean"],
    }

    def __init__(self, n_components=2, *, share=False, max_iter=2, random_state=None):
        super().__init__(n_components, max_iter=max_iter, random_state=random_state)
        self.share = share


def fresh(parent):
    """A class of which nothing is known yet."""
    return type(parent.__name__, (parent,), {"__init__": parent.__init__})


def test_names_of_parameters_are_those_of_each_class():
    assert set(AutoencoderTransformer._get_param_names()) > {"alpha", "n_components"}
    expected = ["max_iter", "n_components", "random_state", "share"]
    assert Renamed._get_param_names() == expected == sorted(Renamed().get_params())

    class Derived(Renamed):
        pass

    class Other(Renamed):
        def __init__(self, n_components=2):
            super().__init__(n_components)

    assert Derived._get_param_names() == expected
    assert Other._get_param_names() == ["n_components"]
    assert "alpha" in AutoencoderTransformer._get_param_names()
    Other._get_param_names().append("nothing")  # a list of the caller's own
    assert Other._get_param_names() == ["n_components"]


def test_a_constructor_put_in_later_is_seen(monkeypatch):
    kind = fresh(Renamed)
    assert "share" in kind._get_param_names()
    monkeypatch.setattr(kind, "__init__", lambda self, n_components=1: None)
    assert kind._get_param_names() == ["n_components"]


@pytest.mark.parametrize(
    ("parent", "data"),
    [(Renamed, (X,)), (RNNSequenceRegressor, (SERIES, X[:, 0]))],
    ids=["autoencoder", "regressor"],
)
def test_constructors_are_inspected_once(monkeypatch, parent, data):
    kind, seen, made = fresh(parent), [], []
    signature, make = inspect.signature, base.make_constraint
    monkeypatch.setattr(
        inspect, "signature", lambda f, **how: seen.append(f) or signature(f, **how)
    )
    monkeypatch.setattr(base, "make_constraint", lambda given: made.append(given) or make(given))
    GridSearchCV(kind(max_iter=1), {"random_state": range(5)}, cv=2).fit(*data)  # eleven fits
    assert seen.count(kind.__init__) == 1
    assert len(made) == sum(map(len, kind._parameter_constraints.values()))


def test_what_was_valid_says_nothing_of_other_values():
    kind = fresh(Renamed)
    kind(share=True).fit(X)
    for wrong in (1, "True", None):
        with pytest.raises(InvalidParameterError, match="'share' parameter of Renamed"):
            kind(share=wrong).fit(X)
        kind(share=True).fit(X)
    with pytest.raises(InvalidParameterError, match="'n_components' parameter"):
        kind(n_components=2.0).fit(X)  # equal to what was valid
    sizes = np.array([3])  # changes under the same name
    estimator = AutoencoderTransformer(2, sizes, max_iter=1).fit(X)
    sizes[0] = -3
    with pytest.raises(InvalidParameterError, match="'hidden_layer_sizes' parameter"):
        estimator.fit(X)


def test_constraints_are_those_of_each_class():
    class Narrow(Renamed):
        _parameter_constraints = {**Renamed._parameter_constraints, "share": [None]}

    assert Renamed(share=True).fit(X).share
    with pytest.raises(InvalidParameterError, match="'share' parameter of Narrow must be None"):
        Narrow(share=True).fit(X)
    with pytest.raises(InvalidParameterError, match="'share' parameter of Renamed"):
        Renamed(share=None).fit(X)


ODD = {
    "plain": X,
    "single": X.astype(np.float32),
    "columns": np.asfortranarray(X),
    "huge": np.full((3, 2), 1e308),  # whose sum is infinite
    "missing": np.array([[1.0, np.nan]]),
    "infinite": np.array([[1.0, -np.inf]]),
    "opposite": np.array([[np.inf, -np.inf]]),
    "empty": np.empty((0, 2)),
    "narrow": np.empty((2, 0)),
    "flat": X[0],
    "deep": SERIES,
    "scalar": np.float64(1.0),
    "swapped": X.astype(">f8"),
    "half": X.astype(np.float16),
    "whole": np.arange(6).reshape(3, 2),
    "list": X.tolist(),
}


def outcome(check, *args, **how):
    """What it returns, or what it raises."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return check(*args, **how)
    except (TypeError, ValueError) as error:
        return str(error)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize(
    "how",
    [
        {"dtype": [np.float64, np.float32]},
        {"dtype": np.float64, "ensure_2d": False, "allow_nd": True, "ensure_all_finite": False},
        {"dtype": np.float64, "ensure_2d": False, "allow_nd": True, "ensure_min_samples": 0},
    ],
    ids=["rows", "anything", "finite"],
)
def test_arrays_are_checked_as_by_scikit_learn(name, how):
    given = ODD[name]
    expected = outcome(sklearn.utils.check_array, given, input_name="X", **how)
    found = outcome(plain.check_array, given, input_name="X", **how)
    assert type(found) is type(expected)
    assert (found is given) == (expected is given)
    if isinstance(expected, str):
        assert found == expected
    else:
        np.testing.assert_array_equal(found, expected, strict=True)
    if name not in ("list", "scalar"):
        pair = sklearn.utils.assert_all_finite, plain.assert_all_finite
        assert outcome(pair[0], given, input_name="X") == outcome(pair[1], given, input_name="X")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_r2_is_scikit_learns(dtype):
    for n, k in [(2, 1), (7, 3), (300, 1), (257, 2)]:
        y = GENERATOR.normal(size=(n, k))
        output = (y + GENERATOR.normal(size=(n, k))).astype(dtype)
        assert scores._r2(y, output, None) == r2_score(y, output)
        weight = GENERATOR.random(n)
        assert scores._r2(y, output, weight) == r2_score(y, output, sample_weight=weight)
        constant = np.ones((n, k))  # of scikit-learn's own rules
        assert scores._r2(constant, output, None) == r2_score(constant, output)
    with pytest.raises(ValueError, match="infinity"):
        scores._r2(y, np.full_like(y, np.inf), None)


def parts(module):
    """What a module consists of: kinds, names, numbers and their order in memory."""
    yield from ((name, type(part), sorted(vars(part))) for name, part in module.named_modules())
    for name, value in module.state_dict(keep_vars=True).items():
        yield name, type(value), value.requires_grad, value.is_leaf, value.stride(), value.tolist()


@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("linear_path", [False, True])
def test_modules_after_a_pattern_are_those_of_their_constructors(variational, linear_path):
    how = {"linear_path": linear_path, "variational": variational}
    network = DenseAutoencoder(5, 2, (4, 3), **how)
    theta = torch.randn(2, network.layout.size, dtype=torch.float64)[1]
    built = network.joined(*network._built(network._views(theta)), theta[:5], theta[0])
    found = network.module(theta, theta[:5], theta[0])
    assert list(parts(found)) == list(parts(built))
    other = network.module(theta)
    found.encoder.register_forward_hook(lambda *given: None)
    next(found.parameters()).data.zero_()
    assert not other.encoder._forward_hooks
    assert list(parts(other)) == list(parts(network.module(theta)))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_layers_after_a_pattern_are_those_of_their_constructors(cell, bidirectional):
    network = recurrent_network(
        n_inputs=2, hidden_size=3, n_outputs=1, cell=cell, n_layers=2, bidirectional=bidirectional
    )
    theta = torch.randn(network.layout.size)
    built = with_memory(network.cells[0].layers(2, bidirectional, theta.dtype), "cpu")
    for weights, kind, blocks in network._weights_of(built, theta):
        for weight, value in zip(weights, kind.to_module(blocks), strict=True):
            weight.data.copy_(value)
    found = network._built(theta)
    assert list(parts(found)) == list(parts(built))
    mine = zip(found._flat_weights, found._flat_weight_refs, found.parameters(), strict=True)
    assert all(weight is ref() is parameter for weight, ref, parameter in mine)


def test_rows_that_all_differ_are_sorted_as_they_are_merged():
    order = GENERATOR.permutation(len(X))
    [sorted_], [shuffled] = select(MatrixContent(X), None), select(MatrixContent(X[order]), None)
    np.testing.assert_array_equal(order[shuffled.index], sorted_.index)
    [twice] = select(MatrixContent(np.concatenate([X, X])), None)
    np.testing.assert_array_equal(twice.index, sorted_.index)
    np.testing.assert_array_equal(twice.weight, 2 * sorted_.weight)


def test_blocks_again_are_the_blocks(monkeypatch):
    [selection] = select(MatrixContent(X), None)
    rows = Rows.of(torch.from_numpy(X), selection, torch.float64)
    again = repeated(rows, torch.float64)
    assert [block.tolist() for block, _ in again()] == [X[selection.index].tolist()]
    monkeypatch.setattr("skaernn._rows.vectors._BLOCK", 50)
    several = repeated(rows, torch.float64)
    for _ in range(2):
        assert torch.equal(torch.cat([block for block, _ in several()]), next(iter(again()))[0])


def test_scores_of_one_row_are_scikit_learns_affair():
    y = X[:, 0] > 0.5
    assert RNNSequenceClassifier(max_iter=1).fit(SERIES, y).score(SERIES[:1], y[:1]) in (0.0, 1.0)
    model = RNNSequenceRegressor(max_iter=1).fit(SERIES, X[:, 0])
    with pytest.warns(sklearn.exceptions.UndefinedMetricWarning):
        assert np.isnan(model.score(SERIES[:1], X[:1, 0]))
