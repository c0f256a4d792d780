"""The base of the autoencoders of vectors: how they are fitted and what a fit leaves."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from .._core.compat import Interval, RealNotInt, Self, StrOptions, available_if, fit_context
from .._core.constraints import ImageShape, LayerSizes
from .._inputs.arrays import check_fits_dtype, check_rows, check_weights, to_tensor
from .._inputs.images import as_rows
from .._inputs.overlaps import series_of
from .._inputs.sequences import as_series
from .._losses.targets import check_allowed
from .._rows.content import MatrixContent
from .._rows.moments import SCALINGS
from .._rows.selection import Selection
from .._rows.vectors import Rows
from .._training.loop import TrainingState
from .._training.vectors import code_moments
from ..networks import ACTIVATIONS, ARCHITECTURES, AutoencoderModule
from .base import NeuralEstimator
from .fitting import TrainingInput, can_partial_fit, fit
from .vector_codes import VectorCodes
from .vector_plan import VectorPlan


class VectorEstimator(VectorCodes, NeuralEstimator):
    """Autoencoders of vectors; a subclass adds its parameters."""

    module_: AutoencoderModule
    n_components_: int
    linear_path_: bool
    scaling_: str | None
    explained_variance_ratio_: np.ndarray | None
    code_mean_: np.ndarray
    code_covariance_: np.ndarray

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
    _architecture: tuple[str, ...] = (
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

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | float | None = None,
        *,
        X_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Learn codes of the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to encode and to reconstruct. Tables of pandas, polars and pyarrow keep the
            names of their columns. With ``architecture="convolutional"`` also images of shape
            (n_samples, height, width) or (n_samples, height, width, channels), which come back in
            that shape.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), scalar or None
            A row of weight k counts as k rows, one of weight 0 is not there.
        X_val : array-like of shape (n_val, n_features) or None
            Rows for early stopping, where a random share of X would not do: rows of later
            times, say, or of other groups. In a `Pipeline` the steps before do not touch it
            unless told to: ``Pipeline(steps, transform_input=["X_val"])``, with metadata routing
            and ``set_fit_request(X_val=True)``.
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
        TypeError
            If X is of a kind that needs a conversion only you can choose: dates, say.
        MemoryError
            If the network cannot fit into memory.
        """
        held_out = {"X": X_val, "sample_weight": sample_weight_val}
        return fit(self, {"X": X, "sample_weight": sample_weight}, held_out)

    @available_if(can_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | float | None = None
    ) -> Self:
        """One more epoch, over the rows of X, at a constant learning rate.

        The first call fixes the scaling, the start at PCA and what "auto" comes down to, so give
        it rows that are like all; later ones too should be mixed. Weights are the last ones: what
        `fit` promises about PCA does not hold here.

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
        return fit(self, {"X": X, "sample_weight": sample_weight}, incremental=True)

    def _read(  # type: ignore[override]
        self,
        plan: VectorPlan,
        form: tuple[int, ...] | None,
        *,
        suffix: str = "",
        X: Any = None,
        sample_weight: ArrayLike | float | None = None,
    ) -> TrainingInput:
        shape = None
        if self.architecture == "convolutional":
            expected = self.image_shape if form is None or len(form) == 1 else form
            X, shape = as_rows(X, f"X{suffix}", expected)
        X = check_rows(self, X, reset=form is None, name=f"X{suffix}")
        weight = check_weights(sample_weight, X)
        check_allowed(self.loss, X, f"X{suffix}")
        if self.dtype == "float32":
            check_fits_dtype(X, torch.float32)

        def rows(
            selections: list[Selection], device: torch.device, dtype: torch.dtype
        ) -> list[Any]:
            tensor = to_tensor(X, device)
            return [Rows.of(tensor, selection, dtype) for selection in selections]

        return TrainingInput(
            X=X,
            y=X,  # what an autoencoder is to predict
            metadata=None if weight is None else {"sample_weight": weight},
            form=(shape or (X.shape[1],)) if form is None else form,
            dtype=X.dtype,
            numbers=lambda: {"X": X},
            content=MatrixContent(X),
            weight=weight,
            series=lambda: series_of(as_series(X)),
            rows=rows,
        )

    def _attributes(
        self, plan: VectorPlan, form: tuple[int, ...], objective: Any, state: TrainingState
    ) -> dict[str, Any]:
        network, principal = objective.network, objective.principal
        common = self._training_attributes(form, objective, state)
        code_mean, code_covariance = code_moments(common["module_"], objective.rows)
        ratios = getattr(self, "explained_variance_ratio_", None) if state.resumed else None
        if principal is not None:
            ratios = principal.ratios(network.n_components).cpu().numpy()
        corrupter = objective.goal.corrupter
        limits = None
        if corrupter is not None and corrupter.limits is not None:
            limits = tuple(end.cpu().numpy() for end in corrupter.limits)
        return {
            **common,
            "n_components_": network.n_components,
            "n_outputs_": network.n_features,
            "linear_path_": network.linear_path,
            "scaling_": plan.scaling,
            "explained_variance_ratio_": ratios,
            "code_mean_": code_mean,
            "code_covariance_": code_covariance,
            "_fitted": replace(common["_fitted"], limits=limits, alpha=objective.alpha),
        }
