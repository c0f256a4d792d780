"""What the course of a fit wants to know of parameters, found once a fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from .._training.loop import TrainingState
from .._training.objective import RowsObjective
from .fitting import Fitted, TrainingInput


class Plan(ABC):
    """What the parameters of an estimator come down to.

    Attributes
    ----------
    noise : dict
        Parameters that bring noise into the loss, where they are not None or zero.
    scaling : str or None
    advice : str
        What to choose where a network is too large for memory.
    """

    noise: Mapping[str, Any]
    scaling: str | None
    advice: str

    @property
    def keyed(self) -> bool:
        """Whether something random depends on the content of a row."""
        return any(self.noise.values())

    @abstractmethod
    def network(self, data: TrainingInput):
        """The description of the network for the data, or the largest that it may become."""

    @abstractmethod
    def sizes(self, network) -> tuple[int, ...]:
        """Widths of its layers, for messages."""

    @abstractmethod
    def begin(self, network, rows, data, **how) -> RowsObjective:
        """A new network on unscaled rows.

        Parameters
        ----------
        network
            As `network` gave it.
        rows : Source
        data : TrainingInput
        **how
            `alpha`, `batch_size`, `shuffle` and `seed`, as `RowsObjective` has them.
        """

    def decay(self, objective: RowsObjective) -> Callable[[TrainingState], float] | None:
        """The weight decay of an epoch, from the state that it begins with; None: none."""
        return None

    @abstractmethod
    def resume(self, fitted: Fitted, module, rows, form, **how) -> RowsObjective:
        """The network that a fit has left, and its `module`, on unscaled rows."""
