"""The base of the recurrent estimators: how they are fitted, and how they run."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._compat import Interval, StrOptions, fit_context
from ._content import JointContent, MatrixContent
from ._device import precise
from ._estimator import NeuralEstimator, TrainingInput, fitting
from ._losses import Loss
from ._principal import moments
from ._recurrent_objective import RecurrentObjective
from ._sequence_prediction import run_network
from ._sequence_rows import Counted, SequenceRows
from ._sequences import Sequences, check_sequences
from ._states import check_state
from ._targets import Targets
from ._validation import check_fits_dtype, check_memory, check_weights, to_tensor
from ._warnings import warn_user
from .networks import CELLS, POOLINGS, RecurrentNetwork


class BaseRecurrent(NeuralEstimator):
    """Recurrent networks on sequences; a subclass says what they predict."""

    _parameter_constraints: dict = {
        **NeuralEstimator._parameter_constraints,
        "cell": [StrOptions(set(CELLS))],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, 1000, closed="both")],  # beyond is a slip
        "bidirectional": ["boolean"],
        "activation": [StrOptions({"tanh", "relu"})],
        "return_sequences": ["boolean"],
        "pooling": [StrOptions(set(POOLINGS))],
        "input_skip": ["boolean"],
        "n_channels": [Interval(Integral, 1, None, closed="left")],
        "scaling": [StrOptions({"standard"}), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
    }
    _architecture = (
        "cell",
        "hidden_size",
        "n_layers",
        "bidirectional",
        "activation",
        "return_sequences",
        "pooling",
        "input_skip",
        "scaling",
        "dtype",
    )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        lengths=None,
        initial_state=None,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        lengths_val=None,
        initial_state_val=None,
    ):
        """Learn to predict y from the sequences of X.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, in one of these forms:

            - (n_samples, n_steps, n_channels)
            - (n_samples, n_steps * n_channels): see the parameter `n_channels`
            - a list of (n_steps_i, n_channels), of unequal lengths
            - (n_samples, n_steps, n_channels) with `lengths`, or with NaN in all channels from
              the end of a sequence on
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
            times, say, or of other groups.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If X, y, what goes with them or a combination of parameters is of no use; the message
            says what to do. Nothing changes then.
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
        with fitting(self):
            self._fit(given, held_out)
        return self

    @available_if(NeuralEstimator._can_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, *, lengths=None, initial_state=None):
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
        with fitting(self):
            given = {"X": X, "y": y, "sample_weight": sample_weight}
            self._fit({**given, "lengths": lengths, "initial_state": initial_state}, None, True)
        return self

    @abstractmethod
    def _read_targets(self, y, sequences: Sequences, *, reset: bool, name: str) -> Targets:
        """Check y."""

    def _told_of(self, targets: Targets) -> dict:
        """Targets that may be too large for training, by name."""
        return {"y": targets.values} if targets.values.dtype.kind == "f" else {}

    @abstractmethod
    def _loss(self, answers: Counted) -> Loss:
        """The loss that the parameters stand for, on `answers`."""

    @abstractmethod
    def _output(self) -> tuple[int, str]:
        """Width and activation of the network's output, once y has been read."""

    def _check_combinations(self):
        if self.return_sequences and self.pooling != "last":
            raise ValueError(
                f"pooling={self.pooling!r} makes one vector of a sequence, and "
                "return_sequences=True wants an output for each step. Leave pooling at 'last', "
                "or set return_sequences=False."
            )

    def _network_for(self, n_channels: int) -> RecurrentNetwork:
        n_outputs, output_activation = self._output()
        return RecurrentNetwork(
            n_inputs=n_channels,
            hidden_size=int(self.hidden_size),
            n_outputs=n_outputs,
            cell=self.cell,
            n_layers=int(self.n_layers),
            bidirectional=bool(self.bidirectional),
            activation=self.activation,
            pooling=None if self.return_sequences else self.pooling,
            input_skip=bool(self.input_skip),
            output_activation=output_activation,
            dropout=float(self.dropout),
        )

    def _read(
        self, X, y, sample_weight=None, lengths=None, initial_state=None, *, reset, suffix=""
    ):
        sequences = check_sequences(self, X, lengths, reset=reset, name=f"X{suffix}")
        if self.dtype == "float32" and sequences.steps.dtype == np.float64:
            check_fits_dtype(sequences.valid(), torch.float32, f"X{suffix}")
        targets = self._read_targets(y, sequences, reset=reset, name=f"y{suffix}")
        if sequences.steps.dtype == np.float32 or self.dtype == "float32":
            check_fits_dtype(targets.values, torch.float32, f"y{suffix}")
        weight = check_weights(sample_weight, sequences)
        state = None
        if initial_state is not None:
            network = self._network_for(sequences.n_channels)
            dtype = np.dtype(self.dtype or sequences.steps.dtype)
            state = check_state(initial_state, sequences, network, dtype, suffix)
        parts = [sequences.content, targets.content(sequences)]
        metadata = {"sample_weight": weight, "lengths": lengths, "initial_state": state}
        metadata = {name: value for name, value in metadata.items() if value is not None}
        if reset:
            self._flat, self._fitted_with_lengths = targets.flat, False
        if lengths is not None and not suffix and sequences.n_steps is not None:
            self._fitted_with_lengths |= int(sequences.lengths.min()) < sequences.n_steps

        def rows(selections, device, dtype):
            values = targets.values
            if values.dtype == np.float64 and precise(device) == torch.float32:
                values = values.astype(np.float32)
            parts = (sequences.steps, sequences.starts, sequences.lengths, values, targets.starts)
            steps, starts, lengths, values, begins = (to_tensor(part, device) for part in parts)
            began = None if state is None else to_tensor(state, device).to(dtype)
            how = {"per_step": targets.per_step, "state": began}
            return [
                SequenceRows.of(steps, starts, lengths, values, begins, s, dtype, **how)
                for s in selections
            ]

        return TrainingInput(
            X=X,
            y=y,
            metadata=metadata or None,
            dtype=sequences.steps.dtype,
            numbers=lambda: {"X": sequences.valid(), **self._told_of(targets)},
            content=JointContent(
                tuple(parts if state is None else [*parts, MatrixContent(state)])
            ),
            weight=weight,
            rows=rows,
        )

    def _largest_product(self, data, dtype, device):
        advice = "a smaller hidden_size or n_layers"
        network = self._network_for(self._channels)
        sizes = (network.n_inputs, *[network.n_hidden] * network.n_layers, network.n_outputs)
        check_memory(network.layout.size, dtype, device, sizes, advice)
        return network.largest_product

    def _objective(self, rows, *, resume, batch_size, seed):
        loss = self._loss(rows.answers)
        if resume:
            network = replace(self._network, dropout=float(self.dropout))
            units = ("x_mean", "x_scale", "y_mean", "y_scale")
            rows = rows.scaled(**{name: getattr(self.module_, name) for name in units})
        else:
            network = self._network_for(self._channels)
            rows = rows.scaled(**self._units(rows, loss, network))
        return RecurrentObjective(
            network,
            loss,
            rows,
            alpha=self.alpha,
            batch_size=batch_size,
            shuffle=self.shuffle,
            seed=seed,
        )

    def _units(self, rows: SequenceRows, loss: Loss, network: RecurrentNetwork) -> dict:
        """Means and deviations of channels and, where the output can be moved, of targets."""
        if self.scaling is None:
            return {}
        wide = torch.promote_types(rows.inputs.X.dtype, rows.dtype)
        mean, scale = moments(rows.steps)
        units = {"x_mean": mean.to(wide), "x_scale": torch.where(scale > 0, scale, 1.0).to(wide)}
        movable = network.output_activation == loss.output_activation
        if loss.default_scaling is not None and movable:
            mean, scale = moments(rows.answers)
            units["y_mean"] = mean.to(wide)
            units["y_scale"] = torch.where(scale > 0, scale, 1.0).to(wide)
        return units

    def _attributes(self, objective, state):
        network = objective.network
        return {
            **self._training_attributes(objective, state),
            "module_": objective.module(state.theta[0]),
            "n_outputs_": objective.rows.targets.X.shape[1],
            "state_size_": sum(network.state_widths),
            "_network": network,
        }

    def _run_on(self, X, lengths, initial_state, return_state=False):
        """Sequences of X, the network's answers (n, O) or (V, O), and the states it ends in."""
        check_is_fitted(self)
        if return_state and self._network.bidirectional:
            raise ValueError(
                f"{type(self).__name__} has no state to give with bidirectional=True: one "
                "direction begins at the end of a sequence."
            )
        sequences = check_sequences(self, X, lengths, reset=False)
        dtype = np.dtype(str(self.module_.dtype).removeprefix("torch."))
        state = check_state(initial_state, sequences, self._network, dtype)
        if lengths is None and self._fitted_with_lengths and _looks_padded(sequences):
            warn_user(
                f"{type(self).__name__} was fitted with lengths and is used without them, on "
                "sequences some of which end in zeros: if these are padding, they are read as "
                "steps. Pass lengths here too, or mark padding by NaN in all channels. (Without "
                "metadata routing, cross_val_score passes lengths to fit and to nothing else.)",
            )
        output, ended = run_network(self._network, self.module_, sequences, state, self.device_)
        return sequences, output, ended


def _looks_padded(sequences: Sequences) -> bool:
    """Whether some sequences of an array end in zeros, and none before the array does."""
    if sequences.n_steps is None or (sequences.lengths < sequences.n_steps).any():
        return False
    last = sequences.steps[sequences.starts + sequences.lengths - 1]
    return not last.any(axis=1).all()
