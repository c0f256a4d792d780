"""Prediction of sequences in groups of a fixed number of rows."""

from __future__ import annotations

import numpy as np
import torch

from ._device import exact_inference, threads_for
from ._sequences import Sequences
from .networks import RecurrentModule, RecurrentNetwork, Stepper

# As in `_chunks`: at a fixed height a row's answer does not depend on the rows beside it.
_CPU_ROWS, _DEVICE_ROWS = 128, 4096


def run_network(
    network: RecurrentNetwork,
    module: RecurrentModule,
    sequences: Sequences,
    state: np.ndarray | None,
    device: torch.device,
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs in the user's units, and the states that the sequences end in.

    Parameters
    ----------
    network : RecurrentNetwork
    module : RecurrentModule
    sequences : Sequences
    state : ndarray of shape (n, state width) or None
    device : torch.device

    Returns
    -------
    output : ndarray of shape (n, O) or, one output a step, (V, O)
        V valid steps, sequence after sequence; in the dtype of the steps.
    state : ndarray of shape (n, state width)
        In the dtype of the network.
    """
    n, width = len(sequences), sum(network.state_widths)
    size = _CPU_ROWS if device.type == "cpu" else _DEVICE_ROWS
    per_step = network.pooling is None
    begins = np.cumsum(sequences.lengths) - sequences.lengths
    ended = torch.zeros(n, width, dtype=module.dtype, device="cpu")
    output = None
    order = np.argsort(-sequences.lengths, kind="stable")
    with (
        threads_for(0, device),  # several cut sums and vectors where the bits show it
        exact_inference(device),
    ):
        stepper = Stepper(network, module)
        for start in range(0, n, size):
            group = order[start : start + size]
            lengths = torch.zeros(size, dtype=torch.int64, device="cpu")
            lengths[: len(group)] = torch.from_numpy(sequences.lengths[group])
            where, t, _ = sequences.content.positions(group)
            row = np.repeat(np.arange(len(group)), sequences.lengths[group])
            steps = module.to_scaled(torch.from_numpy(sequences.steps[where]).to(device))
            x = steps.new_zeros(int(lengths[0]), size, sequences.n_channels)
            x[t, row] = steps
            began = torch.zeros(size, width, dtype=module.dtype, device="cpu")
            if state is not None:
                began[: len(group)] = torch.from_numpy(state[group]).to(module.dtype)
            result, end = stepper.run(x, lengths.to(device), began.to(device))
            ended[group] = end[: len(group)].cpu()
            result = module.to_units(result)
            result = result[t, row] if per_step else result[: len(group)]
            if output is None:
                rows = int(sequences.lengths.sum()) if per_step else n
                output = np.empty((rows, result.shape[1]), dtype=sequences.steps.dtype)
            place = np.repeat(begins[group], sequences.lengths[group]) + t if per_step else group
            output[place] = result.cpu().numpy()
    return output, ended.numpy()


def returned(answers: list, ended: np.ndarray, return_state: bool):
    """The answers, and the states if they were asked for."""
    answers = [*answers, ended] if return_state else answers
    return answers[0] if len(answers) == 1 else tuple(answers)
