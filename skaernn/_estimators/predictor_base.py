"""The base of the estimators that predict from sequences: how they are fitted, how they run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from .._core.compat import (
    Interval,
    InvalidParameterError,
    Self,
    StrOptions,
    available_if,
    fit_context,
)
from .._core.device import numpy_dtype, precise
from .._inference.mean import SeveralNetworks, mean_of, run_several
from .._inference.sequences import run_network
from .._inputs.arrays import check_fits_dtype, check_weights, to_tensor
from .._inputs.overlaps import series_of, stretches_of
from .._inputs.sequences import Form, Sequences
from .._inputs.states import check_state
from .._inputs.targets import Targets
from .._inputs.tokens import tokens_in
from .._losses.loss import Loss
from .._rows.content import JointContent, MatrixContent
from .._rows.matrix import Counted
from .._rows.selection import Selection
from .._training.loop import TrainingState
from ..networks import (
    POOLED,
    POOLINGS,
    WINDOW,
    EmbeddedNetwork,
    OwnRecurrentNetwork,
    RecurrentNetwork,
    recurrent_network,
)
from .fitting import TrainingInput, can_partial_fit
from .members import fit_members
from .sequence_base import SequenceEstimator, rows_of
from .sequence_plan import SequencePlan

# An array, or a tuple with standard deviations or states, where a checker cannot tell what was
# asked for; it takes it for what it is used as.
Answer = Any

_WIDEST = 2048  # columns or rows, the fewer of them, of windows that "auto" factors
_PADDED = 4  # times as many steps as there are, at most, that "auto" pads sequences to


class PredictorEstimator(SequenceEstimator):
    """Recurrent networks on sequences; a subclass says what they predict."""

    module_: Any  # RecurrentModule, or MeanModule
    state_size_: int
    linear_path_: str | bool
    n_tokens_: int | None

    _parameter_constraints: dict = {
        **SequenceEstimator._parameter_constraints,
        "return_sequences": ["boolean"],
        "pooling": [StrOptions(set(POOLINGS))],
        "input_skip": ["boolean"],
        "linear_path": [StrOptions({"auto", WINDOW, POOLED}), "boolean"],
        "embedding_size": [Interval(Integral, 1, None, closed="left"), None],
        "weight_decay": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "n_members": [Interval(Integral, 1, None, closed="left")],
    }
    _architecture: tuple[str, ...] = (
        "cell",
        "hidden_size",
        "n_layers",
        "bidirectional",
        "activation",
        "return_sequences",
        "pooling",
        "input_skip",
        "linear_path",
        "embedding_size",
        "scaling",
        "dtype",
        "n_members",
    )

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | float | None = None,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        lengths_val: ArrayLike | None = None,
        initial_state_val: ArrayLike | None = None,
    ) -> Self:
        """Learn to predict y from the sequences of X.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, in one of these forms:

            - (n_samples, n_steps, n_channels)
            - (n_samples, n_steps * n_channels): see the parameter `n_channels`
            - a list of (n_steps_i, n_channels), of unequal lengths
            - one of the first two with `lengths`, or with NaN in all channels from the end of a
              sequence on
        y : array-like
            Targets: (n_samples,) or (n_samples, n_outputs); with `return_sequences`
            (n_samples, n_steps), (n_samples, n_steps, n_outputs) or a list like X.
        sample_weight : array-like of shape (n_samples,), scalar or None
            A sequence of weight k counts as k of them, one of weight 0 is not there.
        lengths : array-like of int of shape (n_samples,) or None
            How many steps of each sequence are there; what lies beyond is not read.
        initial_state : array-like of shape (n_samples, state_size_) or None
            What the network begins with, from ``predict(..., return_state=True)``. None: zeros.
        X_val, y_val, sample_weight_val, lengths_val, initial_state_val : None or as above
            Sequences for early stopping, where a random share of X would not do: of later
            times, say, or of other groups. In a `Pipeline` the steps before do not touch it
            unless told to: ``Pipeline(steps, transform_input=["X_val"])``, with metadata routing
            and ``set_fit_request(X_val=True)``.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If X, y, what goes with them or a combination of parameters is of no use; the message
            says what to do. Nothing changes then.
        TypeError
            If X or y is of a kind that needs a conversion only you can choose: dates, say.
        MemoryError
            If the network cannot fit into memory.
        """
        given = {
            "X": X,
            "y": y,
            "sample_weight": sample_weight,
            "lengths": lengths,
            "initial_state": initial_state,
        }
        held_out = {
            "X": X_val,
            "y": y_val,
            "sample_weight": sample_weight_val,
            "lengths": lengths_val,
            "initial_state": initial_state_val,
        }
        return fit_members(self, given, held_out)

    @available_if(can_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | float | None = None,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
    ) -> Self:
        """One more epoch, over the sequences of X, at a constant learning rate.

        The first call fixes the scaling, so give it sequences that are like all.

        Parameters
        ----------
        X, y, sample_weight, lengths, initial_state
            See `fit`.

        Returns
        -------
        self : estimator
        """
        given = {"X": X, "y": y, "sample_weight": sample_weight}
        given |= {"lengths": lengths, "initial_state": initial_state}
        return fit_members(self, given, incremental=True)

    @abstractmethod
    def _read_targets(
        self, y: Any, sequences: Sequences, form: Form, *, first: bool, name: str, **more: Any
    ) -> tuple[Targets, Form]:
        """Check y against `form`, or, if it is the `first`, add to the form what it says."""

    @abstractmethod
    def _output(self, form: Form) -> tuple[int, str]:
        """Width and activation of the network's output."""

    @abstractmethod
    def _loss_on(self, answers: Counted, form: Form) -> Loss:
        """The loss that the parameters stand for, on `answers`."""

    @abstractmethod
    def _of_steps(self) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
        """What a fitted network's outputs (n, O) mean, by the method that says so."""

    def _told_of(self, targets: Targets) -> dict:
        """Targets that may be too large for training, by name."""
        return {"y": targets.values} if targets.values.dtype.kind == "f" else {}

    def _plan(self) -> SequencePlan:
        if self.return_sequences and self.pooling != "last":
            raise ValueError(
                f"pooling={self.pooling!r} makes one vector of a sequence, and "
                "return_sequences=True wants an output for each step. Leave pooling at 'last', "
                "or set return_sequences=False."
            )
        self._check_cell()
        self._check_linear_path()
        if self.embedding_size is not None and self.n_channels != 1:
            raise ValueError(
                f"n_channels={self.n_channels!r} is not possible with embedding_size="
                f"{self.embedding_size!r}: a step is one token. Leave n_channels at 1."
            )
        return SequencePlan(
            describe=self._describe,
            loss_on=self._loss_on,
            scaling=self.scaling,
            dropout=float(self.dropout),
            factory=self.cell if callable(self.cell) else None,
            weight_decay=self.weight_decay,
            may_pool=self.linear_path == "auto",
        )

    def _describe(self, form: Form) -> RecurrentNetwork | OwnRecurrentNetwork | EmbeddedNetwork:
        n_outputs, output_activation = self._output(form)
        known, size, skips = form.known, self.embedding_size, bool(self.input_skip)
        pools = self.linear_path in ("auto", POOLED) and self._is_linear() and skips
        bag = pools
        if known is not None:  # the reader is beside the bag of words
            pools = skips = False
        network = recurrent_network(
            n_inputs=form.n_channels if size is None else int(size),
            hidden_size=int(self.hidden_size),
            n_outputs=n_outputs,
            pooling=None if self.return_sequences else self.pooling,
            input_skip=skips,
            output_activation=output_activation,
            linear_path=WINDOW if form.window else POOLED if pools else None,
            **self._layers(),
        )
        return network if known is None else EmbeddedNetwork(network, len(known), bag)

    def _is_linear(self) -> bool:
        """Whether nothing but the loss's own link stands behind the output."""
        return getattr(self, "output_activation", "identity") == "identity"

    def _check_linear_path(self) -> None:
        """Refuse a linear path that the other parameters leave no room for."""
        path = self.linear_path
        if path is True:
            raise InvalidParameterError(
                "linear_path=True does not say which one: use 'auto', or choose 'window', which "
                "reads every step by its place, or 'pooled', which reads x as the network is read."
            )
        if path == WINDOW and self.embedding_size is not None:
            raise ValueError(
                "linear_path='window' reads the numbers of X as quantities, and with "
                f"embedding_size={self.embedding_size!r} they are tokens. Use 'pooled', which "
                "is a bag of words, or False."
            )
        if path in (WINDOW, POOLED) and not self._is_linear():
            raise ValueError(
                f"linear_path={path!r} has to be linear up to the output, and there is "
                f"output_activation={self.output_activation!r}. Use 'identity', or "
                "linear_path=False."
            )
        if path == WINDOW and self.return_sequences:
            raise ValueError(
                "linear_path='window' is a map to one output from all steps, and "
                "return_sequences=True wants an output for each step. Use linear_path='pooled'."
            )
        if path == POOLED and not self.input_skip:
            raise ValueError(
                "linear_path='pooled' is what the output reads of x, and input_skip=False keeps x "
                "from it. Use input_skip=True, or linear_path='window' or False."
            )

    def _window(self, sequences: Sequences) -> int:
        """Steps of the window that the linear path reads; 0 where it does not."""
        n_steps = int(sequences.lengths.max())
        if self.linear_path == WINDOW:
            return n_steps
        n_columns = n_steps * sequences.n_channels
        pays = (
            self.linear_path == "auto"
            and not sequences.of_tokens
            and self._is_linear()
            and not self.return_sequences
            and min(n_columns, len(sequences)) <= _WIDEST
            and n_steps * len(sequences) <= _PADDED * int(sequences.lengths.sum())
        )
        return n_steps if pays else 0

    def _read(
        self,
        plan: Any,
        form: Form | None,
        *,
        suffix: str = "",
        X: Any = None,
        y: Any = None,
        sample_weight: ArrayLike | float | None = None,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        **of_targets: Any,
    ) -> TrainingInput:
        sequences = self._read_sequences(X, lengths, form, plan.scaling, suffix)
        seen = Form.of(sequences, form, lengths=lengths)
        first = form is None
        if first and self.linear_path == WINDOW:
            seen = replace(seen, window=self._window(sequences))
        targets, seen = self._read_targets(
            y, sequences, seen, first=first, name=f"y{suffix}", **of_targets
        )
        if sequences.dtype == np.float32 or self.dtype == "float32":
            check_fits_dtype(targets.values, torch.float32, f"y{suffix}")
        weight = check_weights(sample_weight, sequences)
        if first and sequences.of_tokens:
            seen = replace(seen, known=tokens_in(sequences, weight))
        state = None
        if initial_state is not None:
            dtype = np.dtype(self.dtype or sequences.dtype)
            network = SeveralNetworks.of(plan.describe(seen), int(self.n_members))
            state = check_state(initial_state, sequences, network, dtype, suffix)
        if first and state is None:  # with one, "auto" goes on from it
            seen = replace(seen, window=self._window(sequences))
        parts = [sequences.content, targets.content(sequences)]
        parts += [] if state is None else [MatrixContent(state)]
        metadata = {"sample_weight": weight, "lengths": lengths, "initial_state": state}
        metadata = {name: value for name, value in metadata.items() if value is not None}

        def rows(
            selections: list[Selection], device: torch.device, dtype: torch.dtype
        ) -> list[Any]:
            values = targets.values
            if values.dtype == np.float64 and precise(device) == torch.float32:
                values = values.astype(np.float32)
            began = None if state is None else to_tensor(state, device).to(dtype)
            how = {"per_step": targets.per_step, "state": began}
            return rows_of(sequences, selections, device, dtype, values, targets.starts, **how)

        return TrainingInput(
            X=X,
            y=y,
            metadata=metadata or None,
            form=seen,
            dtype=sequences.dtype,
            numbers=lambda: {"X": sequences.valid(), **self._told_of(targets)},
            content=JointContent(tuple(parts)),
            weight=weight,
            series=(lambda: None) if sequences.of_tokens else partial(series_of, sequences),
            rows=rows,
            stretches=None if sequences.of_tokens else partial(stretches_of, sequences),
        )

    def _attributes(
        self, plan: SequencePlan, form: Form, objective: Any, state: TrainingState
    ) -> dict[str, Any]:
        if form.window and not objective.network.reads_window:
            form = replace(form, window=0)
        return {
            **self._training_attributes(form, objective, state),
            "n_outputs_": form.n_outputs,
            "state_size_": sum(objective.network.state_widths),
            "linear_path_": objective.network.linear_path or False,
            "n_tokens_": None if form.known is None else len(form.known),
        }

    @property
    def _per_step(self) -> bool:
        """Whether the network that was fitted answers at every step."""
        return self._fitted.network.pooling is None

    def _run_on(
        self,
        X: ArrayLike,
        lengths: ArrayLike | None,
        initial_state: ArrayLike | None,
        return_state: bool = False,
    ) -> tuple[Sequences, np.ndarray, np.ndarray]:
        """Sequences of X, the network's answers (n, O) or (V, O), and the states it ends in."""
        self._check_is_fitted()
        stateless = self._fitted.network.stateless
        if return_state and stateless:
            raise ValueError(f"{type(self).__name__} has no state to give with {stateless}.")
        sequences = self._sequences_to_run(X, lengths)
        dtype = numpy_dtype(self.module_.dtype)
        state = check_state(initial_state, sequences, self._fitted.network, dtype)
        return sequences, *self._run(sequences, state)

    def _run(
        self, sequences: Sequences, state: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The network's answers to checked sequences, and the states it ends in."""
        network, module, device = self._fitted.network, self.module_, self.device_
        if self._fitted.members is None:
            return run_network(network, module, sequences, state, device)
        outputs, ended = run_several(network, module, sequences, state, device)
        return self._agreed(outputs), ended

    def _agreed(self, outputs: list[np.ndarray]) -> np.ndarray:
        """What several networks come to of what each answers."""
        return mean_of(outputs)

    @property
    def members_(self) -> list[Self]:
        """Fitted estimators of one network each, whose mean the answers are."""
        if "module_" not in vars(self):
            raise AttributeError(f"This {type(self).__name__} is not fitted yet: no members_.")
        members = self._fitted.members
        return [self] if members is None else list(members)
