"""Does VariationalAutoencoderTransformer do what its docstring says?"""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from skaernn import VariationalAutoencoderTransformer

IRIS, WINE = load_iris().data, load_wine().data
DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS = DIGITS / 16


def fitted(X, n_components=2, hidden=(64,), **parameters):
    options = {"max_iter": 20, "learning_rate": 3e-3, "random_state": 0, **parameters}
    return VariationalAutoencoderTransformer(n_components, hidden, **options).fit(X)


def posterior(estimator, X):
    """Means and variances of the codes of X."""
    module = estimator.module_
    with torch.inference_mode():
        mean, log_variance = module.posterior(module.to_scaled(torch.tensor(X)))
    return mean.numpy(), log_variance.exp().numpy()


@pytest.fixture(scope="module", params=[(64,), ()], ids=["hidden", "linear"])
def by_weight(request):
    """Autoencoders of digits for several weights of the divergence."""
    return {
        beta: fitted(DIGITS, 8, request.param, kl_weight=beta) for beta in (0.0, 1.0, 4.0, 200.0)
    }


def test_transform_gives_posterior_means(by_weight):
    mean, _ = posterior(by_weight[1.0], DIGITS[:50])
    np.testing.assert_allclose(by_weight[1.0].transform(DIGITS[:50]), mean, rtol=1e-9)


def test_the_divergence_widens_posteriors_and_shrinks_means(by_weight):
    widths, spreads = zip(
        *((v.mean(), m.var(0).mean()) for m, v in (posterior(e, DIGITS) for e in by_weight.values())),
        strict=True,
    )
    assert widths[0] < 0.5 * widths[1] < 0.25 * widths[2]
    assert widths[2] < 0.9 * widths[3]
    assert spreads[0] > spreads[1] > 1.2 * spreads[2] > 12 * spreads[3]
