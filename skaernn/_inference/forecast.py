"""Forecasts: predictions of the next inputs, fed back as inputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._inputs.sequences import Sequences
from ..networks import RecurrentNetwork

Run = Callable[[Sequences, np.ndarray | None], tuple[np.ndarray, np.ndarray]]


def check_feeds_back(
    n_outputs: int, n_channels: int, follows: bool | None, horizon: int | None
) -> None:
    """Refuse targets that cannot be the next inputs, or of which nobody says so.

    Parameters
    ----------
    n_outputs, n_channels : int
    follows : bool or None
        Whether they were seen to be, in `fit`.
    horizon : int or None
        How many next steps the user says they are.
    """
    shape = f"y had {n_outputs} outputs and a step has {n_channels} channels"
    if n_outputs % n_channels or (horizon is not None and n_outputs != horizon * n_channels):
        asked = "" if horizon is None else f"; horizon={horizon} needs {horizon * n_channels}"
        raise ValueError(
            "forecast needs targets that are the next values of all channels, fed back as inputs, "
            f"but {shape}{asked}."
        )
    if horizon is None and not follows:
        reason = "are not" if follows is False else "may not be: nothing in X shows it"
        steps = n_outputs // n_channels
        raise ValueError(
            "forecast needs targets that are the next values of all channels, fed back as inputs, "
            f"as sliding_windows gives them. {shape[0].upper()}{shape[1:]}; the targets {reason}. "
            f"If they are the next {steps} steps of all channels all the same, pass "
            f"horizon={steps}."
        )


def forecast(
    run: Run,
    network: RecurrentNetwork,
    sequences: Sequences,
    output: np.ndarray,
    state: np.ndarray | None,
    n_steps: int,
    n_values: int,
    window: int = 0,
) -> np.ndarray:
    """What follows `sequences`, (n, 1, n_steps, C), or (n, 2, n_steps, C) with deviations.

    Parameters
    ----------
    run : callable
        Gives what the network says of sequences, from states on; see `run_network`.
    network : RecurrentNetwork
    sequences : Sequences
    output, state : ndarray
        What it has said of these.
    n_steps : int
    n_values : int
        How many of the outputs are values, which come before the deviations.
    window : int
        Steps that the network is to see at most: it reads them by their place. 0: any number.
    """
    if window and int(sequences.lengths.max()) > window:
        sequences = _ends(sequences, window)
        output, state = run(sequences, None)
    found: list[np.ndarray] = []
    n_parts, n_channels = output.shape[1] // n_values, sequences.n_channels
    while sum(block.shape[2] for block in found) < n_steps:
        if found:
            values = found[-1][:, 0]
            if network.stateless or window:  # there is no state to go on from
                sequences, state = _joined(sequences, values), None
                sequences = _ends(sequences, window) if window else sequences
            else:
                sequences = _of_array(values)
            output, state = run(sequences, state)
        if network.pooling is None:
            output = output[np.cumsum(sequences.lengths) - 1]
        # values, then deviations, and in each all channels of the first step, of the second, ...
        found.append(output.reshape(len(sequences), n_parts, -1, n_channels))
    return np.concatenate(found, axis=2)[:, :, :n_steps]


def _of_array(X: np.ndarray) -> Sequences:
    n, n_steps, n_channels = X.shape
    lengths = np.full(n, n_steps)
    return Sequences(X.reshape(-1, n_channels), np.arange(n) * n_steps, lengths, n_steps)


def _joined(sequences: Sequences, more: np.ndarray) -> Sequences:
    """The sequences, each with `more` (n, h, C) behind it."""
    parts = []
    for start, length, tail in zip(sequences.starts, sequences.lengths, more, strict=True):
        parts += [sequences.steps[start : start + length], tail]
    lengths = sequences.lengths + more.shape[1]
    return Sequences(np.concatenate(parts), np.cumsum(lengths) - lengths, lengths, None)


def _ends(sequences: Sequences, n_steps: int) -> Sequences:
    """The last steps of each sequence, at most so many."""
    lengths = np.minimum(sequences.lengths, n_steps)
    starts = sequences.starts + sequences.stride * (sequences.lengths - lengths)
    return Sequences(sequences.steps, starts, lengths, None)
