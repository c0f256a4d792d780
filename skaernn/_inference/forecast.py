"""Forecasts: predictions of the next inputs, fed back as inputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._inputs.sequences import Sequences
from ..networks import RecurrentNetwork

Run = Callable[[Sequences, np.ndarray | None], tuple[np.ndarray, np.ndarray]]


def check_feeds_back(n_outputs: int, n_channels: int) -> None:
    """Refuse targets that cannot be the next inputs."""
    if n_outputs % n_channels:
        raise ValueError(
            f"forecast needs targets that are the next inputs, but y had {n_outputs} "
            f"outputs and a step has {n_channels} channels."
        )


def forecast(
    run: Run,
    network: RecurrentNetwork,
    sequences: Sequences,
    output: np.ndarray,
    state: np.ndarray | None,
    n_steps: int,
) -> np.ndarray:
    """What follows `sequences`, (n, n_steps, C).

    Parameters
    ----------
    run : callable
        Gives what the network says of sequences, from states on; see `run_network`.
    network : RecurrentNetwork
    sequences : Sequences
    output, state : ndarray
        What it has said of these; of the outputs, those that are values.
    n_steps : int
    """
    n_channels, n_outputs = sequences.n_channels, output.shape[1]
    found: list[np.ndarray] = []
    while sum(block.shape[1] for block in found) < n_steps:
        if found:
            if network.stateless:  # there is no state to go on from
                sequences, state = _joined(sequences, found[-1]), None
            else:
                sequences = _of_array(found[-1])
            output, state = run(sequences, state)
            output = output[:, :n_outputs]
        if network.pooling is None:
            output = output[np.cumsum(sequences.lengths) - 1]
        found.append(output.reshape(len(sequences), -1, n_channels))
    return np.concatenate(found, axis=1)[:, :n_steps]


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
