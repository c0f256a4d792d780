"""What a fitted autoencoder does with rows and codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags

from .._core.device import precise
from .._core.interrupts import check_interrupts, interrupts_deferred
from .._inference.chunks import in_chunks
from .._inference.rows import through
from .._inference.scores import explained_variance
from .._inputs.arrays import check_codes, check_rows, check_weights, to_tensor
from .._inputs.images import as_rows
from .._losses.loss import in_units
from .._losses.reconstruction import LOSSES
from .._losses.targets import check_allowed
from .._rows.vectors import make_rows
from .codes import code_tags, spread_like, standard_normal


class VectorCodes(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Methods of a fitted autoencoder: there, back, how well, and new rows."""

    def __sklearn_tags__(self) -> Tags:
        return code_tags(super().__sklearn_tags__())

    @property
    def _n_features_out(self) -> int:
        """For `get_feature_names_out`."""
        return self.n_components_

    if TYPE_CHECKING:  # scikit-learn's own says nothing of types

        def fit_transform(
            self, X: ArrayLike, y: object = None, **fit_params: Any
        ) -> np.ndarray: ...

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Codes of the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            In X's dtype. A row's code does not depend on the rows beside it.
        """
        self._check_is_fitted()
        X = self._rows_to_run(X)
        return through(self.module_, "encoder", X, self.n_components_, self.device_)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Rows that codes stand for.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components_)
            Codes, from `transform` or from anywhere between.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features_in_)
            In the units of the X that was fitted, within `output_range_`, if there is one, and,
            if X was images, in their shape.
        """
        self._check_is_fitted()
        codes = check_codes(self, X)
        return self._decoded(codes)

    def reconstruction_error(self, X: ArrayLike, *, raw_units: bool = False) -> np.ndarray:
        """How far each row is from its reconstruction, as the loss weighs it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        raw_units : bool, default=False
            Whether to give X's units with ``scaling="standard"`` too, so that the features with
            the largest numbers decide.

        Returns
        -------
        errors : ndarray of shape (n_samples,)
            Mean over the features of the squared difference (of the absolute one, of Huber's, of
            the cross-entropy or of the Poisson deviance, if that is `loss`). In X's units, or,
            with ``scaling="standard"``, in standard deviations of each feature in `fit`; squared
            for squared error and Huber's, whose threshold is one scaled unit; in nats for the
            cross-entropy.
        """
        self._check_is_fitted()
        X = self._rows_to_run(X)
        name, module = self._fitted.parameters["loss"], self.module_
        check_allowed(name, X, "X")
        loss, units = LOSSES[name], 1.0
        if module.scale is not None and (raw_units or module.scale.dim() == 0):
            # in a type that does not overflow
            units = module.scale.to(precise(self.device_)) ** loss.unit_power

        def errors(rows: torch.Tensor) -> torch.Tensor:
            scaled = module.to_scaled(rows)
            output = module.within(module.decoder(module.code(scaled)))
            found = loss.errors(output, scaled)
            return in_units(found, units).mean(1)

        return in_chunks(errors, X, None, self.device_)

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Minus the reconstruction error of each row, so that low means anomalous.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)

        Examples
        --------
        Irises of the species setosa, told from those that were seen:

        >>> from sklearn.datasets import load_iris
        >>> from sklearn.metrics import roc_auc_score
        >>> from skaernn import AutoencoderTransformer
        >>> X, y = load_iris(return_X_y=True)
        >>> detector = AutoencoderTransformer(1, max_iter=50, random_state=0).fit(X[y > 0])
        >>> bool(roc_auc_score(y > 0, detector.score_samples(X)) > 0.9)
        True
        """
        return -self.reconstruction_error(X)

    def score(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | float | None = None
    ) -> float:
        """Share of the variance of X that the reconstruction explains.

        One minus the summed squared error over the summed squared deviation from the mean: R^2
        with `multioutput="variance_weighted"`. Whatever `loss` is. With ``scaling="standard"``
        each feature counts in its standard deviation in `fit`, as it does in the loss.

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
        self._check_is_fitted()
        with interrupts_deferred():  # once, and not by each part
            X = self._rows_to_run(X)
            weight = check_weights(sample_weight, X)
            [rows] = make_rows(X, to_tensor(X, self.device_), weight, precise(self.device_))
            check_interrupts()
            return explained_variance(self.module_, rows)

    def sample(
        self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> np.ndarray:
        """New rows: decoded from codes drawn from a Gaussian.

        It is fitted to the training codes; for a variational autoencoder it is the prior, the
        standard Gaussian, and a row is the mean that its code stands for. What bounds rows is an
        output activation, such as that of "binary_cross_entropy", and `output_range_`, where there
        is one.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None draws from numpy's global generator.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_in_)

        Raises
        ------
        MemoryError
            If memory cannot hold that many rows; before any is drawn.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skaernn import AutoencoderTransformer
        >>> X = load_iris().data
        >>> autoencoder = AutoencoderTransformer(max_iter=20, random_state=0).fit(X)
        >>> autoencoder.sample(3, random_state=0).shape
        (3, 4)
        """
        self._check_is_fitted()
        normal = standard_normal(n_samples, self.n_components_, random_state, self.n_features_in_)
        codes = self._spread(normal)
        return self._decoded(codes)

    def _rows_to_run(self, X: ArrayLike) -> np.ndarray:
        """Check X as a fitted network gets it; images become rows."""
        if self._fitted.parameters["architecture"] == "convolutional":
            X, _ = as_rows(X, "X", self._fitted.network.image_shape)
        return check_rows(self, X, reset=False)

    def _decoded(self, codes: np.ndarray) -> np.ndarray:
        """Rows (n, F) of codes, or images, if such were fitted."""
        rows = through(self.module_, "decoder", codes, self.n_features_in_, self.device_)
        if self.module_.ends is not None:  # of which compiled kernels know nothing
            low, high = self.module_.ends.cpu().numpy().astype(rows.dtype)
            np.clip(rows, low, high, out=rows)
        return rows.reshape(len(rows), *self._form)

    def _spread(self, normal: np.ndarray) -> np.ndarray:
        """Codes (n, C) as the training codes are distributed, of standard normal numbers."""
        return spread_like(self.code_mean_, self.code_covariance_, normal)
