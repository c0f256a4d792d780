"""Inputs that look wrong and are welcome: odd containers, layouts, kinds and sizes of numbers."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from refusal import FRAME, Convertible, X, make
from sklearn.exceptions import ConvergenceWarning

COUNTS = np.arange(60).reshape(20, 3) % 10  # exact in every dtype there is


class Subclass(np.ndarray):
    pass


@pytest.fixture(scope="module")
def fitted():
    return make().fit(X)


SAME = {
    "list": X.tolist,
    "tuples": lambda: tuple(map(tuple, X)),
    "list of arrays": lambda: list(X),
    "list of Series": lambda: [FRAME.iloc[row] for row in range(20)],
    "list of tensors": lambda: [torch.from_numpy(row).requires_grad_() for row in X.copy()],
    "list of lists of tensors": lambda: [[torch.tensor(value) for value in row] for row in X],
    "object array": lambda: X.astype(object),
    "object array of rows": lambda: pd.Series(list(X)).to_numpy(),
    "Decimal": lambda: [[Decimal(float(value)) for value in row] for row in X],
    "Fraction": lambda: [[Fraction(float(value)) for value in row] for row in X],
    "long double": lambda: X.astype(np.longdouble),
    "big-endian": lambda: X.astype(">f8"),
    "reversed rows": lambda: X[::-1].copy()[::-1],
    "reversed columns": lambda: X[:, ::-1].copy()[:, ::-1],
    "reversed both": lambda: X[::-1, ::-1].copy()[::-1, ::-1],
    "Fortran order": lambda: np.asfortranarray(X),
    "slice": lambda: np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2],
    "unaligned": lambda: np.frombuffer(b"0" + X.tobytes(), offset=1).reshape(20, 3),
    "subclass": lambda: X.view(Subclass),
    "memoryview": lambda: memoryview(X),
    "__array__": lambda: Convertible(X),
    "tensor": lambda: torch.from_numpy(X.copy()),
    "tensor with gradient": lambda: torch.from_numpy(X.copy()).requires_grad_(),
    "Parameter": lambda: torch.nn.Parameter(torch.from_numpy(X.copy())),
    "transposed tensor": lambda: torch.from_numpy(np.asfortranarray(X)),
    "negated view": lambda: torch.from_numpy(-1j * X).conj().imag,
    "frame": lambda: FRAME,
    "frame of Float64": lambda: FRAME.astype("Float64"),
    "frame of objects": lambda: FRAME.astype(object),
    "frame without names": lambda: pd.DataFrame(X),
    "frame of several levels": lambda: pd.concat({"a": FRAME}, axis=1),
    "frame with a column named collect": lambda: FRAME.rename(columns={"a": "collect"}),
    "polars": lambda: pl.DataFrame(X, schema=["a", "b", "c"]),
}


def read_only(tmp_path):
    array = X.copy()
    array.flags.writeable = False
    return array


def memory_mapped(tmp_path):
    np.save(tmp_path / "x.npy", X)
    return np.load(tmp_path / "x.npy", mmap_mode="r")


@pytest.mark.parametrize("data", SAME.values(), ids=SAME.keys())
def test_the_same_numbers_give_the_same_bits(data, fitted):
    check_same(data(), X, fitted)


@pytest.mark.parametrize("data", [read_only, memory_mapped])
def test_arrays_that_cannot_be_written(data, tmp_path, fitted):
    check_same(data(tmp_path), X, fitted)


def check_same(data, plain, reference):
    model = make().fit(data)
    np.testing.assert_array_equal(model.transform(data), reference.transform(plain))
    np.testing.assert_array_equal(
        model.partial_fit(data).transform(data),
        make().fit(plain).partial_fit(plain).transform(plain),
    )


INTEGERS = {
    **{name: lambda name=name: COUNTS.astype(name) for name in ("i1", "u1", "i2", "u4", "u8")},
    **{name: lambda name=name: COUNTS.astype(name) for name in ("f2", ">i4", "g")},
    **{
        str(dtype): lambda dtype=dtype: torch.from_numpy(COUNTS).to(dtype)
        for dtype in (torch.bfloat16, torch.half, torch.float8_e4m3fn, torch.uint8, torch.uint16)
    },
    "list": COUNTS.tolist,
    "bfloat16 rows": lambda: list(torch.from_numpy(COUNTS).bfloat16()),
    "Int64": lambda: pd.DataFrame(COUNTS).astype("Int64"),
    "mixed frame": lambda: pd.DataFrame(COUNTS).astype({0: "Int8", 1: "float32", 2: "UInt64"}),
    "polars": lambda: pl.DataFrame(COUNTS),
    "polars Decimal": lambda: pl.DataFrame(COUNTS).cast(pl.Decimal(10, 2)),
}


@pytest.mark.parametrize("data", INTEGERS.values(), ids=INTEGERS.keys())
def test_every_kind_of_number_is_read_as_float64(data):
    given = data()
    plain = COUNTS.astype(float)
    check_same(given, plain, make().fit(plain))


def test_ranges_are_rows():
    rows = [range(start, start + 3) for start in range(0, 40, 2)]
    plain = np.array(rows, dtype=float)
    check_same(rows, plain, make().fit(plain))


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy, pd.DataFrame, pl.DataFrame])
def test_booleans_are_zeros_and_ones(convert):
    check_same(convert(X > 0), (X > 0).astype(float), make().fit((X > 0).astype(float)))


def test_nullable_booleans_are_zeros_and_ones():
    plain = (X > 0).astype(float)
    check_same(pd.DataFrame(X > 0).astype("boolean"), plain, make().fit(plain))


@pytest.mark.parametrize("convert", [torch.from_numpy, pd.DataFrame, pl.DataFrame])
def test_float32_stays_float32(convert):
    single = X.astype(np.float32)
    assert make().fit(convert(single)).transform(convert(single)).dtype == np.float32
    check_same(convert(single), single, make().fit(single))


def test_x_is_never_written_to():
    given = X.copy()
    make(shuffle=True).fit(given).transform(given)
    np.testing.assert_array_equal(given, X)


ODD_VALUES = {
    "constant column": np.c_[X, np.ones(20)],
    "constant": np.ones((5, 3)),
    "zeros": np.zeros((5, 3)),
    "duplicates": np.repeat(X[:2], 5, axis=0),
    "one row": X[:1],
    "one feature": X[:, :1],
    "more features than rows": X.T,
    "mean of a million": X + 1e6,
    "huge": X * 1e300,
    "denormal": X * 1e-310,
    "denormal float32": (X * 1e-40).astype(np.float32),
    "float32 near its end": (X * 1e38).astype(np.float32),
}


@pytest.mark.parametrize("parameters", [{}, {"solver": "lbfgs"}, {"scaling": "standard"}], ids=str)
@pytest.mark.parametrize("rows", ODD_VALUES.values(), ids=ODD_VALUES.keys())
def test_odd_values_give_finite_answers(rows, parameters):
    model = make(**parameters).fit(rows)
    codes = model.transform(rows)
    assert np.isfinite(codes).all()
    assert np.isfinite(model.inverse_transform(codes)).all()
    assert np.isfinite(model.sample(3, random_state=0)).all()
    assert np.isfinite(model.score(rows))


@pytest.mark.parametrize("linear_path", [True, False])
def test_huge_values_without_scaling_warn(linear_path):
    model = make(scaling=None, linear_path=linear_path)
    with pytest.warns(ConvergenceWarning, match="largest absolute value of X 2.33e"):
        model.fit(X * 1e300)
    assert np.isfinite(model.transform(X)).all()
