"""What a recurrent regressor does with targets, and with what the network answers."""

from __future__ import annotations

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from ._constraints import check_count
from ._forecast import check_feeds_back, forecast
from ._sequence_prediction import returned
from ._sequence_scores import r2_of
from ._target_losses import TARGET_LOSSES, check_allowed, loss_named
from ._targets import check_numbers


class SequenceRegressionMixin(RegressorMixin):
    """Prediction of numbers, one or several a sequence or a step."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _check_combinations(self):
        super()._check_combinations()
        loss = TARGET_LOSSES[self.loss]
        own = loss.fixed_output and loss.output_activation
        if own and self.output_activation not in ("identity", own):
            raise ValueError(
                f"loss={self.loss!r} has an output activation of its own; leave "
                f"output_activation at 'identity', got {self.output_activation!r}."
            )

    def _read_targets(self, y, sequences, *, reset, name):
        targets = check_numbers(self, y, sequences, per_step=self.return_sequences, name=name)
        values = targets.values
        check_allowed(self.loss, values, name)
        if reset:
            self.n_outputs_ = values.shape[1]
        elif values.shape[1] != self.n_outputs_:
            raise ValueError(
                f"{name} has {values.shape[1]} outputs, but {type(self).__name__} was fitted with "
                f"{self.n_outputs_}."
            )
        return targets

    def _output(self):
        loss = TARGET_LOSSES[self.loss]
        activation = loss.output_activation if loss.fixed_output else self.output_activation
        return self.n_outputs_ * loss.outputs_per_target, activation

    def _loss_on(self, answers):
        return loss_named(self.loss, float(self.quantile))

    def predict(
        self, X, *, lengths=None, initial_state=None, return_state=False, return_std=False
    ):
        """Predictions for the sequences of X.

        Parameters
        ----------
        X : array-like or list of array-like
            In any of the forms that `fit` takes; sequences may have other lengths than there.
        lengths : array-like of int of shape (n_samples,) or None
        initial_state : array-like of shape (n_samples, state_size_) or None
            Where the sequences of X go on from. None: zeros.
        return_state : bool, default=False
            Give the states at the ends of the sequences as well.
        return_std : bool, default=False
            Give standard deviations as well, for ``loss="gaussian"``.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In X's dtype, as y was; a sequence's prediction does not depend on the sequences
            beside it. With `return_sequences` (n_samples, n_steps) or (n_samples, n_steps,
            n_outputs), zero beyond the end of a sequence; for a list, (n_samples,) of arrays.
        std : ndarray of y's shape
            If `return_std`.
        state : ndarray of shape (n_samples, state_size_)
            If `return_state`.
        """
        check_is_fitted(self)
        if return_std and self._network.output_activation != "mean_and_deviation":
            raise ValueError(
                "return_std=True needs a fit with loss='gaussian', which predicts standard "
                f"deviations; this one was with {self._fitted_with['loss']!r}."
            )
        sequences, output, ended = self._run_on(X, lengths, initial_state, return_state)
        k = self.n_outputs_
        columns = [output[:, :k], output[:, k:]] if return_std else [output[:, :k]]
        answers = [self._answer(sequences, values) for values in columns]
        return returned(answers, ended, return_state)

    def _answer(self, sequences, values: np.ndarray) -> np.ndarray:
        if self._network.pooling is None:
            return sequences.answer(values, self._flat)
        return values[:, 0] if self._flat else values

    def forecast(self, X, n_steps, *, lengths=None, initial_state=None):
        """What follows the sequences of X: predictions, fed back as inputs.

        For targets that are the next inputs: the next step, or the next few one after the other,
        as `sliding_windows` gives them; with `return_sequences`, the next input at each step.

        Parameters
        ----------
        X : array-like or list of array-like
        n_steps : int
            How far to go.
        lengths, initial_state
            See `predict`.

        Returns
        -------
        y : ndarray of shape (n_samples, n_steps, n_channels)
        """
        n_steps = check_count(n_steps, "n_steps")
        sequences, output, ended = self._run_on(X, lengths, initial_state)
        check_feeds_back(self)
        output = output[:, : self.n_outputs_]
        return forecast(self, sequences, output, ended, n_steps)

    def score(self, X, y, sample_weight=None, *, lengths=None, initial_state=None):
        """Coefficient of determination R^2 of the predictions.

        Parameters
        ----------
        X, y, sample_weight, lengths, initial_state
            See `fit`.

        Returns
        -------
        score : float
            The mean over outputs, as `r2_score` has it; with `return_sequences`, over all valid
            steps together.
        """
        sequences, output, _ = self._run_on(X, lengths, initial_state)
        return r2_of(self, sequences, output[:, : self.n_outputs_], y, sample_weight)
