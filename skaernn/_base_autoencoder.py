"""The base of the autoencoders: how they are fitted and what a fit leaves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.metaestimators import available_if

from ._compat import fit_context
from ._dense_objective import DenseObjective
from ._design import Design, check_combinations, design, largest_network, resolve_scaling
from ._device import threads_for
from ._estimator import NeuralEstimator, fitting
from ._losses import LOSSES
from ._reconstruction import ReconstructionMixin, code_moments
from ._rows import make_rows
from ._validation import (
    check_fits_dtype,
    check_memory,
    check_rows,
    check_unit_interval,
    check_validation_arguments,
    check_weights,
    to_tensor,
)


class BaseAutoencoder(ClassNamePrefixFeaturesOutMixin, ReconstructionMixin, NeuralEstimator):
    """Autoencoders of vectors; a subclass adds its parameters."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None, *, X_val=None, sample_weight_val=None):
        """Learn codes of the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to encode and to reconstruct.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), scalar or None
            A row of weight k counts as k rows, one of weight 0 is not there.
        X_val : array-like of shape (n_val, n_features) or None
            Rows for early stopping, where a random share of X would not do: rows of later
            times, say, or of other groups.
        sample_weight_val : array-like of shape (n_val,) or None
            Their weights.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If X, the weights or a combination of parameters is of no use; the message says what
            to do. Nothing changes then.
        MemoryError
            If the network cannot fit into memory.
        """
        with fitting(self):
            self._fit(X, sample_weight, X_val, sample_weight_val)
        return self

    @available_if(NeuralEstimator._can_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """One more epoch, over the rows of X, at a constant learning rate.

        The first call fixes the scaling and the start at PCA, so give it rows that are like all;
        later ones too should be mixed. Weights are the last ones: what `fit` promises about PCA
        does not hold here.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), scalar or None

        Returns
        -------
        self : estimator
        """
        with fitting(self):
            self._fit(X, sample_weight, incremental=True)
        return self

    def _fit(self, X, sample_weight, X_val=None, sample_weight_val=None, incremental=False):
        resume = (incremental or self.warm_start) and hasattr(self, "module_")
        self._check_solver()
        check_combinations(self)
        check_validation_arguments(self.early_stopping, X_val, sample_weight_val)
        if resume:
            self._check_continuable()
        X = check_rows(self, X, reset=not resume)
        weight = check_weights(sample_weight, X)
        self._check_values(X)
        device, dtype = self._device_and_dtype(X)
        largest = largest_network(self, *X.shape)
        check_memory(largest.layout.size, dtype, device, largest.sides["encoder"])
        split = self.early_stopping and X_val is None
        seed = self._seed if resume and incremental else self._draw_seed()
        rows, held_out = make_rows(
            X,
            to_tensor(X, device),
            weight,
            dtype,
            keyed=self.dropout > 0,
            batch_size=self._most_batch_rows(),
            shuffle=self.shuffle,
            validation=(self.validation_fraction, seed) if split else None,
        )
        if X_val is not None:
            held_out = self._validation_rows(X_val, sample_weight_val, device, dtype)
        batch_rows = min(self._most_batch_rows(), len(rows))
        product = 2 * batch_rows * largest.largest_product
        with threads_for(product, device), torch.autocast(device.type, enabled=False):
            plan = self._continue(rows) if resume else design(self, rows)
            network, loss = plan.network, LOSSES[self.loss]
            objective = DenseObjective(
                network,
                loss,
                plan.rows,
                alpha=self.alpha,
                batch_size=batch_rows,
                shuffle=self.shuffle,
                seed=seed,
                principal=plan.principal,
            )
            validation = None
            if held_out is not None:
                held_out = held_out.scaled(plan.rows.mean, plan.rows.scale)
                validation = DenseObjective(network, loss, held_out)
            state = self._state(objective, seed, resume=resume, incremental=incremental)
            if validation is not None:
                state.best_loss = validation.evaluate(state.theta)
            self._run(
                objective,
                validation,
                state,
                keep_best=network.linear_path and not incremental,
                start_loss=None if resume else objective.start_loss,
                incremental=incremental,
                data={  # for callbacks: what an autoencoder is to predict is X
                    "X": X,
                    "y": X,
                    "metadata": None if weight is None else {"sample_weight": weight},
                },
            )

    def _check_values(self, X: np.ndarray) -> None:
        if LOSSES[self.loss].fixed_output:
            check_unit_interval(X, self.loss)
        if self.dtype == "float32":
            check_fits_dtype(X, torch.float32)

    def _validation_rows(self, X_val, sample_weight_val, device, dtype):
        X_val = check_rows(self, X_val, reset=False, name="X_val")
        self._check_values(X_val)
        check_fits_dtype(X_val, dtype, "X_val")
        weight = check_weights(sample_weight_val, X_val)
        return make_rows(X_val, to_tensor(X_val, device), weight, dtype)[0]

    def _continue(self, rows) -> Design:
        """The network there is, and its scaling."""
        network = replace(self._network, dropout=float(self.dropout))
        return Design(network, rows.scaled(self.module_.mean, self.module_.scale), None)

    def _attributes(self, objective, state):
        network, rows, principal = objective.network, objective.rows, objective.principal
        module = objective.module(state.theta[0])
        code_mean, code_covariance = code_moments(module, rows)
        ratios = getattr(self, "explained_variance_ratio_", None) if state.resumed else None
        if principal is not None:
            ratios = principal.ratios(network.n_components).cpu().numpy()
        return {
            **self._training_attributes(objective, state),
            "module_": module,
            "n_components_": network.n_components,
            "n_outputs_": network.n_features,
            "linear_path_": network.linear_path,
            "scaling_": resolve_scaling(self),
            "explained_variance_ratio_": ratios,
            "code_mean_": code_mean,
            "code_covariance_": code_covariance,
            "_network": network,
        }

    @property
    def _n_features_out(self):
        """For `get_feature_names_out`."""
        return self.n_components_
