"""Data that NumPy would turn into numbers or text without a word, wherever it can be passed."""

import array
from collections import UserDict, deque
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from refusal import Convertible
from sequence_refusal import LABELS, Y, classifier, objects, regressor
from sequence_refusal import X as SEQUENCES
from sklearn.base import clone

from skaernn import (
    AutoencoderTransformer,
    SequenceAutoencoderTransformer,
    VariationalAutoencoderTransformer,
    sliding_windows,
)

ROWS = SEQUENCES[:, :2].reshape(8, 4)  # of two channels a step, to those who ask
FRAME = pd.DataFrame(ROWS, columns=list("abcd"))
SHORT = {"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0}
VECTORS = [AutoencoderTransformer(**SHORT), VariationalAutoencoderTransformer(**SHORT)]
OF_SEQUENCES = [
    regressor(max_iter=1),
    classifier(max_iter=1),
    SequenceAutoencoderTransformer(hidden_size=3, n_channels=2, max_iter=1, random_state=0),
]
TARGETS = {"RNNSequenceRegressor": Y, "RNNSequenceClassifier": LABELS}


class Kind(Enum):
    ONE = 1


class Whole(IntEnum):
    ONE = 1


class Table:
    """What a table of pyarrow is known by; as an array it has lost its names."""

    column_names = property(lambda self: list(self.frame.columns))

    def __init__(self, frame):
        self.frame = frame

    def to_pandas(self):
        return self.frame

    def __array__(self, dtype=None, copy=None):
        return self.frame.to_numpy()


class WithoutPandas(Table):
    def to_pandas(self):
        raise ImportError("no module named pandas")


class Scalar:
    """What a scalar of pyarrow is known by."""

    def as_py(self):
        return "a"

    def __float__(self):
        return 97.0


class Ragged:
    """What an array of awkward is known by; only regular ones become arrays."""

    layout = None

    def __init__(self, items):
        self.items = items

    def to_list(self):
        return self.items

    def __array__(self, dtype=None, copy=None):
        return np.array(self.items)  # a ValueError, if they are of unequal lengths


def calls(estimators):
    """Everything that takes X, of new and of fitted models."""
    for estimator in estimators:
        name = type(estimator).__name__
        answer = "predict" if name in TARGETS else "transform"
        y = TARGETS.get(name)
        yield f"{name}.fit", clone(estimator).fit, y
        yield f"{name}.{answer}", getattr(fitted(name), answer), None


@cache
def fitted(name):
    (estimator,) = (e for e in [*VECTORS, *OF_SEQUENCES] if type(e).__name__ == name)
    X = SEQUENCES if estimator in OF_SEQUENCES else ROWS
    return clone(estimator).fit(X, TARGETS.get(name))


def refused_everywhere(data, error, words, *, vectors=True, sequences=True, windows=True):
    found = [*(VECTORS if vectors else []), *(OF_SEQUENCES if sequences else [])]
    for name, call, y in calls(found):
        with pytest.raises(error, match=words) as caught:
            call(data()) if y is None else call(data(), y)
        assert type(caught.value) is error, name
    if windows:
        with pytest.raises(error, match=words.replace("X", "series")) as caught:
            sliding_windows(data(), 1)
        assert type(caught.value) is error


# Dates and durations

MOMENTS = {
    "datetime": (datetime(2020, 1, 1), "datetime.datetime"),
    "date": (date(2020, 1, 1), "datetime.date"),
    "time": (time(3), "datetime.time"),
    "timedelta": (timedelta(1), "datetime.timedelta"),
    "datetime64": (np.datetime64("2020-01-01"), "numpy.datetime64"),
    "datetime64[ns]": (np.datetime64(1, "ns"), "numpy.datetime64"),
    "timedelta64": (np.timedelta64(3, "s"), "numpy.timedelta64"),
    "not a time": (np.datetime64("NaT"), "numpy.datetime64"),
    "Timestamp": (pd.Timestamp(0), "pandas.*Timestamp"),
    "Timedelta": (pd.Timedelta(1), "pandas.*Timedelta"),
    "Period": (pd.Period("2020"), "pandas.Period"),
    "NaT": (pd.NaT, "pandas.*NaTType"),
}
moments = pytest.mark.parametrize(("moment", "kind"), MOMENTS.values(), ids=MOMENTS.keys())
CONVERT = "; convert dates and durations to numbers first"


@pytest.mark.filterwarnings("ignore:X has feature names, but")  # frames after arrays
@moments
@pytest.mark.parametrize(
    "form",
    [
        pytest.param(lambda cell: np.array([[1.0, cell, 2.0, 3.0]] * 4, dtype=object), id="array"),
        pytest.param(lambda cell: [[1.5, 2.5, 3.5, 4.5]] * 3 + [[1.5, cell, 2.5, 3.5]], id="list"),
        pytest.param(lambda cell: objects([objects([1.0, cell, 2.0, 3.0])] * 4), id="rows"),
        pytest.param(lambda cell: FRAME.assign(b=pd.Series([cell] * 8, dtype=object)), id="frame"),
    ],
)
def test_moments_among_numbers(form, moment, kind):
    refused_everywhere(lambda: form(moment), TypeError, f"X.*contains a {kind}{CONVERT}|b.*{kind}")


@moments
def test_moments_in_sequences(moment, kind):
    cells = SEQUENCES.astype(object)
    cells[3, 1, 1] = moment
    words = f"contains a {kind}{CONVERT}"
    refused_everywhere(lambda: cells, TypeError, words, vectors=False, windows=False)
    refused_everywhere(lambda: list(cells), TypeError, rf"X\[3\] {words}", vectors=False)
    nested = [[[1.5, 2.5], [3.5, moment]], [[1.5, 2.5]]]
    refused_everywhere(lambda: nested, TypeError, words, vectors=False, windows=False)


@moments
def test_moments_as_numeric_targets(moment, kind):
    words = f"must be numeric: y contains a {kind}{CONVERT}"
    for y in ([1.5] * 7 + [moment], objects([moment] * 8), pd.Series([moment] * 8, dtype=object)):
        with pytest.raises(ValueError, match=f"{words}|must be numeric, got dtype"):
            regressor().fit(SEQUENCES, y)


def test_dates_as_objects_of_polars():
    frame = pl.DataFrame({"a": pl.Series([date(2020, 1, 1)] * 4, dtype=pl.Object)})
    refused_everywhere(lambda: frame, TypeError, "'a' of X contains a datetime.date", vectors=True)


def test_a_missing_date_is_no_class():
    with pytest.raises(ValueError, match="y contains NaN: a missing date"):
        classifier().fit(SEQUENCES, np.array(["2020", "NaT"] * 4, dtype="M8[D]"))


@pytest.mark.parametrize(
    "number", [Decimal("1.5"), Fraction(1, 3), Whole.ONE, True, np.float16(2)]
)
def test_other_numbers_are_numbers(number):
    for model, form in [(VECTORS[0], ROWS.astype(object)), (OF_SEQUENCES[2], ROWS.astype(object))]:
        form[2, 1] = number
        codes = clone(model).fit(form).transform(form)
        plain = form.astype(float)
        np.testing.assert_array_equal(codes, clone(model).fit(plain).transform(plain))
    y = [number, *Y[1:]]
    expected = regressor().fit(SEQUENCES, [float(number), *Y[1:]]).predict(SEQUENCES)
    np.testing.assert_array_equal(regressor().fit(SEQUENCES, y).predict(SEQUENCES), expected)


# Intervals, other objects, bytes

ODD_CELLS = {
    "Interval": (pd.Interval(0, 1), TypeError, r"pandas.Interval; .* \.mid, or .* \.left"),
    "Enum": (Kind.ONE, TypeError, "contains a Kind where a number should be"),
    "function": (len, TypeError, "contains a builtin_function_or_method where"),
    "ufunc": (np.add, TypeError, "contains a ufunc where a number should be"),
    "type": (int, TypeError, "contains a type where a number should be"),
    "set": ({1}, ValueError, "contains a set where a number should be"),
    "Series": (pd.Series([1.0]), ValueError, "contains a Series where a number should be"),
    "tensor": (torch.ones(2), ValueError, "contains a Tensor where a number should be"),
}


@pytest.mark.parametrize(("cell", "error", "words"), ODD_CELLS.values(), ids=ODD_CELLS.keys())
def test_cells_that_are_no_numbers(cell, error, words):
    rows = ROWS.astype(object)
    rows[1, 1] = cell
    refused_everywhere(lambda: rows, error, words)


NESTED = r"'d' of X contains a .* where a number should be; .*\[np.column_stack\(row\) for row in"


@pytest.mark.filterwarnings("ignore:X has feature names, but")
@pytest.mark.parametrize("convert", [pd.Series, np.array, list, torch.tensor, pl.Series])
def test_tables_of_sequences(convert):
    table = pd.DataFrame(
        {name: [convert(x[:, c]) for x in SEQUENCES] for c, name in enumerate("de")}
    )
    refused_everywhere(lambda: table, ValueError, NESTED)
    sequences = [np.column_stack(row) for row in table.to_numpy()]  # as the message says
    model = regressor().fit(sequences, Y)
    np.testing.assert_array_equal(model.predict(sequences), model.predict(SEQUENCES))


CONTAINERS = {
    "dict": (
        lambda: {"a": [1.0]},
        TypeError,
        r"got dict .*DataFrame\(X\), .*list\(X.values\(\)\)",
    ),
    "UserDict": (lambda: UserDict(a=1), TypeError, r"got UserDict .*pandas.DataFrame\(X\)"),
    "records": (lambda: [{"a": 1.0}] * 3, TypeError, r"X\[0\] is a dict, .*pandas.DataFrame\(X\)"),
    "generator": (lambda: (x for x in ROWS), ValueError, r"got generator .*list\(X\) holds"),
    "map": (lambda: map(list, ROWS), ValueError, r"got map .*list\(X\) holds"),
    "values": ({"a": ROWS}.values, ValueError, "got dict_values instead"),
    "ufunc": (lambda: np.add, ValueError, "got ufunc instead"),
    "module": (lambda: np, ValueError, "got module instead"),
    "type": (lambda: np.ndarray, ValueError, "got type instead"),
    "bytearray": (lambda: bytearray(b"abc"), ValueError, "got bytearray instead"),
    "memoryview of bytes": (lambda: memoryview(b"abc"), ValueError, "got memoryview instead"),
    "bytearrays": (lambda: [bytearray(b"abcd")] * 3, ValueError, "bytes/strings|got bytearray"),
    "memoryviews": (lambda: [memoryview(b"abcd")] * 3, ValueError, "bytes/strings|got memoryview"),
    "array of text": (lambda: [array.array("u", "abcd")] * 3, ValueError, "bytes/strings"),
    "MultiIndex": (
        lambda: pd.MultiIndex.from_product([[1, 2], [3, 4]]),
        ValueError,
        "a tuple where a number should be",
    ),
    "categories": (lambda: [pd.Categorical([1, 2])] * 3, ValueError, r"X\[0\] has dtype category"),
    "packed": (
        lambda: torch.nn.utils.rnn.pack_sequence([torch.ones(3, 2)] * 3),
        TypeError,
        "X is a PackedSequence; .*unpack_sequence",
    ),
    "list of packed": (
        lambda: [torch.nn.utils.rnn.pack_sequence([torch.ones(3, 2)] * 3)] * 2,
        TypeError,
        r"X\[0\] is a PackedSequence; .*unpack_sequence",
    ),
    "lazy frames": (lambda: [FRAME_LAZY] * 2, TypeError, r"X\[0\] is a LazyFrame.*collect\(\)"),
    "scalars": (lambda: [[Scalar()] * 4] * 3, TypeError, r"scalars of pyarrow; .*to_pylist\(\)"),
    "no pandas": (
        lambda: WithoutPandas(FRAME),
        TypeError,
        r"X is a WithoutPandas of pyarrow, .*X.to_pandas\(\), or pass polars.from_arrow\(X\)",
    ),
}
FRAME_LAZY = pl.DataFrame(ROWS).lazy()


@pytest.mark.parametrize(("data", "error", "words"), CONTAINERS.values(), ids=CONTAINERS.keys())
def test_containers(data, error, words):
    refused_everywhere(data, error, words)


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy 2 brings StringDType")
@pytest.mark.parametrize("shape", [(8, 4), (8, 6, 2)])
def test_text_of_variable_width(shape):
    text = np.full(shape, "1", dtype=np.dtypes.StringDType())
    refused_everywhere(lambda: text, ValueError, r"StringDType\(\).*bytes/strings", windows=False)
    refused_everywhere(lambda: list(text), ValueError, "StringDType.*bytes/strings")


@pytest.mark.parametrize(
    "column", [pd.interval_range(0, 8), pd.Series(pd.interval_range(0, 8)).astype(object)]
)
def test_columns_of_intervals(column):
    frame = FRAME.reset_index(drop=True).assign(b=column)
    with pytest.raises(TypeError, match=r"'b' of X .*[Ii]nterval.* \.mid, or a column for each"):
        clone(VECTORS[0]).fit(frame)


def test_a_list_of_tables():
    for tables in ([FRAME] * 2, [pl.DataFrame(ROWS)], (FRAME, FRAME[:3]), [Table(FRAME)]):
        words = r"X\[0\] is a table where a row .*pandas.concat\(X\)"
        refused_everywhere(
            lambda tables=tables: tables, ValueError, words, sequences=False, windows=False
        )


def test_nested_lists_of_unequal_depth():
    deep = [[1.0, 2.0], [[3.0, 3.0], [4.0, 4.0]]]
    words = "depths|depth 2, but .* one of depth 1: lists of steps"
    refused_everywhere(lambda: deep, ValueError, words)
    refused_everywhere(lambda: deep[::-1], ValueError, "depths|depth 1, but|unequal lengths")


# What is understood


@pytest.mark.parametrize(
    "convert",
    [
        deque,
        lambda X: [array.array("d", row) for row in X],
        lambda X: [memoryview(row) for row in X],
        lambda X: deque(deque(row) for row in X),
        lambda X: pd.Series([pd.Series(row) for row in X]),
        Ragged,
        Convertible,
    ],
)
def test_rows_in_other_containers_are_rows(convert):
    for model in (VECTORS[0], OF_SEQUENCES[2]):
        expected = clone(model).fit(ROWS).transform(ROWS)
        given = convert(ROWS)
        np.testing.assert_array_equal(clone(model).fit(given).transform(given), expected)


@pytest.mark.parametrize(
    "convert",
    [
        deque,
        pd.Series,
        lambda X: Ragged([x.tolist() for x in X]),
        lambda X: [Ragged(x.tolist()) for x in X],
        lambda X: [Table(pd.DataFrame(x)) for x in X],
    ],
)
def test_sequences_in_other_containers_are_sequences(convert):
    ragged = [x[: 6 - i % 3] for i, x in enumerate(SEQUENCES)]
    expected = regressor().fit(ragged, Y).predict(ragged)
    given = convert(ragged)
    np.testing.assert_array_equal(regressor().fit(given, Y).predict(given), expected)
    if not isinstance(given, Ragged):  # as nested lists several series are not told from one
        np.testing.assert_array_equal(sliding_windows(given, 2)[0], sliding_windows(ragged, 2)[0])


def check_names_are_kept(convert):
    table, swapped = convert(FRAME), convert(FRAME[["b", "a", "c", "d"]])
    for model in (VECTORS[0], OF_SEQUENCES[2]):
        new = clone(model).fit(table)
        assert list(new.feature_names_in_) == list("abcd")
        np.testing.assert_array_equal(new.transform(table), new.transform(FRAME))
        with pytest.raises(ValueError, match="must be in the same order"):
            new.transform(swapped)
    model = regressor(n_channels=1).fit([table] * 8, Y)
    assert list(model.feature_names_in_) == list("abcd")
    with pytest.raises(ValueError, match="must be in the same order"):
        model.predict([swapped] * 8)
    with pytest.raises(ValueError, match="same channels, in the same order"):
        sliding_windows([table, swapped], 2)
    with pytest.raises(ValueError, match="duplicate column names: a"):
        clone(VECTORS[0]).fit(convert(FRAME.set_axis(list("aacd"), axis=1)))


def test_tables_keep_their_names():
    check_names_are_kept(Table)


@pytest.mark.parametrize("kind", ["Table", "RecordBatch"])
def test_tables_of_pyarrow_keep_their_names(kind):
    pa = pytest.importorskip("pyarrow", reason="pyarrow is no dependency of the tests")

    def convert(frame):
        columns = [pa.array(frame.to_numpy()[:, i]) for i in range(frame.shape[1])]
        return getattr(pa, kind).from_arrays(columns, names=list(frame.columns))

    check_names_are_kept(convert)


def test_pyarrow_as_targets():
    pa = pytest.importorskip("pyarrow", reason="pyarrow is no dependency of the tests")
    expected = regressor().fit(SEQUENCES, Y).predict(SEQUENCES)
    for y in (pa.array(Y), pa.chunked_array([Y[:3], Y[3:]]), pa.table({"y": Y}).column("y")):
        np.testing.assert_array_equal(regressor().fit(SEQUENCES, y).predict(SEQUENCES), expected)
    text = pa.array(LABELS.tolist())
    assert classifier().fit(SEQUENCES, text).classes_.tolist() == ["a", "b", "c"]
    for y in (text, text.dictionary_encode()):
        with pytest.raises(ValueError, match="must be numeric"):
            regressor().fit(SEQUENCES, y)
    with pytest.raises(TypeError, match=r"y is a list of scalars of pyarrow; .*to_pylist\(\)"):
        classifier().fit(SEQUENCES, list(text))


def test_arrays_of_awkward():
    ak = pytest.importorskip("awkward", reason="awkward is no dependency of the tests")
    ragged = [x[: 6 - i % 3] for i, x in enumerate(SEQUENCES)]
    given = ak.Array([x.tolist() for x in ragged])
    expected = regressor().fit(ragged, Y).predict(ragged)
    np.testing.assert_array_equal(regressor().fit(given, ak.Array(Y)).predict(given), expected)
    with pytest.raises(ValueError, match="contains NaN"):
        clone(VECTORS[0]).fit(ak.Array([[1.0, None]] * 8))


def test_arrays_of_xarray():
    xr = pytest.importorskip("xarray", reason="xarray is no dependency of the tests")
    expected = regressor().fit(SEQUENCES, Y).predict(SEQUENCES)
    given = xr.DataArray(SEQUENCES)
    np.testing.assert_array_equal(regressor().fit(given, Y).predict(given), expected)
    data = xr.Dataset({"a": ("t", Y)})
    refused_everywhere(lambda: data, TypeError, r"got Dataset .*X.to_dataframe\(\)")


# Labels

MIXED = {
    "int": [1, "a"],
    "float": ["a", 1.5],
    "bool": [True, "a"],
    "None": ["a", None],
    "NaN": [float("nan"), "a"],
    "NumPy's": [np.str_("a"), np.int64(1)],
    "tensor": ["a", torch.tensor(1)],
    "0-d array": [np.array("a"), 1],
    "date": ["a", date(2020, 1, 1)],
    "NA": [pd.NA, "a"],
    "NaT": ["a", pd.NaT],
}


@pytest.mark.parametrize("labels", MIXED.values(), ids=MIXED.keys())
@pytest.mark.parametrize(
    "convert",
    [
        list,
        tuple,
        objects,
        deque,
        lambda y: [[v] for v in y],
        lambda y: pd.Series(y, dtype=object),
    ],
    ids=["list", "tuple", "array", "deque", "column", "Series"],
)
def test_labels_of_mixed_types(convert, labels):
    words = "y must hold uniformly strings or numbers, got|where a class should be"
    with pytest.raises(ValueError, match=words):
        classifier().fit(SEQUENCES, convert(labels * 4))


def test_labels_of_mixed_types_in_steps():
    y = [["a", 1] * 3] * 8
    for X in (SEQUENCES, list(SEQUENCES)):
        with pytest.raises(ValueError, match=r"uniformly strings or numbers, .* str and int"):
            classifier(return_sequences=True).fit(X, y)
    with pytest.raises(ValueError, match="uniformly strings or numbers"):
        classifier().partial_fit(SEQUENCES, LABELS, classes=["a", "b", 3])


@pytest.mark.parametrize(
    ("labels", "error", "words"),
    [
        (["a", b"b"], TypeError, "represented as bytes is not supported"),
        ([("a", 1), ("b", 2)], ValueError, r"1d array|uniformly"),
        ([bytearray(b"a"), bytearray(b"b")], ValueError, "bytes/strings"),
        ([1.5, pd.Period("2020")], ValueError, "Unknown label type|uniformly strings or numbers"),
        ([[1.5, date(2020, 1, 1)]] * 2, ValueError, "uniformly strings .* float and date;"),
    ],
)
def test_labels_that_are_none(labels, error, words):
    with pytest.raises(error, match=words):
        classifier().fit(SEQUENCES, labels * 4)


def test_a_view_of_bytes_holds_no_targets():
    for make in (regressor, classifier):
        with pytest.raises(ValueError, match="got memoryview instead"):
            make().fit(SEQUENCES, memoryview(b"abcdabcd"))


@pytest.mark.parametrize("dtype", [pl.Struct({"a": pl.Float64}), pl.List(pl.Float64)])
def test_nested_series_are_no_targets(dtype):
    cell = {"a": 1.0} if isinstance(dtype, pl.Struct) else [1.0]
    for make in (regressor, classifier):
        with pytest.raises(ValueError, match="nested data need a column for each value"):
            make().fit(SEQUENCES, pl.Series([cell] * 8, dtype=dtype))


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy 2 brings StringDType")
def test_labels_of_variable_width_are_text():
    text = LABELS.astype(np.dtypes.StringDType())
    model = classifier().fit(SEQUENCES, text)
    assert model.classes_.tolist() == ["a", "b", "c"]
    expected = classifier().fit(SEQUENCES, LABELS).predict(SEQUENCES)
    assert model.predict(SEQUENCES).tolist() == expected.tolist()
    with pytest.raises(ValueError, match="must be numeric"):
        regressor().fit(SEQUENCES, text)


@pytest.mark.parametrize("labels", [["a", np.str_("b")], [np.array("a"), "b"], [True, False]])
def test_labels_of_one_type_are_welcome(labels):
    assert len(classifier().fit(SEQUENCES, labels * 4).classes_) == 2
