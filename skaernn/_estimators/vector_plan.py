"""From an autoencoder's parameters to its network and goal, and on rows to its objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from numbers import Integral
from typing import Any

import torch

from .._inputs.images import refuse_channels_first
from .._losses.loss import ReconstructionLoss
from .._rows.moments import SCALINGS, moments, units_in
from .._rows.principal import PrincipalComponents, principal_components
from .._rows.vectors import Rows
from .._training.vectors import Goal, ReconstructionObjective
from ..networks import (
    ARCHITECTURES,
    CORRUPTIONS,
    PENALTIES,
    AutoencoderModule,
    AutoencoderNetwork,
    Corrupter,
    Corruption,
    CustomAutoencoder,
    Penalty,
    Range,
)
from .plan import Plan

LEVEL = 0.2  # of a corruption: a share, or standard deviations


@dataclass(frozen=True)
class VectorPlan(Plan):
    """Plan of an autoencoder of vectors.

    Attributes
    ----------
    describe : callable
        From `n_features` and `n_components` to the description of the network.
    hidden : tuple of int
    n_components : int or float
        A float is a share of the variance.
    linear_path : bool
    dropout : float
    loss : ReconstructionLoss
    penalty : Penalty or None
        On what the encoder gives.
    strength : float
        Of the penalty.
    corruption : Corruption or None
    level : float or None
        Of the corruption, in X's units if it is no share. None: "auto".
    """

    describe: Callable[..., AutoencoderNetwork]
    hidden: tuple[int, ...]
    n_components: int | float
    linear_path: bool
    dropout: float
    loss: ReconstructionLoss
    scaling: str | None
    penalty: Penalty | None
    strength: float
    corruption: Corruption | None
    level: float | None
    noise: Mapping[str, Any]

    advice = "smaller hidden_layer_sizes or n_components"

    @classmethod
    def of(cls, given: Mapping[str, Any], loss: ReconstructionLoss, *, variational=False, **plan):
        """The plan that parameters stand for; those that make no sense together are refused.

        Parameters
        ----------
        given : dict
            Parameters of `AutoencoderTransformer` by name; those left out have its defaults.
        loss : ReconstructionLoss
            The one that is named there.
        variational : bool
        **plan
            Attributes of the plan that are to be others.
        """
        given = {**_ABSENT, **given}
        _check_loss(given, loss)
        kind, factory = _kind(given["architecture"])
        reason = kind.refusal(given)
        if reason is not None:
            raise ValueError(reason)
        penalty, corruption = _penalty(given), _corruption(given)
        output = given["output_activation"]
        output = loss.output_activation if output == "auto" else output
        path = given["linear_path"]
        if path == "auto":  # it starts at PCA where nothing bends codes or outputs
            bends = given["code_activation"] != "identity" or output != loss.output_activation
            path = kind.path_by_default and not bends
        if given["image_shape"] is not None:
            shape = tuple(int(size) for size in given["image_shape"])
            last = (*shape[1:], shape[0])
            refuse_channels_first(
                shape,
                f"image_shape={shape}",
                f"image_shape={last}, with images made rows by "
                "np.moveaxis(images, 1, -1).reshape(len(images), -1)",
            )
        sizes = given["hidden_layer_sizes"]
        hidden = (int(sizes),) if isinstance(sizes, Integral) else tuple(int(n) for n in sizes)
        spec = {
            "factory": factory,
            "hidden_layer_sizes": hidden,
            "image_shape": given["image_shape"],
            "activation": given["activation"],
            "code_activation": given["code_activation"],
            "output_activation": output,
            "linear_path": bool(path),
            "dropout": float(given["dropout"]),
            "tied_weights": bool(given["tied_weights"]),
            "variational": variational,
        }
        known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
        scaling = given["scaling"]
        made = {
            "describe": partial(kind, **{k: v for k, v in spec.items() if k in known}),
            "hidden": hidden,
            "n_components": given["n_components"],
            "linear_path": bool(path),
            "dropout": spec["dropout"],
            "loss": loss,
            "scaling": loss.default_scaling if scaling == "auto" else scaling,
            "penalty": penalty,
            "strength": 0.0 if penalty is None else float(given["penalty_strength"]),
            "corruption": corruption,
            "level": None if given["corruption_level"] == "auto" else given["corruption_level"],
            "noise": {
                "dropout": given["dropout"],
                "corruption": given["corruption"],
                "architecture": factory,  # it may draw, too
            },
        }
        return cls(**{**made, **plan})

    def network(self, data):
        n_samples, n_features = data.X.shape
        n_components = self.n_components
        if not isinstance(n_components, Integral):
            n_components = min(n_samples, n_features)
        return self._described(n_features, int(n_components), data.form)

    def _described(self, n_features: int, n_components: int, form: tuple[int, ...]):
        # images tell their own shape
        image = {"image_shape": form} if len(form) > 1 else {}
        return self.describe(n_features=n_features, n_components=n_components, **image)

    def sizes(self, network):
        return network.n_features, *self.hidden, network.n_components

    def begin(self, network, rows: Rows, data, **how):
        rows, principal = _scale(rows, self.scaling), None
        if self.linear_path or not isinstance(self.n_components, Integral):
            principal = principal_components(rows, self.n_components)
        if not isinstance(self.n_components, Integral):
            n_components = principal.count_for(self.n_components)
            network = self._described(rows.n_features, n_components, data.form)
        if principal is not None:
            principal = principal.first(network.n_components)
        limits = _limits(rows) if self._needs_limits else None
        if how["alpha"] == "auto":
            how["alpha"] = None
        return self._objective(network, rows, limits, principal=principal, **how)

    def resume(self, fitted, module: AutoencoderModule, rows: Rows, form, **how):
        network = fitted.network.with_dropout(self.dropout)
        rows, limits = rows.scaled(module.mean, module.scale), None
        if self._needs_limits:
            limits = _limits(rows)
            if fitted.limits is not None:
                ends = (torch.tensor(end) for end in fitted.limits)
                limits = Range(*(end.to(rows.device, rows.dtype) for end in ends))
        if how["alpha"] == "auto":
            how["alpha"] = fitted.alpha
        return self._objective(network, rows, limits, **how)

    @property
    def _needs_limits(self) -> bool:
        return self.corruption is not None and self.corruption.needs_range

    def _objective(
        self,
        network: AutoencoderNetwork,
        rows: Rows,
        limits: Range | None,
        principal: PrincipalComponents | None = None,
        **how,
    ) -> ReconstructionObjective:
        corrupter = None
        if self.corruption is not None:
            corrupter = Corrupter(self.corruption, self._level_on(self.corruption, rows), limits)
        goal = Goal(self.loss_on(rows), self.penalty, self.strength, corrupter)
        return ReconstructionObjective(network, goal, rows, principal=principal, **how)

    def _level_on(self, corruption: Corruption, rows: Rows) -> Any:
        """Level of a corruption of scaled `rows`: a share, or standard deviations as scaled."""
        if corruption.is_share:
            return LEVEL if self.level is None else float(self.level)
        if self.level is not None:
            return float(self.level) if rows.scale is None else self.level / rows.scale
        if rows.scale is not None:
            return LEVEL
        return LEVEL * float(SCALINGS["global"](moments(rows)[1]))

    def loss_on(self, rows: Rows) -> ReconstructionLoss:
        """The loss on scaled `rows`."""
        return self.loss


# parameters that not all autoencoders have, as they are where they are not
_ABSENT = {
    "code_activation": "identity",
    "code_penalty": None,
    "penalty_strength": 0.0,
    "corruption": None,
    "corruption_level": 0.0,
    "tied_weights": False,
}


def _check_loss(given: Mapping[str, Any], loss: ReconstructionLoss) -> None:
    """Refuse what a loss with an output and a scaling of its own cannot have."""
    allowed = {
        "output_activation": ("auto", loss.output_activation),
        "scaling": ("auto", loss.default_scaling),
    }
    for name, values in allowed.items():
        if loss.fixed_output and given[name] not in values:
            raise ValueError(
                f"loss={given['loss']!r} needs {name}={values[1]!r} (or 'auto'), "
                f"got {given[name]!r}."
            )


def _kind(architecture) -> tuple[type[AutoencoderNetwork], Callable | None]:
    """The kind of network, and the function that makes it, if the user has one."""
    if isinstance(architecture, str):
        return ARCHITECTURES[architecture], None
    if isinstance(architecture, torch.nn.Module):
        raise TypeError(
            "architecture must be a function that makes networks, got a torch.nn.Module: return "
            "an encoder and a decoder from architecture(n_features, n_components)."
        )
    return CustomAutoencoder, architecture


def _penalty(given: Mapping[str, Any]) -> Penalty | None:
    """What `code_penalty` names."""
    if given["code_penalty"] is None:
        return None
    penalty = PENALTIES[given["code_penalty"]]
    if penalty.code_activation not in (None, given["code_activation"]):
        raise ValueError(
            f"code_penalty={given['code_penalty']!r} compares codes with probabilities and "
            f"needs code_activation={penalty.code_activation!r}, "
            f"got {given['code_activation']!r}."
        )
    return penalty


def _corruption(given: Mapping[str, Any]) -> Corruption | None:
    """What `corruption` names."""
    if given["corruption"] is None:
        return None
    corruption, level = CORRUPTIONS[given["corruption"]], given["corruption_level"]
    if corruption.is_share and level != "auto" and level > 1:
        raise ValueError(
            f"corruption={given['corruption']!r} replaces a share of the numbers: "
            f"corruption_level must be at most 1, got {level!r}."
        )
    return corruption


def _limits(rows: Rows) -> Range:
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
    return rows.scaled(*units_in(mean, scale, rows, deviation, wide, "X"))
