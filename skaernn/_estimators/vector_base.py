"""The base of the autoencoders of vectors: how they are fitted and what a fit leaves."""

from __future__ import annotations

from numbers import Integral, Real
from typing import ClassVar

import torch
from sklearn.utils.metaestimators import available_if

from .._core.compat import Interval, RealNotInt, StrOptions, fit_context
from .._core.constraints import ImageShape, LayerSizes
from .._inputs.arrays import check_fits_dtype, check_memory, check_rows, check_weights, to_tensor
from .._losses.loss import ReconstructionLoss
from .._losses.reconstruction import LOSSES
from .._losses.targets import check_allowed
from .._rows.content import MatrixContent
from .._rows.moments import SCALINGS
from .._rows.vectors import Rows
from .._training.vectors import ReconstructionObjective, code_moments
from ..networks import ACTIVATIONS, ARCHITECTURES, CORRUPTIONS, PENALTIES, Penalty, Range
from .base import NeuralEstimator, TrainingInput, fitting
from .design import (
    Design,
    check_combinations,
    design,
    goal,
    largest_network,
    limits,
    resolve_hidden,
    resolve_scaling,
)
from .vector_codes import ReconstructionMixin


class BaseAutoencoder(ReconstructionMixin, NeuralEstimator):
    """Autoencoders of vectors; a subclass adds its parameters."""

    _parameter_constraints: dict = {
        **NeuralEstimator._parameter_constraints,
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
        ],
        "hidden_layer_sizes": [LayerSizes()],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "output_activation": [StrOptions({"auto", *ACTIVATIONS})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "linear_path": [StrOptions({"auto"}), "boolean"],
        "scaling": [StrOptions({"auto", *SCALINGS}), None],
        "architecture": [StrOptions(set(ARCHITECTURES)), callable],
        "image_shape": [ImageShape(), None],
    }
    _architecture = (
        "n_components",
        "hidden_layer_sizes",
        "activation",
        "output_activation",
        "linear_path",
        "scaling",
        "architecture",
        "image_shape",
        "loss",
        "dtype",
    )
    _losses: ClassVar[dict[str, ReconstructionLoss]] = LOSSES
    _variational = False
    # parameters of some
    code_activation = "identity"
    code_penalty = None
    corruption = None
    tied_weights = False

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

    @property
    def _loss(self) -> ReconstructionLoss:
        """The loss that the parameters name."""
        return self._losses[self.loss]

    @property
    def _fitted_loss(self) -> ReconstructionLoss:
        """The loss that the parameters named in `fit`, whatever they name now."""
        return self._losses[self._fitted_with["loss"]]

    def _loss_on(self, rows: Rows) -> ReconstructionLoss:
        """The loss on scaled `rows`."""
        return self._loss

    @property
    def _penalty(self) -> tuple[Penalty | None, float]:
        """The penalty on what the encoder gives, and its strength."""
        if self.code_penalty is None:
            return None, 0.0
        return PENALTIES[self.code_penalty], float(self.penalty_strength)

    def _noise(self):
        own = self.architecture if callable(self.architecture) else None  # it may draw, too
        return {**super()._noise(), "corruption": self.corruption, "architecture": own}

    def _check_combinations(self):
        check_combinations(self)

    def _read(self, X, sample_weight=None, *, reset, suffix=""):
        X = check_rows(self, X, reset=reset, name=f"X{suffix}")
        weight = check_weights(sample_weight, X)
        check_allowed(self.loss, X, f"X{suffix}")
        if self.dtype == "float32":
            check_fits_dtype(X, torch.float32)

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

    def _largest_product(self, data, dtype, device):
        network = largest_network(self, *data.X.shape)
        sizes = (network.n_features, *resolve_hidden(self), network.n_components)
        advice = "smaller hidden_layer_sizes or n_components"
        check_memory(network.layout.size, dtype, device, sizes, advice)
        return network.largest_product

    def _objective(self, rows, *, resume, batch_size, seed):
        plan = self._continue(rows) if resume else design(self, rows)
        return ReconstructionObjective(
            plan.network,
            goal(self, plan.rows, self._limits(plan.rows, resume)),
            plan.rows,
            alpha=self.alpha,
            batch_size=batch_size,
            shuffle=self.shuffle,
            seed=seed,
            principal=plan.principal,
        )

    def _continue(self, rows) -> Design:
        """The network there is, and its scaling."""
        network = self._network.with_dropout(float(self.dropout))
        return Design(network, rows.scaled(self.module_.mean, self.module_.scale), None)

    def _limits(self, rows: Rows, resume: bool) -> Range | None:
        """Range of the rows of the first fit, where the corruption reads it."""
        if self.corruption is None or not CORRUPTIONS[self.corruption].needs_range:
            return None
        if resume and self._range is not None:
            return Range(*(torch.tensor(ends).to(rows.device, rows.dtype) for ends in self._range))
        return limits(rows)

    def _attributes(self, objective, state):
        network, rows, principal = objective.network, objective.rows, objective.principal
        module = objective.module(state.theta[0])
        code_mean, code_covariance = code_moments(module, rows)
        ratios = getattr(self, "explained_variance_ratio_", None) if state.resumed else None
        if principal is not None:
            ratios = principal.ratios(network.n_components).cpu().numpy()
        corrupter = objective.goal.corrupter
        ends = None if corrupter is None else corrupter.limits
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
            "_range": None if ends is None else tuple(end.cpu().numpy() for end in ends),
        }
