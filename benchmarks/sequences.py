"""Sequences that recurrent networks are judged by, and how they are made or read."""

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
