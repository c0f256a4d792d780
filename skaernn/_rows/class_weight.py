"""How often classes are there, and what an answer of each counts."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np
import torch

from .._core.device import precise
from .matrix import Counted


def class_weights(
    class_weight, classes: np.ndarray, answers: Counted
) -> tuple[tuple[float, ...], tuple[float, ...] | None]:
    """Shares of the classes, and their weights, of mean 1 over all answers.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        The parameter of the classifiers. "balanced" is inverse to the share, as in
        scikit-learn, but counts weighted answers by their weight.
    classes : ndarray of shape (n_classes,)
    answers : Counted
        Indices of classes.
    """
    shares = np.zeros(len(classes))
    for block, weight in answers.blocks(precise(answers.X.device)):
        indices = block[:, 0].long()
        weight = (weight * torch.ones_like(block))[:, 0]
        shares += torch.bincount(indices, weight, minlength=len(classes)).cpu().numpy()
    shares /= shares.sum()
    if class_weight is None:
        return tuple(shares.tolist()), None
    if class_weight == "balanced":
        weights = np.divide(1.0, shares, out=np.zeros_like(shares), where=shares > 0)
    else:
        weights = _numbers(class_weight, classes)
        missing = [label for label in classes.tolist() if label not in class_weight]
        if missing and len(class_weight) > len(classes) - len(missing):
            raise ValueError(f"The classes, {missing}, are not in class_weight.")
    mean = float(shares @ weights)
    if mean == 0:
        raise ValueError(f"class_weight={class_weight} leaves no class that counts.")
    return tuple(shares.tolist()), tuple((weights / mean).tolist())


def _numbers(class_weight: dict, classes: np.ndarray) -> np.ndarray:
    """The weight of each class, 1 where none is named."""
    values = [class_weight.get(label, 1.0) for label in classes.tolist()]
    if not all(isinstance(v, Real) and math.isfinite(v) and v >= 0 for v in values):
        raise ValueError(f"class_weight must be finite and not negative, got {class_weight}.")
    return np.array(values, dtype=np.float64)
