"""What several fitted estimators are as one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .._inference.mean import MeanModule, SeveralNetworks

_OWN_OF_MEMBERS = "n_members", "random_state"


def together(members: list) -> dict[str, Any]:
    """What several fitted members are as one: their network, module, form and device."""
    first = members[0]
    network = SeveralNetworks(tuple(member._fitted.network for member in members))
    deviations = network.output_activation == "mean_and_deviation"
    module = MeanModule([member.module_ for member in members], deviations).eval()
    return {
        "module_": module,
        "device_": first.device_,
        "_form": first._form,
        "_fitted": replace(first._fitted, network=network, slots={}, members=members),
    }


def without_parameters(member) -> dict[str, Any]:
    """What a fit has left in a member."""
    params = {*member.get_params(deep=False), *_OWN_OF_MEMBERS}
    return {name: value for name, value in vars(member).items() if name not in params}


def attributes_of(members: list) -> dict[str, Any]:
    """Fitted attributes of several members as one."""
    first = members[0]
    curve = _mean_curve([(member.loss_curve_, member.loss_) for member in members])
    validated = first.validation_scores_ is not None
    loss = _mean([member.loss_ for member in members])
    scores = [(m.validation_scores_, m.best_validation_score_) for m in members if validated]
    return {
        **without_parameters(first),
        **together(members),
        "n_iter_": max(member.n_iter_ for member in members),
        "t_": max(member.t_ for member in members),
        "state_size_": sum(member.state_size_ for member in members),
        "loss_": loss,
        "loss_curve_": curve,
        "best_loss_": None if validated else min(curve, default=loss),
        "validation_scores_": _mean_curve(scores) if validated else None,
        "best_validation_score_": _mean([best for _, best in scores]) if validated else None,
    }


def _mean(values: list[float]) -> float:
    return float(sum(values) / len(values))


def _mean_curve(curves: list[tuple[list[float], float]]) -> list[float]:
    """The mean after each epoch; who has stopped counts with the last, or what stands for it."""
    longest = max(len(curve) for curve, _ in curves)
    whole = [curve + (curve[-1:] or [last]) * (longest - len(curve)) for curve, last in curves]
    return [_mean(list(column)) for column in zip(*whole, strict=True)]
