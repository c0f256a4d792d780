"""Networks as a user would bring them."""

from torch import nn


def small(n_features, n_components):
    """Encoder and decoder of two layers each."""
    encoder = nn.Sequential(nn.Linear(n_features, 6), nn.Tanh(), nn.Linear(6, n_components))
    return encoder, nn.Sequential(nn.Linear(n_components, 6), nn.Tanh(), nn.Linear(6, n_features))


def twice(n_features, n_components):
    """The same for means and log-variances."""
    encoder, _ = small(n_features, 2 * n_components)
    return encoder, small(n_features, n_components)[1]


def with_state(n_features, n_components):
    """Dropout, which draws, and batch normalisation, whose buffers training changes."""
    encoder = nn.Sequential(
        nn.Linear(n_features, 6),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(6, n_components),
    )
    return encoder, nn.Linear(n_components, n_features)
