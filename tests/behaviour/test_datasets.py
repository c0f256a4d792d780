"""The data sets are those of their sources, to the last digit, wherever they are imported from."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils import Bunch

import skaernn
from skaernn._core.compat import InvalidParameterError
from skaernn.datasets import load_japanese_vowels, load_mauna_loa_co2

PACKAGE = Path(skaernn.__file__).parent
DATA = PACKAGE / "datasets" / "data"

# Of the source's own text: a line a step, the speaker and the coefficients with six decimals.
VOWELS = {
    "train": (270, 4274, "dc719ea212e062f0dc5badf41679f94da481b0080044484d3e29229a32d658f6"),
    "test": (370, 5687, "178f82bb463870d616f636b2a0aadb817625c8424158e28f1168c522fd94f04c"),
}
CLASSES = {"train": [30] * 9, "test": [31, 35, 88, 44, 29, 24, 40, 50, 29]}


@pytest.mark.parametrize("subset", VOWELS)
def test_vowels_are_those_of_the_source(subset):
    n_series, n_steps, digest = VOWELS[subset]
    X, y = load_japanese_vowels(subset=subset, return_X_y=True)
    assert len(X) == len(y) == n_series
    assert {series.dtype for series in X} == {np.dtype(np.float64)}
    assert {series.shape[1:] for series in X} == {(12,)}
    lengths = [len(series) for series in X]
    assert sum(lengths) == n_steps
    assert (min(lengths), max(lengths)) == (7, {"train": 26, "test": 29}[subset])
    assert np.isfinite(np.concatenate(X)).all()
    assert np.bincount(y).tolist() == [0, *CLASSES[subset]]
    lines = [
        f"{speaker}," + ",".join(f"{value:.6f}" for value in step)
        for series, speaker in zip(X, y, strict=True)
        for step in series
    ]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == digest


def test_vowels_begin_and_end_as_the_source():
    X, y = load_japanese_vowels(return_X_y=True)
    assert [len(series) for series in X[:5]] == [20, 26, 22, 20, 21]
    assert X[0][0, :4].tolist() == [1.860936, -0.207383, 0.261557, -0.214562]
    assert X[-1][-1, -3:].tolist() == [-0.089183, 0.16625, 0.173642]
    assert (y[0], y[-1], y.dtype) == (1, 9, np.int64)
    X, _ = load_japanese_vowels(subset="test", return_X_y=True)
    assert [len(series) for series in X[-3:]] == [15, 14, 11]
    assert X[0][0, :3].tolist() == [1.635533, 0.024848, 0.432087]
    assert X[-1][-1, -3:].tolist() == [-0.001849, -0.016634, 0.224688]


def test_all_vowels_are_train_then_test():
    X, y = load_japanese_vowels(subset="all", return_X_y=True)
    parts = [load_japanese_vowels(subset=subset, return_X_y=True) for subset in VOWELS]
    np.testing.assert_array_equal(y, np.concatenate([target for _, target in parts]))
    expected = parts[0][0] + parts[1][0]
    assert len(X) == len(expected) == 640
    assert all(np.array_equal(a, b) for a, b in zip(X, expected, strict=True))


def test_vowels_in_a_bunch():
    bunch = load_japanese_vowels()
    X, y = load_japanese_vowels(return_X_y=True)
    assert isinstance(bunch, Bunch)
    assert all(np.array_equal(a, b) for a, b in zip(bunch.data, X, strict=True))
    np.testing.assert_array_equal(bunch.target, y)
    np.testing.assert_array_equal(bunch.target_names, np.unique(y))
    assert len(set(bunch.feature_names)) == X[0].shape[1]
    assert (DATA / bunch.filename).is_file()


def test_co2_is_that_of_the_source():
    co2 = load_mauna_loa_co2(interpolate=False)
    assert isinstance(co2, Bunch)
    assert (co2.data.shape, co2.data.dtype) == ((2284,), np.float64)
    assert (co2.dates.shape, co2.dates.dtype) == ((2284,), np.dtype("M8[D]"))
    assert (str(co2.dates[0]), str(co2.dates[-1])) == ("1958-03-29", "2001-12-29")
    assert (np.diff(co2.dates) == np.timedelta64(7, "D")).all()
    assert co2.data[:6].tolist() == [316.1, 317.3, 317.6, 317.5, 316.4, 316.9]
    assert co2.data[-5:].tolist() == [370.3, 370.8, 371.2, 371.3, 371.5]
    assert co2.missing.sum() == 59
    np.testing.assert_array_equal(np.isnan(co2.data), co2.missing)
    assert np.rint(co2.data[~co2.missing] * 10).sum() == 7568165
    assert (DATA / co2.filename).is_file()
    assert len(co2.feature_names) == 1


def test_co2_gaps_are_filled_on_a_straight_line():
    raw, filled = load_mauna_loa_co2(interpolate=False), load_mauna_loa_co2()
    np.testing.assert_array_equal(filled.missing, raw.missing)
    np.testing.assert_array_equal(filled.data[~raw.missing], raw.data[~raw.missing])
    assert np.isfinite(filled.data).all()
    assert filled.data[6] == pytest.approx((316.9 + 317.5) / 2, rel=1e-15)
    (start,) = np.flatnonzero(raw.dates == np.datetime64("1964-01-25"))
    gap = slice(start - 1, start + 19)  # 18 weeks and their neighbours
    assert raw.missing[gap].sum() == 18
    line = np.linspace(raw.data[gap][0], raw.data[gap][-1], 20)
    np.testing.assert_allclose(filled.data[gap], line, rtol=1e-14)  # 50 roundings
    last = filled.dates[filled.missing][-1]
    assert str(last) == "1985-08-03"  # the description recommends what follows


def test_every_call_gives_arrays_of_its_own():
    X, y = load_japanese_vowels(return_X_y=True)
    co2 = load_mauna_loa_co2()
    for array in (*X, y, co2.data, co2.dates, co2.missing):
        assert array.flags.writeable
    X[0][:], y[:], co2.data[:], co2.missing[:] = 0, 0, 0, True
    assert X[1].all()
    again_X, again_y = load_japanese_vowels(return_X_y=True)
    again = load_mauna_loa_co2()
    assert again_X[0].any()
    assert again_y.all()
    assert again.data.all()
    assert not again.missing.all()


@pytest.mark.parametrize("subset", ["both", "TRAIN", None, 1, ["train"], True])
def test_unknown_subset_lists_the_choices(subset):
    words = r"The 'subset' parameter of load_japanese_vowels must be a str among "
    words += r"\{'train', 'test', 'all'\}\. Got"
    with pytest.raises(InvalidParameterError, match=words):
        load_japanese_vowels(subset=subset)


def test_switches_are_bools():
    with pytest.raises(InvalidParameterError, match=r"'return_X_y' parameter .* a bool\. Got 1"):
        load_japanese_vowels(return_X_y=1)
    with pytest.raises(
        InvalidParameterError, match=r"'interpolate' parameter .* a bool\. Got 'no'"
    ):
        load_mauna_loa_co2(interpolate="no")
    assert load_mauna_loa_co2(interpolate=np.False_).missing.sum() == 59


def test_descriptions_name_source_and_licence():
    vowels, co2 = load_japanese_vowels().DESCR, load_mauna_loa_co2().DESCR
    for words in ("UCI Machine Learning Repository", "CC BY 4.0", "aeon 1.6.0", "Kudo"):
        assert words in vowels
    for words in ("statsmodels 0.15.0", '"This is public domain."', "Keeling", "interpolation"):
        assert words in " ".join(co2.split())
    licences = (DATA / "LICENSES.txt").read_text()
    for words in ("aeon developers", "statsmodels Developers", "CC BY 4.0", "public domain"):
        assert words in licences
    for path in DATA.iterdir():
        assert path.suffix in {".rst", ".txt"} or path.name in licences


def test_data_are_small():
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 400_000


def test_data_load_from_a_zipped_package(tmp_path):
    archive = tmp_path / "zipped.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in PACKAGE.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                file.write(path, Path("skaernn") / path.relative_to(PACKAGE))
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import skaernn.datasets as d;"
        "assert d.__file__.startswith(sys.argv[1]), d.__file__;"
        "print(len(d.load_japanese_vowels(subset='all').data), len(d.load_mauna_loa_co2().data))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, archive],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert found.stdout.split() == ["640", "2284"]
