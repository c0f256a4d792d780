"""What a fitted sequence autoencoder does with sequences and codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags

from .._core.device import numpy_dtype, precise
from .._inference.chunks import in_chunks
from .._inference.scores import explained_share
from .._inference.sequences import run_network
from .._inputs.arrays import check_codes, check_weights, to_tensor
from .._inputs.lengths import check_lengths
from .._inputs.memory import check_fits_memory
from .._inputs.sequences import Sequences
from .._losses.loss import in_units
from .._losses.reconstruction import LOSSES
from .._losses.targets import check_allowed
from .._rows.matrix import Counted, Matrix
from .codes import code_tags, spread_like, standard_normal


class SequenceCodes(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Methods of a fitted sequence autoencoder: there, back, how well, and new sequences."""

    def __sklearn_tags__(self) -> Tags:
        return code_tags(super().__sklearn_tags__())

    @property
    def _n_features_out(self) -> int:
        """For `get_feature_names_out`."""
        return self.n_components_

    def transform(self, X: ArrayLike, *, lengths: ArrayLike | None = None) -> np.ndarray:
        """Codes of the sequences of X.

        Parameters
        ----------
        X : array-like or list of array-like
            In any of the forms that `fit` takes; sequences may have other lengths than there.
        lengths : array-like of int of shape (n_samples,) or None
            How many steps of each sequence are there.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            In X's dtype. A sequence's code depends neither on padding nor on the sequences beside
            it.
        """
        return self._encoded(self._sequences_to_run(X, lengths))

    def fit_transform(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | float | None = None,
        *,
        lengths: ArrayLike | None = None,
        **fit_params: Any,
    ) -> np.ndarray:
        """Fit to the sequences of X, and give their codes.

        Parameters
        ----------
        X, y, sample_weight, lengths, **fit_params
            See `fit`.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
        """
        self.fit(X, sample_weight=sample_weight, lengths=lengths, **fit_params)
        return self.transform(X, lengths=lengths)

    def inverse_transform(self, X: ArrayLike, *, lengths: ArrayLike | None = None) -> np.ndarray:
        """Sequences that codes stand for.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components_)
            Codes, from `transform` or from anywhere between.
        lengths : array-like of int of shape (n_samples,) or None
            How many steps each sequence is to have. None: `n_steps_`.

        Returns
        -------
        X_original : ndarray
            In the units of the X that was fitted, and in its form: (n_samples, n_features_in_)
            or (n_samples, n_steps, n_channels), zero beyond `lengths`; (n_samples,) of arrays
            (n_steps_i, n_channels) if it was a list.

        Raises
        ------
        ValueError
            If the sequences of `fit` were of unequal lengths, and `lengths` is None.
        MemoryError
            If memory cannot hold as many steps as `lengths` asks for; before any is made.
        """
        self._check_is_fitted()
        codes = check_codes(self, X)
        lengths = self._lengths_of_codes(lengths, len(codes))
        return self._in_form(self._decoded(codes, lengths), lengths)

    def reconstruction_error(
        self, X: ArrayLike, *, lengths: ArrayLike | None = None, raw_units: bool = False
    ) -> np.ndarray:
        """How far each sequence is from its reconstruction, as the loss weighs it.

        Parameters
        ----------
        X : array-like or list of array-like
        lengths : array-like of int of shape (n_samples,) or None
        raw_units : bool, default=False
            Whether to give X's units if it was scaled, so that the channels with the largest
            numbers decide.

        Returns
        -------
        errors : ndarray of shape (n_samples,)
            Mean over steps and channels of the squared difference (of the absolute one, of
            Huber's, of the cross-entropy or of the Poisson deviance, if that is `loss`). In
            standard deviations of each channel in `fit`, or in X's units if it was not scaled;
            squared for squared error and Huber's, whose threshold is one scaled unit; in nats for
            the cross-entropy.
        """
        sequences, decoded = self._reconstructed(X, lengths)
        loss, module = LOSSES[self._fitted.parameters["loss"]], self.module_
        mean, scale, units = module.encoder.x_mean, module.encoder.x_scale, 1.0
        if scale is not None and raw_units:  # in a type that does not overflow
            units = scale.to(precise(self.device_)) ** loss.unit_power

        def errors(pairs: torch.Tensor) -> torch.Tensor:
            target, output = pairs.chunk(2, dim=1)
            if mean is not None:
                target, output = ((part - mean) / scale for part in (target, output))
            return in_units(loss.errors(output, target), units).mean(1)

        pairs = np.concatenate([sequences.joined(), decoded], axis=1)
        of_steps = in_chunks(errors, pairs, None, self.device_).astype(np.float64)
        begins = np.cumsum(sequences.lengths) - sequences.lengths
        totals = np.add.reduceat(of_steps, begins)
        return (totals / sequences.lengths).astype(sequences.steps.dtype)

    def score_samples(self, X: ArrayLike, *, lengths: ArrayLike | None = None) -> np.ndarray:
        """Minus the reconstruction error of each sequence, so that low means anomalous.

        Parameters
        ----------
        X : array-like or list of array-like
        lengths : array-like of int of shape (n_samples,) or None

        Returns
        -------
        scores : ndarray of shape (n_samples,)
        """
        return -self.reconstruction_error(X, lengths=lengths)

    def score(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | float | None = None,
        *,
        lengths: ArrayLike | None = None,
    ) -> float:
        """Share of the variance of X that the reconstruction explains, over all valid steps.

        One minus the summed squared error over the summed squared deviation from the channels'
        means, whatever `loss` is. If X was scaled, each channel counts in its standard deviation
        in `fit`, as it does in the loss.

        Parameters
        ----------
        X : array-like or list of array-like
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), scalar or None
        lengths : array-like of int of shape (n_samples,) or None

        Returns
        -------
        score : float
            At most 1. Sequences without variance score 1 if they are met exactly, else 0.
        """
        sequences, decoded = self._reconstructed(X, lengths)
        weight = check_weights(sample_weight, sequences)
        if weight is None:
            weight = np.ones(len(sequences))
        of_steps = np.repeat(weight, sequences.lengths)
        counted = of_steps > 0
        relative = of_steps[counted, None] / of_steps.mean(where=counted)
        target, found, weights = (
            to_tensor(part, self.device_)
            for part in (sequences.joined()[counted], decoded[counted], relative)
        )
        difference = found.to(weights.dtype) - target
        index = torch.arange(len(target), device=self.device_)
        rows = Counted(Matrix(target), index, torch.ones_like(index), weights[:, 0])
        scale = self.module_.encoder.x_scale
        unit = 1.0 if scale is None else scale.to(weights.dtype)
        return explained_share(rows, [(difference / unit, weights)], unit)

    def sample(
        self,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
        *,
        lengths: ArrayLike | None = None,
    ) -> np.ndarray:
        """New sequences: codes drawn from a Gaussian fitted to the training codes, decoded.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None draws from numpy's global generator.
        lengths : array-like of int of shape (n_samples,) or None
            How many steps each sequence is to have. None: `n_steps_`.

        Returns
        -------
        X : ndarray
            As of `inverse_transform`.

        Raises
        ------
        MemoryError
            If memory cannot hold that many sequences; before any is drawn.
        """
        self._check_is_fitted()
        n_steps = self.n_steps_ if lengths is None else None
        size = self.n_outputs_ * (n_steps or 1)
        normal = standard_normal(n_samples, self.n_components_, random_state, size)
        codes = spread_like(self.code_mean_, self.code_covariance_, normal)
        lengths = self._lengths_of_codes(lengths, len(codes))
        return self._in_form(self._decoded(codes, lengths), lengths)

    def _encoded(self, sequences: Sequences) -> np.ndarray:
        """Codes (n, K)."""
        network, module = self._fitted.network.encoder, self.module_.encoder
        return run_network(network, module, sequences, None, self.device_)[0]

    def _decoded(self, codes: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Steps (V, C) of sequences of `lengths`, one after the other."""
        network, module = self._fitted.network.decoder, self.module_
        own = numpy_dtype(module.dtype)
        wide = codes.astype(np.promote_types(codes.dtype, own), copy=False)
        width = sum(network.state_widths)
        state = in_chunks(lambda z: module.begin(z.to(module.dtype)), wide, width, self.device_)
        # one step for each code, read again and again
        repeated = Sequences(wide, np.arange(len(wide)), lengths, None, stride=0)
        steps = run_network(network, module.decoder, repeated, state, self.device_)[0]
        return steps.astype(codes.dtype, copy=False)

    def _reconstructed(
        self, X: ArrayLike, lengths: ArrayLike | None
    ) -> tuple[Sequences, np.ndarray]:
        """Sequences of X, and what becomes of their steps (V, C)."""
        sequences = self._sequences_to_run(X, lengths)
        check_allowed(self._fitted.parameters["loss"], sequences.valid(), "X")
        return sequences, self._decoded(self._encoded(sequences), sequences.lengths)

    def _lengths_of_codes(self, lengths: ArrayLike | None, n_samples: int) -> np.ndarray:
        """Steps (n,) of the sequences that codes are to become."""
        form = self._form
        if lengths is None and self.n_steps_ is None:
            raise ValueError(
                f"{type(self).__name__} was fitted on sequences of unequal lengths: pass lengths, "
                "the number of steps that each code is to become."
            )
        if lengths is None:
            return np.full(n_samples, self.n_steps_)
        most = self.n_features_in_ // form.n_channels if form.on_rows else None
        lengths = check_lengths(lengths, n_samples, most, "the X that was fitted")
        n_steps = int(lengths.sum())
        padded = 0 if form.on_list else n_samples * int(lengths.max())
        check_fits_memory(
            "lengths", f"{n_steps} steps in all", (n_steps + padded) * self.n_outputs_
        )
        return lengths

    def _in_form(self, steps: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Steps (V, C) as sequences in the form of the X that was fitted."""
        form = self._form
        n_steps = None if form.on_list else int(lengths.max())
        if form.on_rows:
            n_steps = self.n_features_in_ // form.n_channels
        begins = np.cumsum(lengths) - lengths
        answer = Sequences(steps, begins, lengths, n_steps).answer(steps, flat=False)
        return answer.reshape(len(answer), -1) if form.on_rows else answer
