"""What a user gets for every wrong X, in every method that takes one."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from refusal import (
    COMPLEX,
    DATES,
    FRAME,
    LARGE,
    MISSING,
    NESTED,
    NO_ARRAY,
    PARTS,
    RAGGED,
    SIZE,
    TEXT,
    Convertible,
    X,
    make,
    refuse,
)
from scipy import sparse
from sklearn.exceptions import NotFittedError


def cells(*values):
    """A (2, n) object array of these cells."""
    array = np.empty((2, len(values)), dtype=object)
    for column, value in enumerate(values):
        array[:, column] = [value, value]
    return array


def replaced(value, dtype=float):
    array = X.astype(dtype)
    array[7, 1] = value
    return array


class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return torch.zeros(3)


@pytest.fixture(scope="module")
def fitted():
    return make().fit(X)


BAD_X = {
    # no two-dimensional data at all
    "empty list": (list, ValueError, NO_ARRAY),
    "0-d array": (lambda: np.array(1.0), ValueError, NO_ARRAY),
    "0-d tensor": (lambda: torch.tensor(1.0), ValueError, NO_ARRAY),
    "scalar": (lambda: 3.0, ValueError, NO_ARRAY),
    "str": (lambda: "abc", ValueError, NO_ARRAY),
    "bytes": (lambda: b"abc", ValueError, NO_ARRAY),
    "set": (lambda: {1, 2}, ValueError, NO_ARRAY),
    "generator": (lambda: (row for row in X), ValueError, NO_ARRAY),
    "range": (lambda: range(3), ValueError, NO_ARRAY),
    "object": (object, ValueError, NO_ARRAY),
    "function": (lambda: make, ValueError, NO_ARRAY),
    "dict": (lambda: {"a": [1.0]}, TypeError, "pass X.* as a NumPy array"),
    "Dataset": (Data, TypeError, "got Data instead: pass X.* tensor"),
    "DataLoader": (lambda: torch.utils.data.DataLoader(Data()), TypeError, "got DataLoader"),
    # shape
    "no rows": (lambda: X[:0], ValueError, r"0 sample\(s\)"),
    "no columns": (lambda: X[:, :0], ValueError, r"0 feature\(s\)"),
    "empty rows": (lambda: [[], []], ValueError, r"0 feature\(s\)"),
    "empty frame": (pd.DataFrame, ValueError, r"0 feature\(s\)"),
    "empty polars": (pl.DataFrame, ValueError, r"0 feature\(s\)"),
    "1-D": (lambda: X[:, 0], ValueError, "Reshape your data"),
    "1-D tensor": (lambda: torch.ones(3), ValueError, "Reshape your data"),
    "list of numbers": (lambda: [1.0, 2.0], ValueError, "Reshape your data"),
    "list of 0-d": (lambda: [np.array(1.0), torch.tensor(2.0)], ValueError, "Reshape your data"),
    "Series": (lambda: FRAME["a"], ValueError, "2-dimensional container"),
    "polars Series": (lambda: pl.Series([1.0, 2.0]), ValueError, "Reshape your data"),
    "3-D": (lambda: X.reshape(5, 4, 3), ValueError, f"{SIZE} dim 3"),
    "4-D": (lambda: X.reshape(5, 2, 2, 3), ValueError, f"{SIZE} dim 4"),
    "ragged": (lambda: [[1, 2, 3], [1, 2]], ValueError, f"{RAGGED}.*2 to 3"),
    "ragged tensors": (lambda: [torch.ones(3), torch.ones(2)], ValueError, RAGGED),
    "ragged depth": (lambda: [[1, 2, 3], 5], ValueError, RAGGED),
    "ragged deep": (lambda: [[[1], [1, 2]], [[1], [1]]], ValueError, RAGGED),
    "ragged objects": (lambda: np.array([X[0], X[0, :2]], dtype=object), ValueError, RAGGED),
    "a row of None": (lambda: [[1.0, 2.0], None], ValueError, RAGGED),
    # values
    "NaN": (lambda: replaced(np.nan), ValueError, MISSING),
    "NaN float32": (lambda: replaced(np.nan, np.float32), ValueError, MISSING),
    "inf": (lambda: replaced(np.inf), ValueError, "infinity"),
    "-inf float32": (lambda: replaced(-np.inf, np.float32), ValueError, "infinity"),
    "None": (lambda: [[None, 1.0]], ValueError, MISSING),
    "NA object": (lambda: cells(pd.NA, 1.0), ValueError, MISSING),
    "Decimal NaN": (lambda: cells(Decimal("nan")), ValueError, MISSING),
    "complex": (lambda: X + 1j, ValueError, COMPLEX),
    "complex tensor": (lambda: torch.from_numpy(X + 0j).conj(), ValueError, COMPLEX),
    "complex object": (lambda: cells(1j), ValueError, COMPLEX),
    "400 digits": (lambda: [[10**400, 1]], ValueError, LARGE),
    "400-digit object": (lambda: cells(-(10**400)), ValueError, LARGE),
    "Decimal 1e400": (lambda: cells(Decimal("1e400")), ValueError, LARGE),
    "long double": (lambda: np.full((3, 2), np.longdouble("1e4000")), ValueError, LARGE),
    "dict cell": (lambda: cells({}), TypeError, "must be a string or a real number"),
    "list cell": (lambda: cells([1, 2]), ValueError, PARTS),
    "text": (lambda: np.array([["a", "b"]]), ValueError, TEXT),
    "numeric strings": (lambda: [["1", "2"]], ValueError, TEXT),
    "strings among numbers": (lambda: [[1, "2"]], ValueError, TEXT),
    "numeric bytes": (lambda: np.array([[b"1", b"2"]]), ValueError, TEXT),
    "string object": (lambda: cells("1", 2.0), ValueError, TEXT),
    "bytearray object": (lambda: cells(bytearray(b"1")), ValueError, TEXT),
    "list of str": (lambda: ["abc", "de"], ValueError, TEXT),
    "__array__ of text": (lambda: Convertible(np.array([["1", "2"]])), ValueError, TEXT),
    "datetime64": (lambda: np.zeros((3, 2), "M8[s]"), TypeError, rf"datetime64\[s\].*{DATES}"),
    "timedelta64": (lambda: np.zeros((3, 2), "m8[s]"), TypeError, rf"timedelta64\[s\].*{DATES}"),
    "__array__ of dates": (lambda: Convertible(np.zeros((3, 2), "M8[s]")), TypeError, DATES),
    "date objects": (lambda: [[date(2020, 1, 1)] * 2], TypeError, "datetime.date"),
    "timedelta objects": (lambda: [[timedelta(1)] * 2], TypeError, "datetime.timedelta"),
    "void": (lambda: np.zeros((3, 2), "V4"), ValueError, NESTED),
    # containers
    "masked": (lambda: np.ma.masked_greater(X, 1), ValueError, "Masked arrays"),
    "masked rows": (lambda: [np.ma.masked_less(row, 0) for row in X], ValueError, "Masked arrays"),
    "matrix": (lambda: X.view(np.matrix), TypeError, "np.matrix is not supported"),
    "structured": (lambda: np.zeros(5, [("a", "f8"), ("b", "f8")]), ValueError, NESTED),
    "record": (lambda: np.rec.fromarrays(X.T), ValueError, NESTED),
    "sparse array": (lambda: sparse.csr_array(X), TypeError, r"\.toarray\(\)"),
    "sparse matrix": (lambda: sparse.coo_matrix(X), TypeError, r"\.toarray\(\)"),
    "sparse dok": (lambda: sparse.dok_array((3, 3)), TypeError, r"\.toarray\(\)"),
    "sparse tensor": (lambda: torch.from_numpy(X).to_sparse(), TypeError, "sparse tensor"),
    "meta tensor": (lambda: torch.ones(3, 3, device="meta"), TypeError, "meta tensor"),
    "row on meta": (lambda: [torch.ones(3, device="meta")], TypeError, "meta tensor"),
    # frames
    "frame NaN": (lambda: FRAME.where(FRAME < 1), ValueError, MISSING),
    "frame NA": (lambda: pd.DataFrame({"a": [1, None]}, dtype="Int64"), ValueError, MISSING),
    "frame boolean NA": (
        lambda: pd.DataFrame({"a": [True, None]}, dtype="boolean"),
        ValueError,
        MISSING,
    ),
    "frame object NA": (lambda: pd.DataFrame(cells(pd.NA)), ValueError, MISSING),
    "frame text": (lambda: FRAME.assign(b="1"), ValueError, f"'b'.*{TEXT}"),
    "frame string": (lambda: pd.DataFrame({"b": ["1"]}, dtype="string"), ValueError, TEXT),
    "frame category": (lambda: FRAME.astype({"b": "category"}), ValueError, "'b'.*categories"),
    "frame complex": (lambda: FRAME + 1j, ValueError, COMPLEX),
    "frame dates": (lambda: FRAME.assign(b=pd.Timestamp(0)), TypeError, f"'b'.*{DATES}"),
    "frame zones": (lambda: FRAME.assign(b=pd.Timestamp(0, tz="UTC")), TypeError, DATES),
    "frame durations": (lambda: FRAME.assign(b=pd.Timedelta(1)), TypeError, f"'b'.*{DATES}"),
    "frame periods": (lambda: FRAME.assign(b=pd.Period("2020")), TypeError, DATES),
    "frame lists": (lambda: pd.DataFrame({"a": [[1, 2], [3, 4]]}), ValueError, PARTS),
    "frame sparse": (
        lambda: FRAME.astype(pd.SparseDtype("float64", 0.0)),
        TypeError,
        r"sparse\.to_dense\(\)",
    ),
    "frame mixed names": (
        lambda: FRAME.set_axis(["a", 1, "c"], axis=1),
        TypeError,
        "all input features have string names",
    ),
    "frame duplicates": (
        lambda: FRAME.set_axis(["a", "b", "a"], axis=1),
        ValueError,
        "duplicate column names: a",
    ),
    "polars null": (lambda: pl.DataFrame({"a": [1.0, None]}), ValueError, MISSING),
    "polars int null": (lambda: pl.DataFrame({"a": [1, None]}), ValueError, MISSING),
    "polars lazy": (lambda: pl.LazyFrame({"a": [1.0]}), TypeError, r"collect\(\) first"),
    "polars text": (lambda: pl.DataFrame({"a": ["1"]}), ValueError, f"'a'.*{TEXT}"),
    "polars date": (lambda: pl.DataFrame({"a": [date(2020, 1, 1)]}), TypeError, DATES),
    "polars duration": (lambda: pl.DataFrame({"a": [timedelta(1)]}), TypeError, DATES),
    "polars list": (lambda: pl.DataFrame({"a": [[1, 2]]}), ValueError, NESTED),
    "polars struct": (lambda: pl.DataFrame({"a": [{"x": 1}]}), ValueError, NESTED),
}

bad_x = pytest.mark.parametrize(
    ("data", "error", "words"), [pytest.param(*case, id=name) for name, case in BAD_X.items()]
)


# Names are looked at first, and a frame after an array has its own test below.
names_apart = pytest.mark.filterwarnings("ignore:X has feature names, but")


@names_apart
@bad_x
def test_fit_refuses(data, error, words):
    new, fitted = make(), make(warm_start=True).fit(X)
    refuse(new, lambda: new.fit(data()), error, words)
    refuse(new, lambda: new.partial_fit(data()), error, words)
    refuse(fitted, lambda: fitted.fit(data()), error, words)
    refuse(fitted, lambda: fitted.partial_fit(data()), error, words)


@names_apart
@bad_x
def test_validation_rows_are_checked_like_x(data, error, words):
    model = make(early_stopping=True)
    refuse(model, lambda: model.fit(X, X_val=data()), error, words)


METHODS = ("transform", "inverse_transform", "score", "score_samples", "reconstruction_error")


@names_apart
@pytest.mark.parametrize("method", METHODS)
@bad_x
def test_a_fitted_model_refuses(method, data, error, words, fitted):
    if method == "inverse_transform" and words.startswith("all input features"):
        error, words = ValueError, "expected 2 components"  # codes have no names
    refuse(fitted, lambda: getattr(fitted, method)(data()), error, words)


def test_none_is_no_array(fitted):
    new = make()
    refuse(new, lambda: new.fit(None), ValueError, "Expected 2D array, got NoneType")
    refuse(fitted, lambda: fitted.transform(None), ValueError, "Expected 2D array, got NoneType")


def test_one_bad_value_in_a_million():
    rows = np.zeros((1_000_000, 1), dtype=np.float32)
    rows[123_456] = np.inf
    model = make()
    refuse(model, lambda: model.fit(rows), ValueError, "Input X contains infinity")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a tensor on a CUDA device")
def test_cuda_tensor(fitted):
    for data in (torch.ones(3, 3, device="cuda"), [torch.ones(3, device="cuda")] * 3):
        refuse(fitted, lambda data=data: fitted.transform(data), TypeError, r"X\.cpu\(\)")


def test_one_row_cannot_be_split():
    model = make(early_stopping=True)
    for rows in (X[:1], np.repeat(X[:1], 5, axis=0)):
        refuse(model, lambda rows=rows: model.fit(rows), ValueError, "validation set is too small")


def test_float32_cannot_hold_everything():
    model = make(dtype="float32")
    refuse(model, lambda: model.fit(X * 1e300), ValueError, LARGE)
    model.fit(X)
    refuse(model, lambda: model.partial_fit(X * 1e300), ValueError, LARGE)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("given", "dtype"), [("f8", "float32"), ("f4", None)])
def test_a_float32_network_refuses_what_it_cannot_hold(given, dtype, method):
    model = make(dtype=dtype).fit(X.astype(given))
    rows = X[:, :2] if method == "inverse_transform" else X
    refuse(model, lambda: getattr(model, method)(rows * 1e300), ValueError, LARGE)


def test_validation_rows_have_to_fit_the_network():
    model = make(early_stopping=True)
    rows = X.astype(np.float32)
    refuse(model, lambda: model.fit(rows, X_val=X * 1e300), ValueError, LARGE)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_further_apart_than_numbers_go(dtype):
    rows = X.astype(dtype)
    rows[:15, 0], rows[15:, 0] = np.finfo(dtype).max, np.finfo(dtype).min
    words = (
        rf"Input X contains values whose differences are too large for dtype\('{dtype.__name__}'"
    )
    for scaling in ("global", "standard"):
        model = make(scaling=scaling)
        refuse(model, lambda model=model: model.fit(rows), ValueError, words)


def test_more_parameters_than_memory():
    for parameters in ({"hidden_layer_sizes": (10**7,) * 3}, {"n_components": 10**12}):
        model = make(**parameters)
        refuse(model, lambda model=model: model.fit(X), MemoryError, r"layer sizes \(3, .* GiB")


# transform and the like


@pytest.mark.parametrize("method", METHODS)
def test_before_fit(method):
    model = make()
    refuse(model, lambda: getattr(model, method)(None), NotFittedError, "not fitted yet")


@pytest.mark.parametrize("method", ["sample", "get_feature_names_out"])
def test_before_fit_without_x(method):
    model = make()
    refuse(model, getattr(model, method), NotFittedError, "not fitted yet")


@pytest.mark.parametrize("method", [*METHODS, "partial_fit"])
def test_another_number_of_features(method, fitted):
    words = "X has 1 features, but AutoencoderTransformer is expecting 3"
    if method == "inverse_transform":
        words = "X has 1 columns, but .* expected 2 components"
    refuse(fitted, lambda: getattr(fitted, method)(X[:, :1]), ValueError, words)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (FRAME.rename(columns={"a": "z"}), "unseen at fit time:\n- z"),
        (FRAME[["b", "a", "c"]], "must be in the same order"),
        (FRAME[["a", "b"]], "now missing:\n- c"),
        (FRAME.assign(d=0.0), "unseen at fit time:\n- d"),
    ],
    ids=["renamed", "reordered", "missing", "additional"],
)
def test_other_columns(frame, words):
    model = make(early_stopping=True).fit(FRAME, X_val=FRAME)
    before = model.transform(FRAME)
    with pytest.raises(ValueError, match=words):
        model.transform(frame)
    with pytest.raises(ValueError, match=words):
        model.fit(FRAME, X_val=frame)
    np.testing.assert_array_equal(model.transform(FRAME), before)


def test_names_on_one_side_only(fitted):
    with pytest.warns(UserWarning, match="X has feature names, but"):
        fitted.transform(FRAME)
    model = make().fit(FRAME)
    with pytest.warns(UserWarning, match="X does not have valid feature names, but"):
        np.testing.assert_array_equal(model.transform(X), fitted.transform(X))


def test_codes_come_in_every_form(fitted):
    codes = fitted.transform(X)
    expected = fitted.inverse_transform(codes)
    forms = (
        codes.tolist(),
        codes[::-1].copy()[::-1],
        torch.from_numpy(codes),
        np.asfortranarray(codes),
    )
    for form in (*forms, pd.DataFrame(codes, columns=["p", "q"])):
        np.testing.assert_array_equal(fitted.inverse_transform(form), expected)


@pytest.mark.parametrize("n_samples", [0, -1, 1.5, "a", None, True, [3]], ids=str)
def test_number_of_samples(n_samples, fitted):
    words = "n_samples must be a positive int"
    refuse(fitted, lambda: fitted.sample(n_samples), ValueError, words)


@pytest.mark.parametrize("seed", [-1, 1.5, "a", np.random.default_rng(0)], ids=str)
def test_seed_of_samples(seed, fitted):
    refuse(fitted, lambda: fitted.sample(2, random_state=seed), ValueError, "[Ss]eed")
