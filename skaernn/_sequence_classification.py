"""What a recurrent classifier does with classes, and with what the network answers."""

from __future__ import annotations

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from ._class_weight import class_weights
from ._compat import fit_context
from ._estimator import NeuralEstimator, fitting
from ._sequence_prediction import returned
from ._sequence_scores import accuracy_of
from ._target_losses import CrossEntropy
from ._targets import as_targets, check_labels, classes_of, indices_of


def _can_partial_fit(estimator) -> bool:
    if estimator.class_weight == "balanced":
        raise AttributeError(
            "partial_fit is not available with class_weight='balanced', for it never sees all of "
            "y at once. Pass the weights as a dict."
        )
    return NeuralEstimator._can_partial_fit(estimator)


class SequenceClassificationMixin(ClassifierMixin):
    """Prediction of classes, one a sequence or a step."""

    @available_if(_can_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X, y, classes=None, sample_weight=None, *, lengths=None, initial_state=None
    ):
        """One more epoch, over the sequences of X, at a constant learning rate.

        The first call fixes the scaling, so give it sequences that are like all.

        Parameters
        ----------
        X, y, sample_weight, lengths, initial_state
            See `fit`.
        classes : array-like of shape (n_classes,) or None
            All classes there will be; to be passed at the first call.

        Returns
        -------
        self : estimator
        """
        given = {"X": X, "y": y, "sample_weight": sample_weight, "lengths": lengths}
        given |= {"initial_state": initial_state, "classes": self._check_classes(classes)}
        with fitting(self):
            self._fit(given, None, True)
        return self

    def _check_classes(self, classes) -> np.ndarray:
        """All classes, at the first call of `partial_fit` and later ones."""
        if not hasattr(self, "module_"):
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            return classes_of(classes, "classes")
        if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes={classes!r} is not the same as on the last call to partial_fit, which "
                f"was {self.classes_!r}."
            )
        return self.classes_

    def _read(self, *arguments, classes=None, **more):
        if classes is not None:
            self.classes_ = classes
        self._classes_given = classes is not None
        return super()._read(*arguments, **more)

    def _read_targets(self, y, sequences, *, reset, name):
        labels = check_labels(self, y, sequences, per_step=self.return_sequences, name=name)
        if reset and not self._classes_given:
            self.classes_ = classes_of(labels, name)
        indices = indices_of(labels, self.classes_, name)
        return as_targets(indices, sequences, self.return_sequences)

    def _output(self):
        return len(self.classes_), "softmax"

    def _loss_on(self, answers):
        return CrossEntropy(*class_weights(self.class_weight, self.classes_, answers))

    def predict_proba(self, X, *, lengths=None, initial_state=None, return_state=False):
        """Probabilities of the classes for the sequences of X.

        Parameters
        ----------
        X : array-like or list of array-like
            In any of the forms that `fit` takes; sequences may have other lengths than there.
        lengths : array-like of int of shape (n_samples,) or None
        initial_state : array-like of shape (n_samples, state_size_) or None
            Where the sequences of X go on from. None: zeros.
        return_state : bool, default=False
            Give the states at the ends of the sequences as well.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In X's dtype; with `return_sequences` (n_samples, n_steps, n_classes), zero beyond
            the end of a sequence; for a list, (n_samples,) of arrays.
        state : ndarray of shape (n_samples, state_size_)
            If `return_state`.
        """
        return self._probabilities(X, lengths, initial_state, return_state, np.asarray)

    def predict_log_proba(self, X, *, lengths=None, initial_state=None, return_state=False):
        """Logarithms of `predict_proba`.

        Parameters
        ----------
        X, lengths, initial_state, return_state
            See `predict_proba`.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            As `predict_proba`; with `return_sequences`, zero beyond the end of a sequence too.
        state : ndarray of shape (n_samples, state_size_)
            If `return_state`.
        """
        with np.errstate(divide="ignore"):
            return self._probabilities(X, lengths, initial_state, return_state, np.log)

    def _probabilities(self, X, lengths, initial_state, return_state, function):
        sequences, output, ended = self._run_on(X, lengths, initial_state, return_state)
        output = function(output)
        if self._network.pooling is None:
            output = sequences.answer(output, flat=False)
        return returned([output], ended, return_state)

    def predict(self, X, *, lengths=None, initial_state=None, return_state=False):
        """The most probable class for the sequences of X.

        Parameters
        ----------
        X, lengths, initial_state, return_state
            See `predict_proba`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            With `return_sequences` (n_samples, n_steps), the first class beyond the end of a
            sequence; for a list, (n_samples,) of arrays.
        state : ndarray of shape (n_samples, state_size_)
            If `return_state`.
        """
        sequences, output, ended = self._run_on(X, lengths, initial_state, return_state)
        answer = output.argmax(axis=1)
        if self._network.pooling is None:
            answer = sequences.answer(answer[:, None], flat=True)
        if answer.dtype == object:
            answer[:] = [self.classes_[part] for part in answer]
        else:
            answer = self.classes_[answer]
        return returned([answer], ended, return_state)

    def score(self, X, y, sample_weight=None, *, lengths=None, initial_state=None):
        """Share of right predictions.

        Parameters
        ----------
        X, y, sample_weight, lengths, initial_state
            See `fit`.

        Returns
        -------
        score : float
            With `return_sequences`, over all valid steps together.
        """
        sequences, output, _ = self._run_on(X, lengths, initial_state)
        return accuracy_of(self, sequences, output, y, sample_weight)
