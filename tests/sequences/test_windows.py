"""Windows and what follows them: the right values, and words for every wrong input."""

from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from refusal import COMPLEX, DATES, LARGE, NO_ARRAY, TEXT, Convertible
from scipy import sparse

from skaernn._core.compat import InvalidParameterError
from skaernn._inputs.windows import sliding_windows

LINE = np.arange(12.0)
PLANE = np.arange(24.0).reshape(12, 2)


def plain(parts, window, horizon, step):
    """The definition, value by value."""
    X, y = [], []
    for part in parts:
        for start in range(0, len(part) - window - horizon + 1, step):
            rows = [[float(v) for v in np.atleast_1d(row)] for row in part]
            X.append(rows[start : start + window])
            follows = rows[start + window : start + window + horizon]
            y.append([value for row in follows for value in row])
    return np.array(X), np.array(y)


@given(data=st.data())
def test_windows_are_those_of_a_plain_loop(data):
    window, horizon, step = (data.draw(st.integers(1, 5), label=name) for name in "whs")
    n_channels = data.draw(st.integers(0, 3), label="n_channels (0: 1-D)")
    extra = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=4), label="extra steps")
    dtype = data.draw(st.sampled_from([np.float64, np.float32, np.int16]), label="dtype")
    shape = (n_channels,) if n_channels else ()
    rng = np.random.default_rng(0)
    parts = [
        rng.integers(-1000, 1000, (window + horizon + more, *shape)).astype(dtype)
        for more in extra
    ]
    series = parts[0] if len(parts) == 1 and data.draw(st.booleans(), label="bare") else parts
    X, y = sliding_windows(series, window, horizon, step=step)
    expected_X, expected_y = plain(parts, window, horizon, step)
    width = horizon * max(n_channels, 1)
    assert X.shape == (sum(more // step + 1 for more in extra), window, max(n_channels, 1))
    assert y.shape == ((len(X),) if width == 1 else (len(X), width))
    np.testing.assert_array_equal(X, expected_X)
    np.testing.assert_array_equal(y.reshape(len(X), -1), expected_y)
    assert X.dtype == y.dtype == (np.float32 if dtype == np.float32 else np.float64)


def test_targets_are_time_major_as_a_flat_x_is():
    X, y = sliding_windows(PLANE, 3, 2)
    assert X[0].ravel().tolist() == [0, 1, 2, 3, 4, 5]
    assert y[0].tolist() == [6, 7, 8, 9]
    assert y.reshape(-1, 2, 2)[0].tolist() == [[6, 7], [8, 9]]


def test_the_smallest_series_gives_one_window():
    X, y = sliding_windows(LINE[:5], 3, 2)
    assert X.tolist() == [[[0], [1], [2]]]
    assert y.tolist() == [[3, 4]]


@pytest.mark.parametrize(
    "series",
    [
        LINE.tolist(),
        tuple(LINE),
        list(LINE),
        [[value] for value in LINE],
        LINE.astype(object),
        LINE.astype(np.float16),
        LINE.astype(">i4"),
        LINE.astype(np.longdouble),
        LINE[::-1][::-1],
        np.repeat(LINE, 2)[::2],
        pd.Series(LINE, index=pd.date_range("2000-01-01", periods=12)),
        pd.Series(LINE, dtype="Int64"),
        pd.Series(LINE, dtype=object),
        pd.DataFrame({"a": LINE}),
        pl.Series(LINE),
        pl.DataFrame({"a": LINE}),
        torch.from_numpy(LINE.copy()).requires_grad_(),
        torch.from_numpy(LINE.copy()).bfloat16(),
        list(torch.from_numpy(LINE.copy())),
        Convertible(LINE),
        [LINE],
        (LINE,),
        [LINE[:, None]],
        [pd.Series(LINE)],
        [torch.from_numpy(LINE.copy())],
    ],
)
def test_kinds_of_one_series_agree(series):
    X, y = sliding_windows(series, 3)
    expected_X, expected_y = plain([LINE], 3, 1, 1)
    assert type(X) is type(y) is np.ndarray
    assert X.dtype == y.dtype == np.float64
    np.testing.assert_array_equal(X, expected_X)
    np.testing.assert_array_equal(y, expected_y.ravel())


@pytest.mark.parametrize(
    "series",
    [
        LINE.astype(np.float32),
        torch.arange(12.0),
        pd.Series(LINE, dtype="Float32"),
        pl.Series(LINE, dtype=pl.Float32),
        pl.DataFrame({"a": LINE}, schema={"a": pl.Float32}),
        [LINE.astype(np.float32), LINE[:5].astype(np.float32)],
    ],
)
def test_single_precision_stays(series):
    X, y = sliding_windows(series, 3)
    assert X.dtype == y.dtype == np.float32


def test_double_precision_wins_in_a_mixed_list():
    X, y = sliding_windows([LINE.astype(np.float32), LINE], 3)
    assert X.dtype == y.dtype == np.float64


def test_kinds_of_several_series_agree():
    parts = [PLANE, PLANE[:7] + 100]
    objects = np.empty(2, dtype=object)
    objects[:] = parts
    frames = [pd.DataFrame(part, columns=["a", "b"]) for part in parts]
    expected_X, expected_y = plain(parts, 3, 2, 2)
    for series in (parts, tuple(parts), objects, frames, [PLANE, parts[1].tolist()]):
        X, y = sliding_windows(series, 3, 2, step=2)
        np.testing.assert_array_equal(X, expected_X)
        np.testing.assert_array_equal(y, expected_y)


@pytest.mark.parametrize("several", [False, True])
def test_results_are_apart_from_the_series(several):
    series = PLANE.copy()
    X, y = sliding_windows([series, series] if several else series, 3, 2)
    before = X.copy(), y.copy()
    assert not X.flags.writeable
    y[:] = -1
    np.testing.assert_array_equal(X, before[0])
    series[:] = -2
    np.testing.assert_array_equal(X, before[0])
    assert (y == -1).all()


def test_windows_of_one_series_take_the_memory_of_the_series():
    series = np.zeros(100_000)
    X, _ = sliding_windows(series, 1000)
    assert np.shares_memory(X[0], X[999])
    low, high = np.lib.array_utils.byte_bounds(X)
    assert high - low <= series.nbytes
    assert X[5].flags.c_contiguous


def test_small_integers_of_numpy_do_not_wrap_round():
    X, y = sliding_windows(np.arange(400), np.uint8(200), np.uint8(100), step=np.int64(3))
    assert (X.shape, y.shape) == ((34, 200, 1), (34, 100))


@pytest.mark.parametrize("value", [0, -1, 2.0, "3", None, True, np.nan, [2]])
@pytest.mark.parametrize("name", ["window", "horizon", "step"])
def test_counts_are_positive_ints(name, value):
    words = rf"The '{name}' parameter of sliding_windows must be an int in the range \[1, inf\)"
    with pytest.raises(InvalidParameterError, match=words):
        sliding_windows(LINE, **{"window": 2, "horizon": 1, name: value})


def test_step_is_named():
    with pytest.raises(TypeError, match="positional"):
        sliding_windows(LINE, 3, 1, 2)


def with_value(value, at=3):
    series = PLANE.copy()
    series[at, 1] = value
    return series


FRAME = pd.DataFrame({"a": LINE, "b": LINE})
GAP = "cut the series there and pass the parts as a list"
BAD_SERIES = {
    # length
    "short": (LINE[:3], ValueError, "^series has 3 steps, .*need at least 4; choose a smaller"),
    "short one": (
        [LINE, LINE[:2], LINE[:1]],
        ValueError,
        r"^series\[1\] has 2 steps, but window=3 and horizon=1 need at least 4 \(2 of 3 series "
        "are too short\\); leave such series out",
    ),
    "rows as series": (list(PLANE), ValueError, r"series\[0\] has 2 steps"),
    "empty": ([], ValueError, "0 sample"),
    "empty one": ([LINE, LINE[:0]], ValueError, "0 sample"),
    "no channels": (PLANE[:, :0], ValueError, "0 feature"),
    # shape
    "scalar": (3.0, ValueError, NO_ARRAY.replace("2D", "1D")),
    "0-d": (np.array(1.0), ValueError, r"shape \(n_steps,\) or"),
    "3-D": (PLANE[None], ValueError, r"got shape \(1, 12, 2\) .*as a list of arrays"),
    "nested too deep": ([PLANE.tolist()], ValueError, "as a list of arrays"),
    "one is 3-D": ([PLANE, PLANE[None]], ValueError, r"Expected series\[1\] of shape"),
    "lists of unequal lengths": ([[1, 2, 3], [4, 5]], ValueError, "as a list of arrays"),
    "other channels": ([PLANE, LINE], ValueError, r"series\[1\] has 1 channels, .* has 2"),
    "other columns": ([FRAME, FRAME[["b", "a"]]], ValueError, r"\['a', 'b'\] and \['b', 'a'\]"),
    "no columns": (pd.DataFrame(index=range(9)), ValueError, "without columns"),
    "same columns": (pd.concat([FRAME, FRAME], axis=1), ValueError, "duplicate column names"),
    # values
    "NaN": (with_value(np.nan), ValueError, f"series contains NaN, first at step 3: .*{GAP}"),
    "NaN in one": ([PLANE, with_value(np.nan, 7)], ValueError, r"series\[1\] .* step 7"),
    "NA": (pd.Series([1, None, 3, 4, 5], dtype="Int64"), ValueError, "NaN, first at step 1"),
    "null": (pl.Series([1.0, None, 3, 4, 5]), ValueError, "NaN, first at step 1"),
    "None": ([1.0, None, 3.0, 4.0, 5.0], ValueError, "NaN, first at step 1"),
    "inf": (with_value(-np.inf), ValueError, f"infinity .*float64.*first at step 3: .*{GAP}"),
    "400 digits": ([10**400, 1, 2, 3], ValueError, LARGE),
    "masked": (np.ma.masked_less(LINE, 2), ValueError, "fill or impute"),
    "masked one": ([LINE, np.ma.masked_less(LINE, 2)], ValueError, r"mask of series\[1\]"),
    "complex": (LINE * 1j, ValueError, f"{COMPLEX}.*real and imaginary parts as two channels"),
    "complex frame": (FRAME * 1j, ValueError, COMPLEX),
    "complex number": ([1, 2j, 3, 4], ValueError, COMPLEX),
    "text": (["a", "b", "c", "d"], ValueError, TEXT),
    "text array": (LINE.astype(str), ValueError, TEXT),
    "text one": ([LINE, LINE.astype(str)], ValueError, r"series\[1\] has dtype"),
    "category": (pd.Series(list("abcd"), dtype="category"), ValueError, TEXT),
    "dates": (np.arange("2000", "2010", dtype="M8[Y]"), TypeError, DATES),
    "column of dates": (
        pd.DataFrame({"day": pd.date_range("2000-01-01", periods=5), "x": LINE[:5]}),
        TypeError,
        f"'day' of series .*{DATES}",
    ),
    "date objects": ([date(2000, 1, 1)] * 5, TypeError, "contains a datetime.date; convert"),
    # no array
    "str": ("abcd", ValueError, "Expected 1D array, got str"),
    "dict": ({"a": LINE}, TypeError, "got dict"),
    "None for one": ([LINE, None], ValueError, r"got NoneType instead: pass series\[1\] itself"),
    "generator": ((x for x in LINE), ValueError, "got generator"),
    "lazy": (pl.LazyFrame({"a": LINE}), TypeError, "collect"),
    "sparse": (sparse.csr_array(PLANE), TypeError, "toarray"),
    "meta": (torch.ones(9, device="meta"), TypeError, "meta tensor"),
    "matrix": (PLANE.view(np.matrix), TypeError, "matrix"),
}


@pytest.mark.parametrize("case", BAD_SERIES)
def test_bad_series_are_refused_with_words(case):
    series, error, words = BAD_SERIES[case]
    with pytest.raises(error, match=words) as caught:
        sliding_windows(series, 3)
    assert type(caught.value) is error
