"""Every rule about states as input."""

from __future__ import annotations

import numpy as np

from ..networks import RecurrentNetwork
from .arrays import FLOATS, to_array_like, too_large_refused
from .plain import all_finite, check_array, is_plain
from .sequences import Sequences


def check_state(
    state, sequences: Sequences, network: RecurrentNetwork, dtype: np.dtype, suffix: str = ""
) -> np.ndarray | None:
    """An initial state as a finite float array of shape (n, state width), or None for zeros.

    Parameters
    ----------
    state : array-like or None
    sequences : Sequences
    network : RecurrentNetwork
    dtype : dtype
        What the network computes in.
    suffix : str
        "_val" for validation rows.
    """
    if state is None:
        return None
    name = f"initial_state{suffix}"
    if network.stateless:
        raise ValueError(f"{name} has no meaning with {network.stateless}.")
    expected = len(sequences), sum(network.state_widths)
    if not (is_plain(state, 2) and state.shape == expected and all_finite(state)):
        state = _checked(state, expected, name, network)
    if state.dtype.itemsize > dtype.itemsize and np.abs(state).max() > np.finfo(dtype).max:
        raise ValueError(f"Input {name} contains a value too large for dtype('{dtype}').")
    for counts in network.count_columns:
        if (state[:, counts] < 0).any():
            raise ValueError(f"{name} holds a negative number of steps in column {counts}.")
    return state if state.any() else None


def _checked(state, expected: tuple[int, int], name: str, network: RecurrentNetwork) -> np.ndarray:
    """A state of whatever kind as floats of the right shape."""
    if isinstance(state, (tuple, list)) and len({getattr(part, "ndim", 1) for part in state}) > 1:
        raise ValueError(
            f"{name} is a {type(state).__name__} of several things; of what predict(..., "
            "return_state=True) gives, pass the last, which is the state."
        )
    state = to_array_like(state, name)
    with too_large_refused(name):
        state = check_array(
            state,
            dtype=FLOATS,
            ensure_2d=False,
            allow_nd=True,
            ensure_min_samples=0,
            ensure_min_features=0,
            input_name=name,
        )
    if state.shape != expected:
        raise ValueError(
            f"{name} has shape {state.shape}; expected {expected}: a row for each sequence, with "
            f"parts of widths {network.state_widths}, as predict(..., return_state=True) gives it."
        )
    return state
