"""The base of the autoencoders: how they are fitted and what a fit leaves."""

from __future__ import annotations

from dataclasses import replace

import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.metaestimators import available_if

from ._compat import fit_context
from ._content import MatrixContent
from ._dense_objective import DenseObjective
from ._design import Design, check_combinations, design, largest_network, resolve_scaling
from ._estimator import NeuralEstimator, TrainingInput, fitting
from ._losses import LOSSES
from ._reconstruction import ReconstructionMixin, code_moments
from ._rows import Rows
from ._validation import (
    check_fits_dtype,
    check_memory,
    check_rows,
    check_unit_interval,
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
            held_out = {"X": X_val, "sample_weight": sample_weight_val}
            self._fit({"X": X, "sample_weight": sample_weight}, held_out)
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
            self._fit({"X": X, "sample_weight": sample_weight}, incremental=True)
        return self

    def _check_combinations(self):
        check_combinations(self)

    def _read(self, X, sample_weight=None, *, reset, suffix=""):
        X = check_rows(self, X, reset=reset, name=f"X{suffix}")
        weight = check_weights(sample_weight, X)
        self._check_values(X)

        def rows(selections, device, dtype):
            tensor = to_tensor(X, device)
            return [Rows.of(tensor, selection, dtype) for selection in selections]

        return TrainingInput(
            X=X,
            y=X,  # what an autoencoder is to predict
            metadata=None if weight is None else {"sample_weight": weight},
            dtype=X.dtype,
            numbers=lambda: {"X": X},
            content=MatrixContent(X),
            weight=weight,
            rows=rows,
        )

    def _check_values(self, X):
        if LOSSES[self.loss].fixed_output:
            check_unit_interval(X, self.loss)
        if self.dtype == "float32":
            check_fits_dtype(X, torch.float32)

    def _largest_product(self, data, dtype, device):
        network = largest_network(self, *data.X.shape)
        advice = "smaller hidden_layer_sizes or n_components"
        check_memory(network.layout.size, dtype, device, network.sides["encoder"], advice)
        return network.largest_product

    def _objective(self, rows, *, resume, batch_size, seed):
        plan = self._continue(rows) if resume else design(self, rows)
        return DenseObjective(
            plan.network,
            LOSSES[self.loss],
            plan.rows,
            alpha=self.alpha,
            batch_size=batch_size,
            shuffle=self.shuffle,
            seed=seed,
            principal=plan.principal,
        )

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
