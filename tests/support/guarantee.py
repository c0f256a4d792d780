"""The guarantee that an autoencoder is never worse than PCA on its training rows."""

import numpy as np


def pca_error(X, n_components, weight=None):
    """Mean squared error of the best affine reconstruction, by numpy in float64."""
    X = np.asarray(X, dtype=np.float64)
    unit = max(np.abs(X).max(), 1e-300)
    mean = np.average(X / unit, axis=0, weights=weight)
    centred = X / unit - mean
    if weight is not None:
        centred = centred * np.sqrt(weight / weight.sum() * len(X))[:, None]
    singular = np.linalg.svd(centred, compute_uv=False)
    return (singular[n_components:] ** 2).sum() / X.size * unit**2


def total_variance(X):
    X = X.astype(np.float64)
    unit = max(np.abs(X).max(), 1e-300)
    return np.var(X / unit, axis=0, dtype=np.float64).mean() * unit**2


def assert_not_worse(estimator, X, n_components):
    # Rounding, in X's own type: of the products against the total variance, and of X less its
    # mean, which is off by an ulp of X and moves the residuals by as much.
    eps = np.finfo(X.dtype).eps
    error = estimator.reconstruction_error(X).astype(np.float64).mean()
    ulp = 4 * eps * np.abs(X).astype(np.float64).max()
    allowed = (np.sqrt(pca_error(X, n_components)) + ulp) ** 2
    assert error <= allowed * (1 + 20 * eps) + 20 * eps * total_variance(X)
