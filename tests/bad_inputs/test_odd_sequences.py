"""Sequences that look wrong and are welcome: odd containers, layouts, kinds and sizes."""

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from refusal import Convertible
from sequence_refusal import (
    FRAME,
    FRAMES,
    LABELS,
    LENGTHS,
    NAMES,
    RAGGED_X,
    X,
    Y,
    classifier,
    objects,
    read_only,
    regressor,
)

COUNTS = np.arange(96).reshape(8, 6, 2) % 10  # exact in every dtype there is


class Subclass(np.ndarray):
    pass


def padded(fill):
    """X with something else beyond the ends of its sequences."""
    return np.where(np.arange(6)[:, None] < LENGTHS[:, None, None], X, fill)


def tensors(arrays):
    return [torch.from_numpy(x.copy()) for x in arrays]


EQUAL = {
    "nested lists": X.tolist,
    "nested tuples": lambda: tuple(tuple(map(tuple, x)) for x in X),
    "list": lambda: list(X),
    "tuple": lambda: tuple(X),
    "list of lists of arrays": lambda: [list(x) for x in X],
    "list of flat rows": lambda: [x.ravel() for x in X],
    "object array": lambda: objects(list(X)),
    "object array of nested lists": lambda: objects(X.tolist()),
    "array of objects": lambda: X.astype(object),
    "Series of arrays": lambda: pd.Series(list(X), index=range(5, 13)),
    "Decimal": lambda: [[[Decimal(float(v)) for v in step] for step in x] for x in X],
    "tensor": lambda: torch.from_numpy(X.copy()),
    "tensor with gradient": lambda: torch.from_numpy(X.copy()).requires_grad_(),
    "transposed tensor": lambda: torch.from_numpy(X.transpose(2, 0, 1).copy()).permute(1, 2, 0),
    "list of tensors": lambda: tensors(X),
    "list of tensors with gradient": lambda: [x.requires_grad_() for x in tensors(X)],
    "list of frames": lambda: [pd.DataFrame(x) for x in X],
    "list of polars frames": lambda: [pl.DataFrame(x, schema=["u", "v"]) for x in X],
    "mixed list": lambda: [X[0], X[1].tolist(), torch.from_numpy(X[2].copy()), *X[3:]],
    "list of __array__": lambda: [Convertible(x) for x in X],
    "__array__": lambda: Convertible(X),
    "memoryview": lambda: memoryview(X),
    "subclass": lambda: X.view(Subclass),
    "long double": lambda: X.astype(np.longdouble),
    "big-endian": lambda: X.astype(">f8"),
    "Fortran order": lambda: np.asfortranarray(X),
    "channels first, transposed": lambda: X.transpose(0, 2, 1).copy().transpose(0, 2, 1),
    "time first, transposed": lambda: X.transpose(1, 0, 2).copy().transpose(1, 0, 2),
    "reversed rows": lambda: X[::-1].copy()[::-1],
    "reversed steps": lambda: X[:, ::-1].copy()[:, ::-1],
    "reversed channels": lambda: X[..., ::-1].copy()[..., ::-1],
    "reversed": lambda: X[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1],
    "slices": lambda: X.repeat(2, 0).repeat(2, 1).repeat(2, 2)[::2, ::2, ::2],
    "unaligned": lambda: np.frombuffer(b"0" + X.tobytes(), offset=1).reshape(8, 6, 2),
    "read-only": lambda: read_only(X),
    "list of read-only": lambda: [read_only(x) for x in X],
    "2-D": lambda: X.reshape(8, 12),
    "2-D, Fortran order": lambda: np.asfortranarray(X.reshape(8, 12)),
    "nested lists, 2-D": lambda: X.reshape(8, 12).tolist(),
    "frame": lambda: FRAME,
    "frame of Float64": lambda: FRAME.astype("Float64"),
    "polars frame": lambda: pl.DataFrame(X.reshape(8, 12), schema=NAMES),
}
RAGGED = {
    "tuple": lambda: tuple(RAGGED_X),
    "nested lists": lambda: [x.tolist() for x in RAGGED_X],
    "flat rows": lambda: [x.ravel() for x in RAGGED_X],
    "flat lists": lambda: [x.ravel().tolist() for x in RAGGED_X],
    "object array": lambda: objects(RAGGED_X),
    "Series": lambda: pd.Series(RAGGED_X),
    "tensors": lambda: tensors(RAGGED_X),
    "unpacked": lambda: torch.nn.utils.rnn.unpack_sequence(
        torch.nn.utils.rnn.pack_sequence(tensors(RAGGED_X), enforce_sorted=False)
    ),
    "frames": lambda: FRAMES,
    "groups": lambda: [f for _, f in pd.concat(FRAMES, keys=range(8)).groupby(level=0)],
    "reversed": lambda: [x[::-1].copy()[::-1] for x in RAGGED_X],
    "mixed": lambda: [RAGGED_X[0], RAGGED_X[1].ravel(), tensors(RAGGED_X)[2], *RAGGED_X[3:]],
    "NaN beyond the ends": lambda: padded(np.nan),
    "NaN far beyond the ends": lambda: np.pad(
        padded(np.nan), [(0, 0), (0, 3), (0, 0)], constant_values=np.nan
    ),
    "NaN in Fortran order": lambda: np.asfortranarray(padded(np.nan)),
    "NaN in a tensor": lambda: torch.from_numpy(padded(np.nan)),
}


@pytest.fixture(scope="module")
def equal():
    return regressor().fit(X, Y)


@pytest.fixture(scope="module")
def ragged():
    return regressor().fit(RAGGED_X, Y)


def check_same(data, reference, plain):
    answers = reference.predict(plain)
    np.testing.assert_array_equal(regressor().fit(data, Y).predict(data), answers)


@pytest.mark.parametrize("data", EQUAL.values(), ids=EQUAL.keys())
def test_every_form_gives_the_same_bits(data, equal):
    check_same(data(), equal, X)


@pytest.mark.parametrize("data", RAGGED.values(), ids=RAGGED.keys())
def test_every_ragged_form_gives_the_same_bits(data, ragged):
    check_same(data(), ragged, RAGGED_X)


@pytest.mark.parametrize("fill", [np.nan, np.inf, 1e300, -0.0, 7])
def test_what_lies_beyond_an_end_is_not_read(fill, ragged):
    model = regressor(early_stopping=True, validation_fraction=0.3)
    expected = model.fit(RAGGED_X, Y).predict(RAGGED_X)
    for array in (padded(fill), padded(fill).reshape(8, 12)):
        found = regressor().fit(array, Y, lengths=LENGTHS).predict(array, lengths=LENGTHS)
        np.testing.assert_array_equal(found, ragged.predict(RAGGED_X))
        validate = {"X_val": array, "y_val": Y, "lengths_val": LENGTHS}
        regressor(early_stopping=True).fit(array, Y, lengths=LENGTHS, **validate)
        model.fit(array, Y, lengths=LENGTHS)
        np.testing.assert_array_equal(model.predict(RAGGED_X), expected)


def test_memory_mapped(tmp_path, equal):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    check_same(mapped, equal, X)
    check_same(list(mapped), equal, X)


NUMBERS = {
    **{name: lambda name=name: COUNTS.astype(name) for name in ("i1", "u1", "u8", "f2", ">i4")},
    "list of ints": COUNTS.tolist,
    "list of int arrays": lambda: list(COUNTS),
    "list of float16": lambda: list(COUNTS.astype("f2")),
    "list of mixed": lambda: [COUNTS[0].astype("f4"), *COUNTS[1:4], *COUNTS[4:].astype(">f8")],
    "ranges": lambda: [x.ravel().tolist() for x in COUNTS],
    "bfloat16": lambda: torch.from_numpy(COUNTS).bfloat16(),
    "list of bfloat16": lambda: list(torch.from_numpy(COUNTS).bfloat16()),
    "int tensor": lambda: torch.from_numpy(COUNTS).short(),
    "frames of Int64": lambda: [pd.DataFrame(x).astype("Int64") for x in COUNTS],
    "polars": lambda: [pl.DataFrame(x) for x in COUNTS],
}


@pytest.mark.parametrize("data", NUMBERS.values(), ids=NUMBERS.keys())
def test_every_kind_of_number_is_read_as_float64(data):
    plain = COUNTS.astype(float)
    check_same(data(), regressor().fit(plain, Y), plain)


@pytest.mark.parametrize("convert", [np.asarray, list, torch.from_numpy])
def test_booleans_are_zeros_and_ones(convert):
    plain = (X > 0).astype(float)
    check_same(convert(X > 0), regressor().fit(plain, Y), plain)


@pytest.mark.parametrize("convert", [np.asarray, list, torch.from_numpy, tensors])
def test_float32_stays_float32(convert):
    single = X.astype(np.float32)
    model = regressor().fit(convert(single), Y)
    assert model.predict(convert(single)).dtype == np.float32
    assert model.predict(X).dtype == np.float64
    check_same(convert(single), model, single)


def test_x_is_never_written_to():
    arrays = [X.copy(), [x.copy() for x in RAGGED_X]]
    for data in arrays:
        model = regressor(batch_size=3).fit(data, np.c_[Y, -Y])
        model.predict(data)
        model.forecast(data, 2, horizon=1)
    np.testing.assert_array_equal(arrays[0], X)
    for given, plain in zip(arrays[1], RAGGED_X, strict=True):
        np.testing.assert_array_equal(given, plain)


ODD_VALUES = {
    "constant": np.ones((8, 6, 2)),
    "zeros": np.zeros((8, 6, 2)),
    "a constant channel": np.concatenate([X, np.ones((8, 6, 1))], axis=2),
    "equal sequences": np.repeat(X[:2], 4, axis=0),
    "one sequence": X[:1],
    "one step": X[:, :1],
    "one channel": X[..., :1],
    "one number": X[:1, :1, :1],
    "more channels than steps": X.transpose(0, 2, 1),
    "mean of a million": X + 1e6,
    "huge": X * 1e300,
    "huge list": [x * 1e300 for x in RAGGED_X],
    "one huge value": np.where(X[3, 2, 1] == X, 1e300, X),
    "denormal": X * 1e-310,
    "denormal float32": (X * 1e-40).astype(np.float32),
    "float32 near its end": (X * 1e38).astype(np.float32),
    "negative zero": X * -0.0,
}


@pytest.mark.filterwarnings("ignore:.*is read as sequences of one step")
@pytest.mark.parametrize("make", [regressor, classifier])
@pytest.mark.parametrize("data", ODD_VALUES.values(), ids=ODD_VALUES.keys())
def test_odd_values_give_finite_answers(data, make):
    for parameters in ({}, {"cell": "lstm", "pooling": "attention", "bidirectional": True}):
        model = make(**parameters, n_channels=1)
        y = (LABELS if make is classifier else Y)[: len(data)]
        model.fit(data, y)
        method = model.predict_proba if make is classifier else model.predict
        assert np.isfinite(method(data)).all()
        assert np.isfinite(model.loss_)
        if len(y) > 1:
            assert np.isfinite(model.score(data, y))


def test_two_thousand_steps():
    long = np.random.default_rng(1).normal(size=(2000, 2))
    answers, state = regressor(max_iter=1).fit([long], Y[:1]).predict([long], return_state=True)
    assert np.isfinite(answers).all()
    assert np.isfinite(state).all()


def test_huge_values_after_a_fit(equal):
    largest = np.full((1, 6, 2), np.finfo(float).max)
    for data in (X * 1e300, [x * 1e300 for x in RAGGED_X], largest):
        assert np.isfinite(equal.predict(data)).all()
