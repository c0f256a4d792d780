"""Live sequences, a step at a time: the same answers as those of whole histories."""

import pickle

import numpy as np
import own_cells
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor, Stream
from skaernn._estimators import stream as streams
from skaernn.networks import CELLS, POOLINGS

N, T, C = 30, 12, 3
QUICK = {"hidden_size": 9, "max_iter": 2, "tol": 0, "random_state": 0}


def data(dtype=np.float32, seed=0):
    X = np.random.default_rng(seed).normal(size=(N, T, C)).astype(dtype)
    return X, X.sum(axis=1)[:, :2]


def regressor(type_of_data=np.float32, **params):
    X, y = data(type_of_data)
    y = X[:, :, :2].cumsum(1) if params.get("return_sequences") else y
    return RNNSequenceRegressor(**{**QUICK, **params}).fit(X, y)


def history(model, X, t):
    """What `predict` says of the first t + 1 steps."""
    found = model.predict(X[:, : t + 1])
    return found[:, -1] if model.get_params()["return_sequences"] else found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("pooling", [None, *POOLINGS])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_answers_are_those_of_the_whole_history_to_the_last_bit(dtype, cell, pooling, n_layers):
    how = {"return_sequences": True} if pooling is None else {"pooling": pooling}
    model = regressor(dtype, cell=cell, n_layers=n_layers, **how)
    X, _ = data(dtype, seed=1)
    stream = Stream(model, N)
    for t in range(T):
        answers = stream.push(X[:, t])
        assert answers.dtype == dtype
        assert answers.tobytes() == history(model, X, t).tobytes()
    _, states = model.predict(X, return_state=True)
    assert stream.states.tobytes() == states.tobytes()


@pytest.mark.parametrize(
    "params",
    [
        {"dtype": "float32"},
        {"scaling": None, "input_skip": False},
        {"loss": "gaussian"},
    ],
    ids=["single", "unscaled", "gaussian"],
)
def test_so_are_those_of_other_networks(params):
    model = regressor(np.float64, **params)
    X, _ = data(np.float64, seed=1)
    stream = Stream(model, N)
    for t in range(T):
        assert stream.push(X[:, t]).tobytes() == history(model, X, t).tobytes()


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
@pytest.mark.parametrize("per_step", [False, True])
def test_so_are_those_of_classifiers(method, per_step):
    X, _ = data()
    labels = np.where(X[:, :, 0].cumsum(1) > 0, "up", "down")
    labels = labels if per_step else labels[:, -1]
    model = RNNSequenceClassifier(return_sequences=per_step, **QUICK).fit(X, labels)
    stream = Stream(model, N, method=method)
    for t in range(T):
        whole = getattr(model, method)(X[:, : t + 1])
        np.testing.assert_array_equal(stream.push(X[:, t]), whole[:, -1] if per_step else whole)


def test_one_target_gives_one_number_a_stream():
    X, y = data()
    model = RNNSequenceRegressor(**QUICK).fit(X, y[:, 0])
    assert Stream(model, N).push(X[:, 0]).shape == (N,)
    assert Stream(model).push(X[:1, 0]).shape == (1,)


def test_some_go_on_and_the_others_wait():
    model, (X, _) = regressor(cell="gru", pooling="mean"), data(seed=1)
    stream, generator = Stream(model, N), np.random.default_rng(0)
    had = np.zeros(N, dtype=int)
    while had.min() < 4:
        ids = generator.permutation(N)[: generator.integers(0, 8)]
        ids = ids[had[ids] < T]
        found = stream.push(X[ids, had[ids]], ids)
        had[ids] += 1
        for i, answer in zip(ids, found, strict=True):
            assert answer.tobytes() == model.predict(X[i : i + 1, : had[i]])[0].tobytes()


def test_streams_begin_anew_all_or_some():
    model, (X, _) = regressor(), data()
    stream = Stream(model, N)
    first = stream.push(X[:, 0])
    stream.push(X[:, 1])
    stream.reset([3, 5])
    again = stream.push(X[:, 0])
    for i in range(N):
        assert (again[i].tobytes() == first[i].tobytes()) == (i in (3, 5))
    stream.reset()
    assert stream.push(X[:, 0]).tobytes() == first.tobytes()


def test_snapshots_and_pickles_go_on_where_they_were_taken():
    model, (X, _) = regressor(cell="lstm", n_layers=2, pooling="attention"), data()
    stream = Stream(model, N)
    stream.push(X[:, 0])
    snapshot, copy = stream.states, pickle.loads(pickle.dumps(stream))
    expected = stream.push(X[:, 1])
    assert copy.push(X[:, 1]).tobytes() == expected.tobytes()
    assert copy.states.tobytes() == stream.states.tobytes() != snapshot.tobytes()
    stream.states = snapshot
    assert stream.push(X[:, 1]).tobytes() == expected.tobytes()
    _, states = model.predict(X[:, :1], return_state=True)
    stream.states = states
    assert stream.push(X[:, 1]).tobytes() == expected.tobytes()
    assert len(copy) == N


def test_what_becomes_of_the_model_is_nothing_to_the_stream():
    model, (X, y) = regressor(), data()
    stream, untouched = Stream(model, N), Stream(model, N)
    stream.push(X[:, 0])
    model.module_.output.weight.data.zero_()
    model.partial_fit(X, y)
    untouched.push(X[:, 0])
    assert stream.push(X[:, 1]).tobytes() == untouched.push(X[:, 1]).tobytes()


def test_several_threads_have_the_bits_of_one(monkeypatch):
    model, (X, _) = regressor(cell="gru"), data()
    one, three = Stream(model, N), Stream(model, N)
    ids = np.random.default_rng(0).permutation(N)
    expected = [one.push(X[:, 0]), one.push(X[ids, 1], ids)]
    monkeypatch.setattr(streams, "_STREAMS", 2)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        found = [three.push(X[:, 0]), three.push(X[ids, 1], ids)]
    finally:
        torch.set_num_threads(before)
    assert [f.tobytes() for f in found] == [e.tobytes() for e in expected]
    assert three.states.tobytes() == one.states.tobytes()


@pytest.mark.parametrize(
    ("x", "ids", "error", "message"),
    [
        (np.zeros((N - 1, C)), None, ValueError, r"29 rows, and there are 30 streams.* pass ids"),
        (np.zeros(C), None, ValueError, r"shape \(3,\); expected \(n, 3\)"),
        (np.zeros((N, C + 1)), None, ValueError, r"expected \(n, 3\)"),
        (np.full((N, C), "a"), None, ValueError, "made of numbers"),
        (np.zeros((N, C), complex), None, ValueError, "made of numbers"),
        (np.zeros((2, C)), [0, N], IndexError, "numbered from 0 to 29"),
        (np.zeros((2, C)), [-1, 0], IndexError, "from -1 to 0"),
        (np.zeros((3, C)), [4, 2, 4], ValueError, "names stream 4 twice"),
        (np.zeros((2, C)), [0.0, 1.0], ValueError, "2 whole numbers"),
        (np.zeros((2, C)), [True, False], ValueError, "2 whole numbers"),
        (np.zeros((2, C)), [1], ValueError, "2 whole numbers"),
    ],
)
def test_bad_steps_are_refused_and_change_nothing(x, ids, error, message):
    stream, (X, _) = Stream(regressor(), N), data()
    stream.push(X[:, 0])
    before = stream.states
    with pytest.raises(error, match=message):
        stream.push(x, ids)
    assert stream.states.tobytes() == before.tobytes()


def test_steps_of_other_kinds_are_read():
    model = regressor(np.float64)
    whole = np.arange(C * N).reshape(N, C) % 5
    expected = Stream(model, N).push(whole.astype(float))
    for x in (whole, whole.tolist(), np.asfortranarray(whole.astype(float)), whole.astype(">f8")):
        assert Stream(model, N).push(x).tobytes() == expected.tobytes()


def test_a_number_that_is_none_stays_in_its_stream():
    stream, (X, _) = Stream(regressor(), N), data()
    x = X[:, 0].copy()
    x[4] = np.nan
    bad = np.isnan(stream.push(x)).any(axis=1)
    assert bad[4]
    assert not np.delete(bad, 4).any()
    stream.reset([4])
    assert not np.isnan(stream.push(X[:, 1])).any()


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ({"bidirectional": True}, {}, "no state that a stream could keep with bidirectional"),
        ({"cell": own_cells.wrapped_gru}, {}, "no state .* a cell of your own"),
        ({}, {"n_streams": 0}, "n_streams must be a positive int, got 0"),
        ({}, {"method": "predict_proba"}, "expected one of 'predict'"),
    ],
    ids=["bidirectional", "own", "none", "method"],
)
def test_what_cannot_be_a_stream_is_refused(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        Stream(regressor(**model), **arguments)


def test_states_of_another_shape_are_refused():
    stream = Stream(regressor(), N)
    with pytest.raises(ValueError, match=r"expected \(30, "):
        stream.states = np.zeros((N, 1))


def test_an_unfitted_model_is_refused():
    with pytest.raises(Exception, match="not fitted"):
        Stream(RNNSequenceRegressor())


@pytest.mark.parametrize("model", [make_pipeline(RNNSequenceRegressor()), LinearRegression()])
def test_a_model_of_another_kind_is_refused(model):
    with pytest.raises(TypeError, match=f"model is a {type(model).__name__}; .* last step"):
        Stream(model)
