"""Several networks with one answer: the mean of theirs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor, nn

from .._core.interrupts import interrupts_deferred
from .._inputs.sequences import Sequences
from ..networks import OwnRecurrentNetwork, RecurrentModule, RecurrentNetwork
from .sequences import run_network


@dataclass(frozen=True)
class SeveralNetworks:
    """Description of several networks that answer as one.

    Their states stand side by side. All else is the same in all of them.
    """

    members: tuple[RecurrentNetwork | OwnRecurrentNetwork, ...]

    @classmethod
    def of(cls, network, n_members: int):
        """Several that are described alike; of one, itself."""
        return cls((network,) * n_members) if n_members > 1 else network

    @property
    def stateless(self) -> str | None:
        """Why there is no state to begin at or to end in; None if there is one."""
        return self.members[0].stateless

    @property
    def pooling(self) -> str | None:
        """How steps become vectors; None: one output a step."""
        return self.members[0].pooling

    @property
    def output_activation(self) -> str:
        """What their outputs go through."""
        return self.members[0].output_activation

    @property
    def state_widths(self) -> tuple[int, ...]:
        """Widths of what a state array holds, in its order."""
        return tuple(width for member in self.members for width in member.state_widths)

    @property
    def count_columns(self) -> tuple[int, ...]:
        """Where a state array says how much has been pooled, or how many steps there were."""
        begins = accumulate((sum(member.state_widths) for member in self.members), initial=0)
        return tuple(
            begin + column
            for begin, member in zip(begins, self.members, strict=False)
            for column in member.count_columns
        )

    def parts(self, state: np.ndarray | None) -> list[np.ndarray | None]:
        """What each has of a state array (n, state width)."""
        if state is None:
            return [None] * len(self.members)
        ends = list(accumulate(sum(member.state_widths) for member in self.members))
        return np.split(state, ends[:-1], axis=1)


class MeanModule(nn.Module):
    """Several fitted networks as one plain `torch.nn.Module`, in the user's units.

    Parameters
    ----------
    members : sequence of RecurrentModule
    deviations : bool
        Whether the second half of what they give are standard deviations: then so it is here,
        of the mixture of theirs.
    """

    def __init__(self, members: Sequence[RecurrentModule], deviations: bool):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.deviations = deviations

    @property
    def dtype(self) -> torch.dtype:
        """The floating type they compute in."""
        return self.members[0].dtype

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, state: Tensor | None = None
    ) -> Tensor:
        """Mean outputs (n, O) of sequences (n, T, C), or (n, T, O), one a step.

        As of `RecurrentModule`; states (n, width) of the members stand side by side.
        """
        n = len(self.members)
        states = [None] * n if state is None else state.chunk(n, dim=1)
        found = [
            member(x, lengths, part) for member, part in zip(self.members, states, strict=True)
        ]
        mean = sum(found[1:], found[0]) / n
        if not self.deviations:
            return mean
        mean = mean.chunk(2, dim=-1)[0]
        spread = torch.zeros_like(mean)
        for value, deviation in (output.chunk(2, dim=-1) for output in found):
            spread = spread.hypot(value - mean).hypot(deviation)
        return torch.cat([mean, spread / math.sqrt(n)], dim=-1)


def run_several(
    network: SeveralNetworks,
    module: MeanModule,
    sequences: Sequences,
    state: np.ndarray | None,
    device: torch.device,
) -> tuple[list[np.ndarray], np.ndarray]:
    """What each network says, and the states that the sequences end in; see `run_network`."""
    outputs, states = [], []
    members = zip(network.members, module.members, network.parts(state), strict=True)
    for member, its_module, part in members:
        output, ended = run_network(member, its_module, sequences, part, device)
        outputs.append(output)
        states.append(ended)
    return outputs, np.concatenate(states, axis=1)


def mean_of(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Their mean: the sum, in their order and type, by their number.

    `np.mean` has another order for eight and more of one number each; a row's answer must not
    depend on how many rows there are.
    """
    total = outputs[0].copy()
    with interrupts_deferred(), np.errstate(over="ignore", invalid="ignore"):
        for output in outputs[1:]:
            total += output
        total /= len(outputs)
    return total


def mixture_of(outputs: Sequence[np.ndarray], n_values: int) -> np.ndarray:
    """Means and standard deviations (n, 2 O) of the mixture of what several networks say.

    Of their predictions (n, O), each of which is one of them with equal probability, or of
    normal distributions around these, whose deviations stand behind the values: the square is the
    mean of their variances and the variance of their means.
    """
    mean = mean_of([output[:, :n_values] for output in outputs])
    spread = np.zeros_like(mean)
    with interrupts_deferred(), np.errstate(over="ignore", invalid="ignore"):
        for output in outputs:
            spread = np.hypot(spread, output[:, :n_values] - mean)
            if output.shape[1] > n_values:
                spread = np.hypot(spread, output[:, n_values:])
        spread /= math.sqrt(len(outputs))
    return np.concatenate([mean, spread], axis=1)
