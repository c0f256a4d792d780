"""From an autoencoder's parameters to its network, on given rows."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import torch

from ._losses import LOSSES
from ._principal import PrincipalComponents, global_scale, moments, principal_components
from ._rows import Rows
from .networks import DenseAutoencoder


@dataclass(frozen=True)
class Design:
    """A network, the rows it is to learn in its own units, and where its linear path starts."""

    network: DenseAutoencoder
    rows: Rows
    principal: PrincipalComponents | None


def check_combinations(estimator) -> None:
    """Refuse parameters that are valid one by one and senseless together."""
    loss = LOSSES[estimator.loss]
    allowed = {
        "output_activation": ("auto", loss.output_activation),
        "scaling": ("auto", loss.default_scaling),
    }
    for name, values in allowed.items():
        value = getattr(estimator, name)
        if loss.fixed_output and value not in values:
            raise ValueError(
                f"loss={estimator.loss!r} needs {name}={values[1]!r} (or 'auto'), got {value!r}."
            )


def resolve_scaling(estimator) -> str | None:
    """What the parameter `scaling` comes down to."""
    if estimator.scaling == "auto":
        return LOSSES[estimator.loss].default_scaling
    return estimator.scaling


def largest_network(estimator, n_samples: int, n_features: int) -> DenseAutoencoder:
    """The largest network there can be, while a share of variance is no number of components."""
    n_components = estimator.n_components
    if not isinstance(n_components, Integral):
        n_components = min(n_samples, n_features)
    hidden = resolve_hidden(estimator)
    return DenseAutoencoder(n_features, int(n_components), hidden, linear_path=True)


def design(estimator, rows: Rows) -> Design:
    """Network, scaling and start for unscaled `rows`.

    Parameters
    ----------
    estimator : AutoencoderTransformer
        Its parameters are read, and nothing is changed.
    rows : Rows
    """
    loss = LOSSES[estimator.loss]
    output_activation = estimator.output_activation
    if output_activation == "auto":
        output_activation = loss.output_activation
    linear_path = estimator.linear_path
    if linear_path == "auto":  # it starts at PCA where nothing bends codes or outputs
        linear_path = (
            estimator.code_activation == "identity" and output_activation == loss.output_activation
        )
    rows = _scale(rows, resolve_scaling(estimator))
    n_components, principal = estimator.n_components, None
    if linear_path or not isinstance(n_components, Integral):
        principal = principal_components(rows)
    if not isinstance(n_components, Integral):
        n_components = principal.count_for(n_components)
    if principal is not None:
        principal = principal.first(int(n_components))
    network = DenseAutoencoder(
        n_features=rows.n_features,
        n_components=int(n_components),
        hidden_layer_sizes=resolve_hidden(estimator),
        activation=estimator.activation,
        code_activation=estimator.code_activation,
        output_activation=output_activation,
        linear_path=bool(linear_path),
        dropout=float(estimator.dropout),
    )
    return Design(network, rows, principal)


def resolve_hidden(estimator) -> tuple[int, ...]:
    """`hidden_layer_sizes` as a tuple."""
    sizes = estimator.hidden_layer_sizes
    return (int(sizes),) if isinstance(sizes, Integral) else tuple(int(size) for size in sizes)


def _scale(rows: Rows, scaling: str | None) -> Rows:
    """The rows with their own mean and one scale, or one a feature."""
    if scaling is None:
        return rows
    mean, deviation = moments(rows)
    if scaling == "global":
        scale = global_scale(deviation)
    else:
        scale = torch.where(deviation > 0, deviation, 1.0)
    wide = torch.promote_types(rows.X.dtype, rows.dtype)
    return rows.scaled(mean.to(wide), scale.to(wide))
