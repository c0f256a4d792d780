"""Prediction of sequences in groups of a fixed number of rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from .._core.device import exact_inference, numpy_dtype, threads_for
from .._core.interrupts import check_interrupts, interrupts_deferred
from .._inputs.sequences import Sequences
from .._native.functions import Functions
from .._native.structures import Run
from ..networks import (
    CompiledNetwork,
    EmbeddedModule,
    EmbeddedNetwork,
    OwnRecurrentNetwork,
    RecurrentModule,
    RecurrentNetwork,
)
from .compiled import compiled_for
from .parts import PRODUCTS, in_parts

# As in `chunks`: at a fixed height a row's answer does not depend on the rows beside it.
_CPU_ROWS, _DEVICE_ROWS = 128, 4096
_STEPS = 256  # at a time, where not all of them are needed at once
_TOKENS = 1 << 18  # whose vectors are there at once, if they are not of one sequence


def run_network(
    network: RecurrentNetwork | OwnRecurrentNetwork | EmbeddedNetwork,
    module: RecurrentModule | EmbeddedModule,
    sequences: Sequences,
    state: np.ndarray | None,
    device: torch.device,
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs in the user's units, and the states that the sequences end in.

    Parameters
    ----------
    network : RecurrentNetwork, OwnRecurrentNetwork or EmbeddedNetwork
    module : RecurrentModule or EmbeddedModule
    sequences : Sequences
    state : ndarray of shape (n, state width) or None
    device : torch.device

    Returns
    -------
    output : ndarray of shape (n, O) or, one output a step, (V, O)
        V valid steps, sequence after sequence; in the dtype of the steps, of tokens in that of
        the network.
    state : ndarray of shape (n, state width)
        In the dtype of the network.
    """
    if isinstance(network, EmbeddedNetwork):
        return _run_tokens(network, module, sequences, state, device)
    n, width = len(sequences), sum(network.state_widths)
    ended = np.zeros((n, width), dtype=numpy_dtype(module.dtype))
    if state is not None:
        ended[:] = state
    order = np.argsort(-sequences.lengths, kind="stable")
    compiled = compiled_for(module, device, "whole", partial(_compile, network, module))
    if compiled is not None:
        return _run_compiled(network, compiled, sequences, order, ended), ended
    size = _CPU_ROWS if device.type == "cpu" else _DEVICE_ROWS
    per_step = network.pooling is None
    begins = np.cumsum(sequences.lengths) - sequences.lengths
    rows = int(sequences.lengths.sum()) if per_step else n
    output = None
    with (
        threads_for(0, device),  # several cut sums and vectors where the bits show it
        exact_inference(device),
    ):
        stepper = network.stepper(module)
        for start in range(0, n, size):
            group = order[start : start + size]
            for block in _blocks(sequences, group, network.stateless is not None):
                check_interrupts()
                result, row, t = _run_block(stepper, module, sequences, block, ended, size)
                if output is None:
                    output = np.empty((rows, result.shape[1]), dtype=sequences.steps.dtype)
                output[begins[block.rows][row] + t if per_step else block.rows] = result
    return output, ended


def _run_tokens(
    network: EmbeddedNetwork,
    module: EmbeddedModule,
    sequences: Sequences,
    state: np.ndarray | None,
    device: torch.device,
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors in place of tokens, of some sequences at a time; in the dtype of the network."""
    n_states = sum(network.reader.state_widths)
    parts = np.cumsum(sequences.lengths) // _TOKENS
    outputs, states = [], []
    for rows in np.split(np.arange(len(sequences)), np.flatnonzero(np.diff(parts)) + 1):
        where = sequences.content.positions(rows)[0]
        vectors = vectors_of(module, sequences.steps[where, 0])
        lengths = sequences.lengths[rows]
        some = Sequences(vectors, np.cumsum(lengths) - lengths, lengths, None)
        began = None if state is None else state[rows, :n_states]
        output, ended = run_network(network.unlinked, module.network, some, began, device)
        if network.bag:
            pooled = np.zeros((len(rows), network.n_outputs + 1), dtype=output.dtype)
            if state is not None and network.pools:
                pooled[:] = state[rows, n_states:]
            tokens = sequences.steps[where, 0]
            output = linked(network, module, output, tokens, lengths, pooled)
            ended = np.concatenate([ended, pooled], axis=1) if network.pools else ended
        outputs.append(output)
        states.append(ended)
    return np.concatenate(outputs), np.concatenate(states)


def vectors_of(module: EmbeddedModule, tokens: np.ndarray) -> np.ndarray:
    """The vector of each token (S, E)."""
    weight = module.embedding.weight
    with torch.inference_mode():
        return module.embedding(torch.from_numpy(tokens).to(weight.device)).cpu().numpy()


def linked(
    network: EmbeddedNetwork,
    module: EmbeddedModule,
    output: np.ndarray,
    tokens: np.ndarray,
    lengths: np.ndarray,
    pooled: np.ndarray,
) -> np.ndarray:
    """Outputs (N, O) with the bag of words beside them, in the user's units.

    Parameters
    ----------
    network : EmbeddedNetwork
    module : EmbeddedModule
    output : ndarray of shape (N, O)
    tokens : ndarray of shape (V,)
        Of sequence after sequence.
    lengths : ndarray of shape (n,)
    pooled : ndarray of shape (n, O + 1)
        Sums and counts so far; brought up to date.
    """
    weight = module.bag.weight
    with threads_for(0, weight.device), torch.inference_mode():
        rows = module.bag(torch.from_numpy(tokens).to(weight.device)).cpu().numpy()
        if network.pools:  # one after the other, wherever a sequence is cut
            begins = np.cumsum(lengths) - lengths
            order = np.argsort(-lengths, kind="stable")
            ends = np.searchsorted(-lengths[order], -np.arange(lengths.max(initial=0)))
            for t, n_alive in enumerate(ends):
                alive = order[:n_alive]
                pooled[alive, :-1] += rows[begins[alive] + t]
            pooled[:, -1] += lengths
            rows = pooled[:, :-1] / pooled[:, -1:]
        # at a multiple of all vectors of the processor: no number has a way of its own
        whole = np.zeros((-(-len(output) // _CPU_ROWS) * _CPU_ROWS, output.shape[1]), output.dtype)
        whole[: len(output)] = output + rows
        found = module.linked(torch.from_numpy(whole).to(weight.device)).cpu().numpy()
    return found[: len(output)]


def _compile(
    network: RecurrentNetwork | OwnRecurrentNetwork, module: RecurrentModule, functions: Functions
) -> CompiledNetwork | None:
    return network.compiled(functions, module)


def _run_compiled(
    network: RecurrentNetwork,
    compiled: CompiledNetwork,
    sequences: Sequences,
    order: np.ndarray,
    ended: np.ndarray,
) -> np.ndarray:
    """Outputs; updates `ended`. One call after the other, so that Ctrl-C is not kept waiting."""
    steps = np.ascontiguousarray(sequences.steps)
    starts, lengths = (
        np.ascontiguousarray(part, dtype=np.int64)
        for part in (sequences.starts, sequences.lengths)
    )
    per_step = network.pooling is None
    begins = np.cumsum(lengths) - lengths if per_step else lengths
    rows = int(lengths.sum()) if per_step else len(lengths)
    output = np.empty((rows, network.n_outputs), dtype=steps.dtype)
    where = {
        "steps": steps.ctypes.data,
        "starts": starts.ctypes.data,
        "lengths": lengths.ctypes.data,
        "order": order.ctypes.data,
        "stride": sequences.stride,
        "states": ended.ctypes.data,
        "outputs": output.ctypes.data,
        "begins": begins.ctypes.data,
    }

    def run(first: int, last: int) -> None:
        longest = int(lengths[order[first]])
        most = max(_STEPS, PRODUCTS // ((last - first) * network.layout.size))
        most = longest if network.stateless is not None else most
        for begin in range(0, longest, most):
            check_interrupts()
            window = Run(**where, first=first, last=last, begin=begin, end=begin + most)
            compiled.run(steps.dtype.char, window)

    with interrupts_deferred():
        in_parts(run, lengths[order] * network.layout.size, len(order))
    return output


class _Block(NamedTuple):
    """The next few steps of some sequences, longest first."""

    rows: np.ndarray
    lengths: np.ndarray
    begin: int


def _blocks(sequences: Sequences, group: np.ndarray, whole: bool) -> Iterator[_Block]:
    """A group of sequences, a few steps at a time or `whole`."""
    longest = int(sequences.lengths[group[0]])
    for begin in range(0, longest, longest if whole else _STEPS):
        rows = group[sequences.lengths[group] > begin]
        lengths = sequences.lengths[rows] - begin
        yield _Block(rows, lengths if whole else np.minimum(lengths, _STEPS), begin)


def _run_block(
    stepper,
    module: RecurrentModule,
    sequences: Sequences,
    block: _Block,
    ended: np.ndarray,
    size: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the network answers, and of which row of the block and which step; updates `ended`."""
    rows, n = block.rows, len(block.rows)
    device = module.output.weight.device
    row = np.repeat(np.arange(n), block.lengths)
    t = np.arange(len(row)) - np.repeat(np.cumsum(block.lengths) - block.lengths, block.lengths)
    where = sequences.starts[rows][row] + sequences.stride * (block.begin + t)
    steps = module.to_scaled(torch.from_numpy(sequences.steps[where]).to(device))
    x = steps.new_zeros(int(block.lengths[0]), size, sequences.n_channels)
    x[t, row] = steps
    lengths = torch.zeros(size, dtype=torch.int64, device="cpu")
    lengths[:n] = torch.from_numpy(block.lengths)
    began = torch.zeros(size, ended.shape[1], dtype=module.dtype, device="cpu")
    began[:n] = torch.from_numpy(ended[rows])
    result, end = stepper.run(x, lengths.to(device), began.to(device))
    ended[rows] = end[:n].cpu().numpy()
    result = module.to_units(result)
    result = result[t, row] if result.dim() == 3 else result[:n]
    return result.cpu().numpy(), row, block.begin + t


def returned(answers: list, ended: np.ndarray, return_state: bool):
    """The answers, and the states if they were asked for."""
    answers = [*answers, ended] if return_state else answers
    return answers[0] if len(answers) == 1 else tuple(answers)
