"""Whatever is passed: answers that are finite, or a refusal in our words that leaves no trace."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sequence_refusal import LABELS, LENGTHS, RAGGED_X, X, Y, classifier, objects, regressor
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

# What Python, NumPy, torch, pandas and polars say when nobody has looked before them.
FOREIGN = (
    "inhomogeneous",
    "subscriptable",
    "not iterable",
    "iteration over",
    "unsized",
    "cannot reshape",
    "setting an array element",
    "not supported between",
    "unhashable",
    "broadcast",
    "out of bounds",
    "has no attribute",
    "has no len",
    "int() argument",
    "could not convert",
    "could not be promoted",
    "can't convert",
    "unsupported operand",
    "ambiguous",
    "with_columns",
    "concatenat",
    "Tensor",
    "zero-size",
    "argmax",
    "divide by",
    "modulo",
)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=2),
    st.binary(max_size=2),
    st.dates(),
    st.just(pd.NA),
    st.just(object()),
)
NESTED = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.integers(0, 3), inner, max_size=2),
    ),
    max_leaves=8,
)
KINDS = ["f8", "f4", "f2", "i8", "u1", "?", "O", "U2", "S2", "c16", "M8[s]", "m8[s]"]
HARD = st.sampled_from([np.nan, np.inf, -1e300, 1e-310, 0.0])
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=8)


@st.composite
def numpy_arrays(draw):
    """Arrays of every kind, of the right shape about half of the time."""
    right = [(8, 6, 2), (8, 12), (8,), (8, 6), (8, 3), (8, 1)]
    shape = draw(st.one_of(st.sampled_from(right), SHAPES))
    values = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 5, shape)
    kind = draw(st.sampled_from(KINDS))
    array = values.astype("i8").astype(kind) if kind != "f8" else values / 7
    for value in draw(st.lists(HARD, max_size=2)):
        if array.dtype.kind == "f" and array.size:
            with np.errstate(over="ignore"):
                array.flat[draw(st.integers(0, array.size - 1))] = value
    return array


def wrapped(array):
    """The array in one of the forms that data come in."""
    forms = [lambda a: a, list, lambda a: a.tolist(), lambda a: objects(list(a)), iter]
    forms += [torch.tensor, pd.DataFrame, pd.Series, pl.DataFrame, pl.Series, np.ma.masked_array]
    forms += [lambda a: [pd.DataFrame(part) for part in a], lambda a: [*RAGGED_X[:7], a]]
    forms += [lambda a: [torch.tensor(part) for part in a], lambda a: dict(enumerate(a))]

    def possible(form):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return form(array)
        except Exception:  # no such frame or tensor: not what is tested here
            return array

    return st.sampled_from(forms).map(possible)


ANYTHING = st.one_of(NESTED, numpy_arrays(), numpy_arrays().flatmap(wrapped))
PLACES = ["X", "y", "sample_weight", "lengths", "initial_state"]
some = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
SAID = ("Each row of X is read", "X has feature names", "The number of unique classes is greater")
ALLOWED = (ConvergenceWarning, DataConversionWarning)

FITTED = {make: make().fit(X, y) for make, y in ((regressor, Y), (classifier, LABELS))}


def attempt(call):
    """What `call` answers, and what it raises of what may be raised."""
    with warnings.catch_warnings():
        for category in ALLOWED:
            warnings.simplefilter("ignore", category)
        for words in SAID:
            warnings.filterwarnings("ignore", words)
        try:
            return call(), None
        except (ValueError, TypeError) as error:
            return None, error


def check(call, estimator):
    """What `call` answers, or None after a refusal."""
    before = dict(vars(estimator))
    answer, error = attempt(call)
    if error is not None:
        words = str(error).split("\n")[0]
        assert type(error) in (ValueError, TypeError), type(error)
        assert not any(foreign in words for foreign in FOREIGN), f"{type(error).__name__}: {words}"
        assert vars(estimator).keys() == before.keys()
        assert all(vars(estimator)[name] is value for name, value in before.items())
    return answer


@pytest.mark.parametrize("make", FITTED)
@pytest.mark.parametrize("place", PLACES)
@some
@given(data=ANYTHING, per_step=st.booleans())
def test_fit_takes_or_refuses(make, place, data, per_step):
    model = make(return_sequences=per_step, max_iter=1)
    y = LABELS if make is classifier else Y
    given = {"X": X, "y": np.tile(y[:, None], 6) if per_step else y, place: data}
    done = check(lambda: model.fit(**given), model)
    if done is not None and place == "y" and make is regressor:
        assert all(np.isfinite(part).all() for part in model.predict(X))


@pytest.mark.parametrize("make", FITTED)
@pytest.mark.parametrize("place", [place for place in PLACES if place != "y"])
@some
@given(data=ANYTHING)
def test_predict_takes_or_refuses(make, place, data):
    model = FITTED[make]
    if place == "sample_weight":
        y = LABELS if make is classifier else Y
        score = check(lambda: model.score(X, y, sample_weight=data), model)
        assert score is None or np.isfinite(score)
        return
    given = {"X": X, place: data}
    answers = check(lambda: model.predict(**given), model)
    if answers is not None and make is regressor:
        assert np.isfinite(answers).all()


@pytest.mark.parametrize("place", ["X", "lengths"])
@some
@given(data=ANYTHING)
def test_lists_with_anything_among_them(place, data):
    """As above, one item of a good list being of any kind."""
    model = FITTED[regressor]
    if place == "X":
        given = {"X": [*RAGGED_X[:3], data, *RAGGED_X[4:]]}
    else:
        given = {"X": X, "lengths": [*LENGTHS[:3], data, *LENGTHS[4:]]}
    answers = check(lambda: model.predict(**given), model)
    assert answers is None or np.isfinite(answers).all()
