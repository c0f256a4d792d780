"""AutoencoderTransformer: parameters to objects, arrays to tensors, tensors to arrays."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.metaestimators import available_if

from ._compat import Interval, RealNotInt, StrOptions, fit_context
from ._design import Design, check_combinations, design, largest_network, resolve_scaling
from ._device import threads_for
from ._estimator import NeuralEstimator, fitting
from ._losses import LOSSES
from ._objectives import DenseObjective
from ._reconstruction import ReconstructionMixin, code_moments
from ._rows import make_rows
from ._validation import (
    LayerSizes,
    check_fits_dtype,
    check_memory,
    check_rows,
    check_unit_interval,
    check_validation_arguments,
    check_weights,
    to_tensor,
)
from .networks import ACTIVATIONS


class AutoencoderTransformer(
    ClassNamePrefixFeaturesOutMixin, ReconstructionMixin, NeuralEstimator
):
    r"""Dimensionality reduction by an autoencoder that starts at PCA.

    An encoder maps a row x to a code h of `n_components` numbers, a decoder maps the code back,
    and both learn to make the reconstruction x' meet x:

    .. math:: h = f_{enc}(W_{enc} x + b_{enc}) \qquad x' = f_{dec}(W_{dec} h + b_{dec})
        \qquad L(x, x') = \tfrac12 \lVert x - x' \rVert^2

    with hidden layers in between (`hidden_layer_sizes`). By default an affine map stands beside
    either network (`linear_path`); it starts at the principal components and the networks start
    at zero, so that training begins as `PCA` and only gets better.

    Parameters
    ----------
    n_components : int or float, default=2
        Size of the code. A float in (0, 1) stands for the smallest number of principal
        components that explain more than that share of the variance. More components than
        features are accepted: the ones beyond start at random and unused.
    hidden_layer_sizes : tuple of int or int, default=(128,)
        Widths of the encoder's hidden layers; the decoder mirrors them. ``()`` leaves a single
        layer on each side.
    activation : str, default="relu"
        Activation of the hidden layers:

        - "identity": z
        - "logistic": 1 / (1 + exp(-z))
        - "tanh": the hyperbolic tangent
        - "relu": max(0, z)
        - "leaky_relu": z, or 0.01 z below zero
        - "elu": z, or exp(z) - 1 below zero
        - "softplus": log(1 + exp(z))
        - "gelu": z times the normal distribution function of z
        - "silu": z times the logistic function of z
    code_activation : str, default="identity"
        Activation f_enc of the code, one of the above.
    output_activation : str, default="auto"
        Activation f_dec of the output, one of the above. "auto" is the inverse link of `loss`:
        "logistic" for "binary_cross_entropy", else "identity".
    dropout : float, default=0.0
        Probability, in [0, 1), of dropping a hidden unit while training.
    linear_path : bool or "auto", default="auto"
        Whether encoder and decoder each add an affine map beside the network, before their
        activation. "auto" is True if nothing bends the code or the output: `code_activation` is
        "identity" and `output_activation` is "auto" or what that stands for. False is the
        classic network.
    scaling : {"auto", "global", "standard"} or None, default="auto"
        - "global": subtract each feature's mean and divide all by one number, which keeps
          relative variances, and so PCA
        - "standard": divide each feature by its own standard deviation
        - None: leave X as it is
        - "auto": None for "binary_cross_entropy", else "global"

        Undone by `inverse_transform`; codes and `loss_` are in scaled units.
    loss : str, default="squared_error"
        - "squared_error": half the squared difference
        - "absolute_error": the absolute difference, for outliers
        - "huber": squared below one scaled unit, absolute above
        - "binary_cross_entropy": for X in [0, 1]

        Summed over features, averaged over rows.
    solver : {"adam", "sgd", "lbfgs"}, default="adam"
        - "adam": Kingma & Ba (2015) [1]_
        - "sgd": stochastic gradient descent with `momentum`
        - "lbfgs": L-BFGS with a line search, on all rows at once; for small data
    learning_rate : float, default=1e-3
        Step size of "adam" and "sgd".
    schedule : {"cosine", "constant"}, default="cosine"
        How the step size goes over `max_iter` epochs: to zero along half a cosine, or not at all.
    momentum : float, default=0.9
        Of "sgd".
    alpha : float, default=0.01
        Strength of the L2 penalty on the weights, divided by the sum of the weights of a batch's
        rows, as in `MLPRegressor`. It spares biases and the linear path.
    batch_size : int or "auto", default="auto"
        Rows a step; "auto" is ``min(200, n_samples)``. Of no meaning to "lbfgs".
    max_iter : int, default=200
        Epochs. A cosine schedule without early stopping runs them all.
    tol : float, default=1e-4
        Improvement of the loss, relative to it, that counts as one. 0 never stops early.
    n_iter_no_change : int, default=10
        Epochs without such an improvement that end a constant schedule, "lbfgs" and early
        stopping.
    early_stopping : bool, default=False
        Set rows aside, stop when they are reconstructed no better, keep the best weights.
    validation_fraction : float, default=0.1
        Share of the rows, by weight, to set aside. Rows are chosen by their content, so that
        equal rows stay on one side.
    shuffle : bool, default=True
        Draw new batches every epoch.
    warm_start : bool, default=False
        Continue from the last fit's weights and scaling.
    random_state : int, RandomState instance or None, default=None
        Start and batches. The same int gives the same bits on the same device.
    device : str or torch.device, default="cpu"
        "auto" is CUDA where there is one. Any name torch knows.
    dtype : {"float32", "float64"} or None, default=None
        What to compute in; None is X's own type. Answers are in X's type.
    verbose : bool or int, default=False
        Print the loss after each epoch.

    Attributes
    ----------
    module_ : torch.nn.Module
        The fitted network, in eval mode, from X's units to X's units; ``encode`` and ``decode``
        are its halves.
    n_components_ : int
        Size of the code.
    linear_path_, scaling_ : bool, str or None
        What "auto" came down to.
    explained_variance_ratio_ : ndarray of shape (n_components_,) or None
        Share of the (scaled) variance along each principal component; None where nothing needed
        them.
    code_mean_, code_covariance_ : ndarray of shape (n_components_,) or its square
        Moments of the codes of the training rows (of 2048 of them, if there are more).
    n_iter_ : int
        Epochs run.
    loss_, best_loss_ : float
        Last and lowest training loss, penalty included; the second is None with early stopping.
    loss_curve_ : list of float
        Training loss of each epoch.
    validation_scores_ : list of float or None
        Minus the validation loss after each epoch of early stopping.
    best_validation_score_ : float or None
        The best of them, or the score of the start, if no epoch beat that.
    t_ : int
        Rows seen.
    n_features_in_, n_outputs_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X had names that are all strings.
    device_ : torch.device
        Where the module is.

    See Also
    --------
    sklearn.decomposition.PCA : The linear optimum, from which this estimator starts.

    Notes
    -----
    With "squared_error", "global" scaling or none, and without early stopping, the error on the
    training rows is never above that of ``PCA(n_components)``: training starts there, and the
    best weights it passes are kept.

    A fit of at most 10 000 rows, or of one batch, depends on the weighted set of its rows alone:
    weight k is the row k times, weight 0 the row removed, and with one batch the order of the
    rows does not matter.

    References
    ----------
    .. [1] D. P. Kingma, J. Ba: Adam: a method for stochastic optimization. ICLR 2015.
    .. [2] G. E. Hinton, R. R. Salakhutdinov: Reducing the dimensionality of data with neural
       networks. Science 313, 2006.
    .. [3] H. Bourlard, Y. Kamp: Auto-association by multilayer perceptrons and singular value
       decomposition. Biological Cybernetics 59, 1988.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skaernn import AutoencoderTransformer
    >>> X = load_iris().data
    >>> autoencoder = AutoencoderTransformer(n_components=1, random_state=0).fit(X)
    >>> autoencoder.transform(X).shape
    (150, 1)
    >>> pca = PCA(n_components=1).fit(X)
    >>> pca_error = ((X - pca.inverse_transform(pca.transform(X))) ** 2).mean()
    >>> bool(autoencoder.reconstruction_error(X).mean() < 0.8 * pca_error)
    True
    """

    _parameter_constraints: dict = {
        **NeuralEstimator._parameter_constraints,
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
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

    @available_if(NeuralEstimator._can_partial_fit)
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
