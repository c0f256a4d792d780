"""AutoencoderTransformer: parameters to objects, arrays to tensors, tensors to arrays."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._chunks import in_chunks
from ._compat import Interval, StrOptions, fit_context
from ._device import threads_for
from ._estimator import NeuralEstimator, fitting
from ._losses import LOSSES
from ._objectives import DenseObjective
from ._principal import global_scale, moments, precise, principal_components
from ._reconstruction import code_moments, explained_variance
from ._rows import make_rows
from ._validation import (
    LayerSizes,
    check_codes,
    check_fits_dtype,
    check_memory,
    check_rows,
    check_unit_interval,
    check_weights,
    to_tensor,
)
from .networks import ACTIVATIONS, DenseAutoencoder


class AutoencoderTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, NeuralEstimator):
    """Placeholder."""

    _parameter_constraints: dict = {
        **NeuralEstimator._parameter_constraints,
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
        ],
        "hidden_layer_sizes": [LayerSizes()],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "code_activation": [StrOptions(set(ACTIVATIONS))],
        "output_activation": [StrOptions({"auto", *ACTIVATIONS})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "linear_path": [StrOptions({"auto"}), "boolean"],
        "scaling": [StrOptions({"auto", "global", "standard"}), None],
        "loss": [StrOptions(set(LOSSES))],
    }
    _architecture = (
        "n_components",
        "hidden_layer_sizes",
        "activation",
        "code_activation",
        "output_activation",
        "linear_path",
        "scaling",
        "loss",
        "dtype",
    )

    def __init__(
        self,
        n_components=2,
        hidden_layer_sizes=(128,),
        *,
        activation="relu",
        code_activation="identity",
        output_activation="auto",
        dropout=0.0,
        linear_path="auto",
        scaling="auto",
        loss="squared_error",
        solver="adam",
        learning_rate=1e-3,
        schedule="cosine",
        momentum=0.9,
        alpha=0.01,
        batch_size="auto",
        max_iter=200,
        tol=1e-4,
        n_iter_no_change=10,
        early_stopping=False,
        validation_fraction=0.1,
        shuffle=True,
        warm_start=False,
        random_state=None,
        device="cpu",
        dtype=None,
        verbose=False,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.code_activation = code_activation
        self.output_activation = output_activation
        self.dropout = dropout
        self.linear_path = linear_path
        self.scaling = scaling
        self.loss = loss
        self.solver = solver
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.momentum = momentum
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.dtype = dtype
        self.verbose = verbose

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
        self : AutoencoderTransformer

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

    @available_if(lambda self: self._can_partial_fit())
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """One more epoch, over the rows of X, at a constant learning rate.

        The first call fixes the scaling and the start at PCA, so give it rows that are like all.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), scalar or None

        Returns
        -------
        self : AutoencoderTransformer
        """
        with fitting(self):
            self._fit(X, sample_weight, incremental=True)
        return self

    def _fit(self, X, sample_weight, X_val=None, sample_weight_val=None, incremental=False):
        resume = (incremental or self.warm_start) and hasattr(self, "module_")
        self._check_parameters(resume)
        X = check_rows(self, X, reset=not resume)
        weight = check_weights(sample_weight, X)
        self._check_values(X)
        device, dtype = self._device_and_dtype(X)
        check_memory(self._largest_network(X.shape[1]).layout.size, dtype, self._sizes(X.shape[1]))
        seed = self._seed if resume and incremental else self._draw_seed()
        rows, held_out = make_rows(
            X,
            to_tensor(X, device),
            weight,
            dtype,
            keyed=self.dropout > 0,
            batch_size=self._most_batch_rows(),
            shuffle=self.shuffle,
            validation=self._split(X_val, sample_weight_val, seed),
        )
        if X_val is not None:
            held_out = self._validation_rows(X_val, sample_weight_val, device, dtype)
        batch_rows = min(self._most_batch_rows(), len(rows))
        product = 2 * batch_rows * self._largest_network(X.shape[1]).largest_product
        with threads_for(product, device):
            network, rows, principal = self._design(rows, resume)
            options = {
                "alpha": self.alpha,
                "batch_size": batch_rows,
                "shuffle": self.shuffle,
                "seed": seed,
                "principal": principal,
            }
            loss = LOSSES[self.loss]
            objective = DenseObjective(network, loss, rows, **options)
            validation = None
            if held_out is not None:
                held_out = held_out.scaled(rows.mean, rows.scale)
                validation = DenseObjective(network, loss, held_out)
            state = self._state(objective, seed, resume=resume, incremental=incremental)
            if validation is not None and (resume or network.linear_path):
                state.best_loss = validation.evaluate(state.theta)
            self._course(
                objective,
                validation,
                state,
                keep_best=network.linear_path and not incremental,
                start_loss=None if resume else objective.start_loss,
                incremental=incremental,
                X=X,
                metadata=None if weight is None else {"sample_weight": weight},
            )

    def _check_parameters(self, resume: bool) -> None:
        """Refuse what is valid one by one and senseless together."""
        self._check_solver()
        loss = LOSSES[self.loss]
        if loss.fixed_output and self.output_activation not in ("auto", loss.output_activation):
            raise ValueError(
                f"loss={self.loss!r} needs output_activation={loss.output_activation!r} (or "
                f"'auto'), got {self.output_activation!r}."
            )
        if loss.fixed_output and self.scaling not in ("auto", None):
            raise ValueError(
                f"loss={self.loss!r} needs scaling=None (or 'auto'), got {self.scaling!r}: scaled "
                "values would leave [0, 1]."
            )
        if resume:
            self._check_continuable()

    def _check_values(self, X: np.ndarray) -> None:
        if LOSSES[self.loss].fixed_output:
            check_unit_interval(X, self.loss)
        if self.dtype == "float32":
            check_fits_dtype(X, torch.float32)

    def _split(self, X_val, sample_weight_val, seed: int) -> tuple[float, int] | None:
        """What share of the rows to hold out for early stopping, and by which seed."""
        if X_val is not None and not self.early_stopping:
            raise ValueError(
                "X_val was passed to fit, but early_stopping is False, so that nothing would be "
                "done with it. Set early_stopping=True, or leave X_val out."
            )
        if sample_weight_val is not None and X_val is None:
            raise ValueError("sample_weight_val was passed to fit without X_val.")
        return (self.validation_fraction, seed) if self.early_stopping and X_val is None else None

    def _validation_rows(self, X_val, sample_weight_val, device, dtype):
        X_val = check_rows(self, X_val, reset=False)
        self._check_values(X_val)
        weight = check_weights(sample_weight_val, X_val)
        return make_rows(X_val, to_tensor(X_val, device), weight, dtype)[0]

    def _hidden(self) -> tuple[int, ...]:
        sizes = self.hidden_layer_sizes
        return (int(sizes),) if isinstance(sizes, Integral) else tuple(int(n) for n in sizes)

    def _sizes(self, n_features: int) -> tuple[int, ...]:
        code = self.n_components if isinstance(self.n_components, Integral) else n_features
        return (n_features, *self._hidden(), int(code))

    def _largest_network(self, n_features: int) -> DenseAutoencoder:
        """The network at most, before a share of variance has become a number of components."""
        *_, n_components = self._sizes(n_features)
        return DenseAutoencoder(n_features, n_components, self._hidden(), linear_path=True)

    def _scaling(self) -> str | None:
        """What `scaling` comes down to."""
        return LOSSES[self.loss].default_scaling if self.scaling == "auto" else self.scaling

    def _design(self, rows, resume: bool):
        """The network, its rows scaled, and the principal components if they are wanted."""
        if resume:
            module = self.module_
            return (
                replace(self._network, dropout=self.dropout),
                rows.scaled(module.mean, module.scale),
                None,
            )
        loss = LOSSES[self.loss]
        output = loss.output_activation
        if self.output_activation != "auto":
            output = self.output_activation
        plain = self.code_activation == "identity" and output == loss.output_activation
        linear_path = plain if self.linear_path == "auto" else bool(self.linear_path)
        scaling = self._scaling()
        if scaling is not None:
            mean, deviation = moments(rows)
            scale = torch.where(deviation > 0, deviation, 1.0)
            if scaling == "global":
                scale = global_scale(deviation)
            wide = torch.promote_types(rows.X.dtype, rows.dtype)
            rows = rows.scaled(mean.to(wide), scale.to(wide))
        n_components, principal = self.n_components, None
        if linear_path or not isinstance(n_components, Integral):
            principal = principal_components(rows)
        if not isinstance(n_components, Integral):
            n_components = principal.count_for(n_components)
        network = DenseAutoencoder(
            rows.n_features,
            int(n_components),
            self._hidden(),
            self.activation,
            self.code_activation,
            output,
            linear_path,
            self.dropout,
        )
        return network, rows, principal

    def _attributes(self, objective, state):
        network, rows, principal = objective.network, objective.rows, objective.principal
        module = network.module(state.theta[0], rows.mean, rows.scale)
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
            "scaling_": self._scaling(),
            "explained_variance_ratio_": ratios,
            "code_mean_": code_mean,
            "code_covariance_": code_covariance,
            "_network": network,
        }

    @staticmethod
    def _build_module(network, weights):
        theta = weights["encoder.network.0.weight"].new_zeros(network.layout.size)
        module = network.module(theta, weights.get("mean"), weights.get("scale"))
        module.load_state_dict(weights)
        return module

    @property
    def _n_features_out(self):
        """For `get_feature_names_out`."""
        return self.n_components_

    def transform(self, X):
        """Codes of the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            In X's dtype. A row's code does not depend on the rows beside it.
        """
        check_is_fitted(self)
        X = check_rows(self, X, reset=False)
        return in_chunks(self.module_.encode, X, self.n_components_, self.device_)

    def inverse_transform(self, X):
        """Rows that codes stand for.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components_)
            Codes, from `transform` or from anywhere between.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features_in_)
            In the units of the X that was fitted.
        """
        check_is_fitted(self)
        codes = check_codes(self, X)
        return in_chunks(self.module_.decode, codes, self.n_features_in_, self.device_)

    def reconstruction_error(self, X):
        """How far each row is from its reconstruction.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        errors : ndarray of shape (n_samples,)
            Mean over the features of the squared difference (of the absolute one, of Huber's or
            of the cross-entropy, if that is `loss`). In X's units, squared for squared error and
            Huber's, whose threshold is one scaled unit; in nats for the cross-entropy.
        """
        check_is_fitted(self)
        X = check_rows(self, X, reset=False)
        self._check_values(X)
        module, loss = self.module_, LOSSES[self.loss]
        units = 1.0 if module.scale is None else module.scale**loss.unit_power

        def errors(rows):
            scaled = module.to_scaled(rows)
            return (loss.errors(module.decoder(module.encoder(scaled)), scaled) * units).mean(1)

        return in_chunks(errors, X, None, self.device_)

    def score_samples(self, X):
        """Minus the reconstruction error of each row, so that low means anomalous.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
        """
        return -self.reconstruction_error(X)

    def score(self, X, y=None, sample_weight=None):
        """Share of the variance of X that the reconstruction explains.

        One minus the summed squared error over the summed squared deviation from the mean: R^2
        with `multioutput="variance_weighted"`. Whatever `loss` is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), scalar or None

        Returns
        -------
        score : float
            At most 1. Rows without variance score 1 if they are met exactly, else 0.
        """
        check_is_fitted(self)
        X = check_rows(self, X, reset=False)
        weight = check_weights(sample_weight, X)
        rows, _ = make_rows(X, to_tensor(X, self.device_), weight, precise(self.device_))
        return explained_variance(self.module_, rows)

    def sample(self, n_samples=1, random_state=None):
        """New rows: codes drawn from a Gaussian fitted to the training codes, decoded.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None draws from numpy's global generator.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_in_)
        """
        check_is_fitted(self)
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples must be a positive int, got {n_samples!r}.")
        normal = check_random_state(random_state).standard_normal((n_samples, self.n_components_))
        variances, axes = torch.linalg.eigh(torch.from_numpy(self.code_covariance_).double())
        root = axes * variances.clamp(min=0).sqrt()
        codes = torch.from_numpy(normal) @ root.T + torch.from_numpy(self.code_mean_).double()
        codes = codes.numpy().astype(self.code_mean_.dtype)
        return in_chunks(self.module_.decode, codes, self.n_features_in_, self.device_)
