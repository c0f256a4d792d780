"""From an autoencoder's parameters to its network, on given rows."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import torch

from .._rows.moments import SCALINGS, moments
from .._rows.principal import PrincipalComponents, principal_components
from .._rows.vectors import Rows
from .._training.vectors import Goal
from ..networks import (
    ARCHITECTURES,
    CORRUPTIONS,
    PENALTIES,
    AutoencoderNetwork,
    Corrupter,
    CustomAutoencoder,
    Range,
    check_image_shape,
)


@dataclass(frozen=True)
class Design:
    """A network, the rows it is to learn in its own units, and where its linear path starts."""

    network: AutoencoderNetwork
    rows: Rows
    principal: PrincipalComponents | None


def check_combinations(estimator) -> None:
    """Refuse parameters that are valid one by one and senseless together."""
    loss = estimator._loss
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
    _check_architecture(estimator)
    if estimator.code_penalty is not None:
        wanted = PENALTIES[estimator.code_penalty].code_activation
        if wanted not in (None, estimator.code_activation):
            raise ValueError(
                f"code_penalty={estimator.code_penalty!r} compares codes with probabilities and "
                f"needs code_activation={wanted!r}, got {estimator.code_activation!r}."
            )
    if estimator.corruption is not None:
        level = estimator.corruption_level
        if CORRUPTIONS[estimator.corruption].is_share and level > 1:
            raise ValueError(
                f"corruption={estimator.corruption!r} replaces a share of the numbers: "
                f"corruption_level must be at most 1, got {level!r}."
            )


def _check_architecture(estimator) -> None:
    """Refuse what an architecture cannot have."""
    architecture = estimator.architecture
    convolutional = architecture == "convolutional"
    if estimator.image_shape is not None and not convolutional:
        raise ValueError(
            f"image_shape={estimator.image_shape!r} is read by architecture='convolutional' only, "
            f"got architecture={architecture!r}."
        )
    if convolutional and not resolve_hidden(estimator):
        raise ValueError(
            "architecture='convolutional' needs the channels of at least one layer in "
            "hidden_layer_sizes, got ()."
        )
    if not callable(architecture):
        return
    if isinstance(architecture, torch.nn.Module):
        raise TypeError(
            "architecture must be a function that makes networks, got a torch.nn.Module: return "
            "an encoder and a decoder from architecture(n_features, n_components)."
        )
    refused = {
        "linear_path": (
            estimator.linear_path is True,
            "its layers are not known to start at zero",
        ),
        "tied_weights": (estimator.tied_weights, "its layers are not known to mirror each other"),
        "dropout": (estimator.dropout, "put torch.nn.Dropout into its modules instead"),
    }
    for name, (given, reason) in refused.items():
        if given:
            raise ValueError(
                f"{name}={getattr(estimator, name)!r} is not possible with an architecture of "
                f"your own: {reason}."
            )


def resolve_scaling(estimator) -> str | None:
    """What the parameter `scaling` comes down to."""
    if estimator.scaling == "auto":
        return estimator._loss.default_scaling
    return estimator.scaling


def resolve_output(estimator) -> str:
    """What the parameter `output_activation` comes down to."""
    given = estimator.output_activation
    return estimator._loss.output_activation if given == "auto" else given


def resolve_path(estimator) -> bool:
    """What the parameter `linear_path` comes down to."""
    if estimator.linear_path != "auto":
        return bool(estimator.linear_path)
    return (  # it starts at PCA where nothing bends codes or outputs
        estimator.architecture == "dense"
        and estimator.code_activation == "identity"
        and resolve_output(estimator) == estimator._loss.output_activation
    )


def resolve_hidden(estimator) -> tuple[int, ...]:
    """`hidden_layer_sizes` as a tuple."""
    sizes = estimator.hidden_layer_sizes
    return (int(sizes),) if isinstance(sizes, Integral) else tuple(int(size) for size in sizes)


def largest_network(estimator, n_samples: int, n_features: int) -> AutoencoderNetwork:
    """The largest network there can be, while a share of variance is no number of components."""
    n_components = estimator.n_components
    if not isinstance(n_components, Integral):
        n_components = min(n_samples, n_features)
    return build_network(estimator, n_features, int(n_components))


def build_network(estimator, n_features: int, n_components: int) -> AutoencoderNetwork:
    """The network that the parameters describe."""
    common = {
        "n_features": n_features,
        "n_components": n_components,
        "code_activation": estimator.code_activation,
        "output_activation": resolve_output(estimator),
        "variational": estimator._variational,
    }
    if callable(estimator.architecture):
        return CustomAutoencoder(estimator.architecture, **common)
    if estimator.architecture == "convolutional":
        common["image_shape"] = check_image_shape(estimator.image_shape, n_features)
    return ARCHITECTURES[estimator.architecture](
        hidden_layer_sizes=resolve_hidden(estimator),
        activation=estimator.activation,
        linear_path=resolve_path(estimator),
        dropout=float(estimator.dropout),
        tied_weights=bool(estimator.tied_weights),
        **common,
    )


def design(estimator, rows: Rows) -> Design:
    """Network, scaling and start for unscaled `rows`.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Its parameters are read, and nothing is changed.
    rows : Rows
    """
    rows = _scale(rows, resolve_scaling(estimator))
    n_components, principal = estimator.n_components, None
    if resolve_path(estimator) or not isinstance(n_components, Integral):
        principal = principal_components(rows)
    if not isinstance(n_components, Integral):
        n_components = principal.count_for(n_components)
    if principal is not None:
        principal = principal.first(int(n_components))
    return Design(build_network(estimator, rows.n_features, int(n_components)), rows, principal)


def goal(estimator, rows: Rows, limits: Range | None) -> Goal:
    """What the parameters ask of a network, on scaled `rows`."""
    penalty, strength = estimator._penalty
    corrupter = None
    if estimator.corruption is not None:
        corruption = CORRUPTIONS[estimator.corruption]
        corrupter = Corrupter(corruption, float(estimator.corruption_level), limits)
    return Goal(estimator._loss_on(rows), penalty, strength, corrupter)


def limits(rows: Rows) -> Range:
    """Smallest and largest value of each feature of scaled `rows`."""
    lows, highs = zip(*(block.aminmax(dim=0) for block, _ in rows.blocks(rows.dtype)), strict=True)
    return Range(torch.stack(lows).amin(0), torch.stack(highs).amax(0))


def _scale(rows: Rows, scaling: str | None) -> Rows:
    """The rows with their own mean and one scale, or one a feature."""
    if scaling is None:
        return rows
    mean, deviation = moments(rows)
    scale = SCALINGS[scaling](deviation)
    wide = torch.promote_types(rows.X.dtype, rows.dtype)
    return rows.scaled(mean.to(wide), scale.to(wide))
