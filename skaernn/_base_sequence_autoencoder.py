"""The base of the sequence autoencoder: how it is fitted and what a fit leaves."""

from __future__ import annotations

from sklearn.utils.metaestimators import available_if

from ._compat import fit_context
from ._estimator import NeuralEstimator, TrainingInput, fitting
from ._losses import LOSSES
from ._recurrent_fitting import RecurrentFittingMixin
from ._sequence_reconstruction import SequenceReconstructionMixin, code_moments
from ._sequences import Sequences
from ._target_losses import check_allowed
from ._validation import check_weights
from .networks import SequenceAutoencoder


class BaseSequenceAutoencoder(SequenceReconstructionMixin, RecurrentFittingMixin, NeuralEstimator):
    """Autoencoders of sequences; a subclass adds its parameters."""

    _largest_advice = "a smaller hidden_size, n_layers or n_components"

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y=None,
        sample_weight=None,
        *,
        lengths=None,
        X_val=None,
        sample_weight_val=None,
        lengths_val=None,
    ):
        """Learn codes of the sequences of X.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, in one of these forms:

            - (n_samples, n_steps, n_channels)
            - (n_samples, n_steps * n_channels): see the parameter `n_channels`
            - a list of (n_steps_i, n_channels), of unequal lengths
            - (n_samples, n_steps, n_channels) with `lengths`, or with NaN in all channels from
              the end of a sequence on
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), scalar or None
            A sequence of weight k counts as k of them, one of weight 0 is not there.
        lengths : array-like of int of shape (n_samples,) or None
            How many steps of each sequence are there; what lies beyond is not read.
        X_val, sample_weight_val, lengths_val : None or as above
            Sequences for early stopping, where a random share of X would not do: of later
            times, say, or of other groups.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If X, what goes with it or a combination of parameters is of no use; the message says
            what to do. Nothing changes then.
        MemoryError
            If the network cannot fit into memory.
        """
        given = {"X": X, "sample_weight": sample_weight, "lengths": lengths}
        held_out = {"X": X_val, "sample_weight": sample_weight_val, "lengths": lengths_val}
        with fitting(self):
            self._fit(given, held_out)
        return self

    @available_if(NeuralEstimator._can_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None, *, lengths=None):
        """One more epoch, over the sequences of X, at a constant learning rate.

        The first call fixes the scaling, so give it sequences that are like all.

        Parameters
        ----------
        X, y, sample_weight, lengths
            See `fit`.

        Returns
        -------
        self : estimator
        """
        with fitting(self):
            given = {"X": X, "sample_weight": sample_weight, "lengths": lengths}
            self._fit(given, incremental=True)
        return self

    def _check_combinations(self):
        loss = LOSSES[self.loss]
        if self.scaling == "standard" and loss.default_scaling is None:
            raise ValueError(
                f"loss={self.loss!r} needs scaling=None (or 'auto'), got {self.scaling!r}."
            )

    @property
    def _scaling(self):
        if self.scaling == "auto":
            return None if LOSSES[self.loss].default_scaling is None else "standard"
        return self.scaling

    def _loss_on(self, answers):
        return LOSSES[self.loss]

    def _network_for(self, n_channels: int) -> SequenceAutoencoder:
        return SequenceAutoencoder.of(
            n_channels,
            int(self.n_components),
            int(self.hidden_size),
            cell=self.cell,
            n_layers=int(self.n_layers),
            bidirectional=bool(self.bidirectional),
            activation=self.activation,
            output_activation=LOSSES[self.loss].output_activation,
            dropout=float(self.dropout),
        )

    def _read(self, X, sample_weight=None, lengths=None, *, reset, suffix=""):
        sequences = self._read_sequences(X, lengths, reset=reset, suffix=suffix)
        check_allowed(self.loss, sequences.valid(), f"X{suffix}")
        weight = check_weights(sample_weight, sequences)
        if not suffix:
            self._note_steps(sequences, reset)
        metadata = {"sample_weight": weight, "lengths": lengths}
        metadata = {name: value for name, value in metadata.items() if value is not None}

        def rows(selections, device, dtype):
            return self._rows_of(sequences, selections, device, dtype, per_step=True)

        return TrainingInput(
            X=X,
            y=X,  # what an autoencoder is to predict
            metadata=metadata or None,
            dtype=sequences.steps.dtype,
            numbers=lambda: {"X": sequences.valid()},
            content=sequences.content,
            weight=weight,
            rows=rows,
        )

    def _note_steps(self, sequences: Sequences, reset: bool) -> None:
        """How many steps and which form answers have that `lengths` does not say of."""
        n_steps = int(sequences.lengths[0])
        if (sequences.lengths != n_steps).any() or (not reset and self.n_steps_ != n_steps):
            n_steps = None
        self.n_steps_ = n_steps
        if reset:
            self._fitted_on_list = sequences.n_steps is None

    def _attributes(self, objective, state):
        code_mean, code_covariance = code_moments(objective, state.theta)
        return {
            **self._training_attributes(objective, state),
            "module_": objective.module(state.theta[0]),
            "n_components_": objective.network.n_components,
            "scaling_": self._scaling,
            "n_outputs_": objective.rows.targets.X.shape[1],
            "code_mean_": code_mean,
            "code_covariance_": code_covariance,
            "_network": objective.network,
        }
