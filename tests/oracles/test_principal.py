"""Principal components, by whichever way they are found, are those of scikit-learn's SVD."""

import numpy as np
import pytest
import torch
from guarantee import assert_not_worse, pca_error
from sklearn.decomposition import PCA

from skaernn import AutoencoderTransformer, VariationalAutoencoderTransformer
from skaernn._rows import leading as leading_module
from skaernn._rows.leading import leading
from skaernn._rows.principal import principal_components
from skaernn._rows.vectors import make_rows


def table(variances, n, seed=0):
    """Rows whose covariance has exactly these eigenvalues, but for rounding."""
    rng = np.random.default_rng(seed)
    variances = np.asarray(variances, dtype=float)
    scores = rng.normal(size=(n, len(variances)))
    scores = np.linalg.qr(scores - scores.mean(0))[0] * np.sqrt(n * variances)
    return scores @ np.linalg.qr(rng.normal(size=(len(variances),) * 2))[0]


def constant_columns():
    X = np.random.default_rng(0).normal(size=(50, 12))
    X[:, [0, 5, 6]] = 0.0, 3.0, -1e3
    return X


TABLES = {
    "ill-conditioned": table(np.geomspace(1, 1e-12, 12), 60),
    "low rank and tiny noise": table([4.0, 2.0, 1.0, *[1e-18] * 9], 60),
    "low rank, tall": table([4.0, 2.0, 1.0, *[1e-13] * 9], 200),
    "rows as many as columns": np.random.default_rng(0).normal(size=(12, 12)),
    "one more row": np.random.default_rng(0).normal(size=(13, 12)),
    "wide": np.random.default_rng(0).normal(size=(8, 12)),
    "constant columns": constant_columns(),
    "flat": table(np.ones(12), 60),
    "far from zero": table(np.linspace(2, 1, 12), 60) + 1e5,
    "float32": table(np.geomspace(1, 1e-3, 12), 60).astype(np.float32) + np.float32(10),
}
everywhere = pytest.mark.parametrize("X", TABLES.values(), ids=TABLES)


def found_in(X, n_components=None, weight=None):
    [rows] = make_rows(X, torch.from_numpy(X), weight, torch.float64)
    return principal_components(rows, n_components)


def squares(X):
    """Variances as scikit-learn has them, of as many components as can be, by an SVD."""
    pca = PCA(svd_solver="full").fit(X.astype(np.float64))
    return pca.explained_variance_ * (len(X) - 1) / len(X)


@everywhere
def test_all_variances_are_as_precise_as_singular_values(X):
    found, expected = found_in(X), squares(X)
    deviations = np.sqrt(found.variances.numpy()) * found.unit
    # of those of a covariance, the least are wrong in the eighth digit of the largest
    np.testing.assert_allclose(
        deviations, np.sqrt(expected), rtol=0, atol=1e-13 * max(1.0, np.abs(X).max())
    )
    axes = found.components.numpy()
    np.testing.assert_allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-13)


@everywhere
@pytest.mark.parametrize("n_components", [1, 3, 6])
def test_few_components_and_what_they_leave_out_are_those_of_pca(X, n_components):
    found, expected = found_in(X, n_components), squares(X)
    variances = found.variances.numpy()[:n_components] * found.unit**2
    np.testing.assert_allclose(variances[:3], expected[: min(3, n_components)], rtol=1e-10)
    np.testing.assert_allclose(variances.sum(), expected[:n_components].sum(), rtol=1e-10)
    # Left over are singular values, each with the rounding of the largest and of numbers in X.
    rounding = 1e-15 * (np.sqrt(expected[0]) + np.abs(X).max())
    left, of_pca = found.discarded(n_components), expected[n_components:].sum()
    assert abs(left**0.5 - of_pca**0.5) <= 1e-10 * of_pca**0.5 + len(expected) * rounding
    # and they leave out what they say
    axes = found.components[:, :n_components].numpy()
    centred = X.astype(np.float64) - X.mean(0, dtype=np.float64)
    loss = ((centred - centred @ axes @ axes.T) ** 2).sum() / len(X)
    assert abs(loss**0.5 - left**0.5) <= 1e-10 * left**0.5 + len(expected) * rounding


@everywhere
@pytest.mark.parametrize("n_components", [2, 6])
def test_the_guarantee_holds_in_every_table(X, n_components):
    estimator = AutoencoderTransformer(
        n_components, (8,), max_iter=2, learning_rate=1e-2, random_state=0
    )
    assert_not_worse(estimator.fit(X), X, n_components)


@everywhere
@pytest.mark.parametrize("n_components", [None, 3])
def test_weights_are_repeated_rows(X, n_components):
    weight = np.random.default_rng(1).integers(1, 4, len(X))
    found = found_in(X, n_components, weight.astype(float))
    expected = squares(np.repeat(X, weight, axis=0))[: len(found.variances)]
    deviations = np.sqrt(found.variances.numpy()[:n_components]) * found.unit
    atol = 1e-13 * max(1.0, np.abs(X).max())
    np.testing.assert_allclose(deviations, np.sqrt(expected[:n_components]), rtol=0, atol=atol)
    left, of_pca = found.discarded(3), 12 * pca_error(X, 3, weight)
    assert abs(left**0.5 - of_pca**0.5) <= 1e-10 * of_pca**0.5 + atol / 10


@pytest.mark.parametrize("share", [0.3, 0.9, 1 - 1e-12])
@everywhere
def test_shares_of_variance_are_counted_as_pca_does(X, share):
    expected = np.cumsum(squares(X)) / squares(X).sum()
    count = found_in(X, share).count_for(share)
    # counts differ where a share is met to rounding
    assert expected[count - 1] > share - 1e-14
    assert count == 1 or expected[count - 2] <= share + 1e-14


def test_rows_are_factored_only_where_their_covariance_is_not_enough(monkeypatch):
    calls = []
    svd = torch.linalg.svd

    def counted(*args, **how):
        calls.append(args)
        return svd(*args, **how)

    monkeypatch.setattr(torch.linalg, "svd", counted)
    for name, n, factored in (
        ("rows as many as columns", 3, False),
        ("flat", None, False),
        ("constant columns", 3, False),
        ("constant columns", 9, True),  # which leave nothing out but rounding
        ("constant columns", 12, False),  # nothing, whatever the rounding
        ("ill-conditioned", 3, False),
        ("ill-conditioned", 6, True),
        ("ill-conditioned", 0.9, False),
        ("ill-conditioned", None, True),
        ("low rank, tall", 3, True),
        ("wide", 3, True),
    ):
        calls.clear()
        found_in(TABLES[name], n)
        assert bool(calls) == factored, (name, n)


def test_blocks_that_are_factored_one_by_one_are_one_matrix(monkeypatch):
    X = TABLES["low rank, tall"]
    whole = found_in(X, 3)
    monkeypatch.setattr("skaernn._rows.principal._BLOCK", 12 * 24)  # of two rows a feature
    monkeypatch.setattr("skaernn._rows.vectors._BLOCK", 12 * 7)
    parts = found_in(X, 3)
    torch.testing.assert_close(parts.variances, whole.variances, rtol=1e-8, atol=1e-28)
    assert parts.discarded(3) == pytest.approx(whole.discarded(3), rel=1e-8)


# Few of many: `leading`.

SIZE = 120
SPECTRA = {
    "decay": 1 / np.arange(1.0, SIZE + 1),
    "steep": 0.5 ** np.arange(SIZE),
    "manifold": np.r_[np.full(20, 2.0), np.linspace(1, 0.5, SIZE - 20)],  # one value 20 times
    "low rank": np.r_[3.0, 2.0, np.zeros(SIZE - 2)],
    "nothing": np.zeros(SIZE),
}


@pytest.fixture
def few_are_enough(monkeypatch):
    """What is for thousands of columns, of a hundred."""
    monkeypatch.setattr(leading_module, "_SMALLEST", 100)
    monkeypatch.setattr(leading_module, "_FOR_EACH", 5)


def symmetric(values):
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(SIZE, SIZE)))[0]
    return torch.from_numpy((axes * values) @ axes.T)


@pytest.mark.parametrize("values", SPECTRA.values(), ids=SPECTRA)
@pytest.mark.parametrize("n", [1, 5, 12])
def test_leading_eigenvectors_are_those_of_a_full_decomposition(values, n):
    matrix = symmetric(values)
    state = torch.get_rng_state()
    found, axes = leading(matrix, n)
    assert torch.equal(torch.get_rng_state(), state)
    expected = np.sort(values)[::-1][:n]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-13 * values.max())
    torch.testing.assert_close(axes.T @ axes, torch.eye(n).double(), rtol=0, atol=1e-13)
    residual = matrix @ axes - axes * found
    assert float(residual.abs().max()) <= 2e-13 * values.max()
    again = leading(matrix, n)
    assert torch.equal(found, again[0])
    assert torch.equal(axes, again[1])


def test_a_search_that_would_take_long_ends_early(monkeypatch):
    begun = []
    krylov = leading_module._krylov
    monkeypatch.setattr(leading_module, "_krylov", lambda *a: begun.append(1) or krylov(*a))
    noise = np.random.default_rng(0).normal(size=(2000, 1000))
    assert leading(torch.from_numpy(noise.T @ noise), 2) is None
    assert len(begun) <= 4


@pytest.mark.usefixtures("few_are_enough")
@pytest.mark.parametrize("name", ["decay", "steep", "manifold", "low rank"])
def test_few_of_many_components_say_the_same_as_all(name, monkeypatch):
    X = table(SPECTRA[name], 300) + 1
    few = found_in(X, 6)
    monkeypatch.setattr(leading_module, "_SMALLEST", 10**9)
    full = found_in(X, 6)
    assert len(full.variances) == SIZE
    # where they leave nothing but rounding, the rows are factored
    assert len(few.variances) == (SIZE if name == "low rank" else 6)
    close = {"rtol": 1e-10, "atol": 1e-25}
    torch.testing.assert_close(few.variances[:6], full.variances[:6], **close)
    torch.testing.assert_close(few.ratios(6), full.ratios(6), **close)
    assert few.total == pytest.approx(full.total, rel=1e-12, abs=1e-25)
    for n in (4, 6):
        assert few.discarded(n) == pytest.approx(full.discarded(n), rel=1e-10, abs=1e-25)
        for one, other in zip(few.probabilistic(n), full.probabilistic(n), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)
    if name == "decay":  # each is the only one of its variance
        torch.testing.assert_close(few.components[:, :6], full.components[:, :6])


@pytest.mark.usefixtures("few_are_enough")
@pytest.mark.parametrize("kind", [AutoencoderTransformer, VariationalAutoencoderTransformer])
def test_models_start_at_pca_where_few_of_many_components_are_found(kind, monkeypatch):
    X = table(SPECTRA["decay"], 300) + 1

    def fitted():
        return kind(6, (8,), max_iter=1, learning_rate=1e-12, random_state=0).fit(X)

    few = fitted()
    monkeypatch.setattr(leading_module, "_SMALLEST", 10**9)
    full = fitted()
    np.testing.assert_allclose(
        few.explained_variance_ratio_, full.explained_variance_ratio_, rtol=1e-10
    )
    np.testing.assert_allclose(few.transform(X), full.transform(X), atol=1e-8)
    if kind is AutoencoderTransformer:
        assert_not_worse(few, X, 6)
