"""What a pickle holds: arrays and names in place of torch, loadable where the device is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from .._core.device import resolve_device
from .._inputs.sequences import Form
from .fitting import Fitted
from .several import together


def to_arrays(state: dict[str, Any]) -> dict[str, Any]:
    """The state of an estimator without torch, and without names of ours that may change."""
    if "module_" not in state:
        return state
    fitted = state["_fitted"]
    if fitted.members is not None:  # which hold all that there is
        fitted = dict(vars(replace(fitted, network=None)))
        device = str(state["device_"])
        return {**state, "module_": None, "_form": None, "device_": device, "_fitted": fitted}
    weights = state["module_"].state_dict()
    slots = {name: slot.cpu().numpy() for name, slot in fitted.slots.items()}
    form = state["_form"]
    return {
        **state,
        "module_": {name: value.cpu().numpy() for name, value in weights.items()},
        "device_": str(state["device_"]),
        "_fitted": dict(vars(replace(fitted, slots=slots))),
        "_form": dict(vars(form)) if isinstance(form, Form) else form,
    }


def from_arrays(state: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `to_arrays`; on the CPU where the device it was trained on is not."""
    if "module_" not in state:
        return state
    members = state["_fitted"].get("members")
    if members is not None:
        whole = together(members)
        fitted = replace(Fitted(**state["_fitted"]), network=whole["_fitted"].network)
        return {**state, **whole, "_fitted": fitted}
    try:
        device = resolve_device(state["device_"])
    except ValueError:  # trained elsewhere; the CPU is everywhere
        device = torch.device("cpu")
    fitted, form = Fitted(**state["_fitted"]), state["_form"]
    weights = {name: _to_torch(value, device) for name, value in state["module_"].items()}
    slots = {name: _to_torch(slot, device) for name, slot in fitted.slots.items()}
    ends = weights.pop("ends", None)  # of an autoencoder's output, which no network knows of
    module = fitted.network.module_from(weights)
    if ends is not None:
        module.ends = ends
    return {
        **state,
        "module_": module,
        "device_": device,
        "_fitted": replace(fitted, slots=slots),
        "_form": Form(**form) if isinstance(form, dict) else form,
    }


def _to_torch(array, device: torch.device) -> torch.Tensor:
    """A copy of an array that may be memory-mapped and read-only."""
    return torch.tensor(np.array(array), device=device)
