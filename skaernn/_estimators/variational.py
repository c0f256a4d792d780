"""VariationalAutoencoderTransformer: its parameters and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from .._core.compat import Interval, StrOptions
from .._core.constraints import check_count
from .._core.suggestions import knows_its_parameters
from .._inference.bounds import DRAW_NUMBERS, log_bounds, noise_table, noise_variance
from .._inference.chunks import in_chunks
from .._inputs.memory import check_fits_memory
from .._losses.likelihoods import LIKELIHOODS, Likelihood, Normal
from .._losses.loss import ReconstructionLoss
from .._losses.targets import check_allowed
from .._rows.moments import moments
from .._rows.principal import LEAST_NOISE
from .._rows.vectors import Rows
from .._training.loop import TrainingState
from .._training.solvers import SOLVERS
from ..networks import StandardNormal, VariationalModule
from .vector_base import VectorEstimator
from .vector_plan import VectorPlan

_ACTIVE = 0.01  # variance of a component's mean from which on it tells rows apart


class _VariationalPlan(VectorPlan):
    """Plan of an autoencoder whose loss is a likelihood, and whose codes are drawn."""

    loss: Likelihood
    keyed = True

    def loss_on(self, rows: Rows) -> ReconstructionLoss:
        if not self.loss.has_noise:
            return self.loss
        _, deviation = moments(rows)
        variance = float(deviation.square().mean())
        if variance == 0:
            return Normal(floor=1.0)
        floor, number = LEAST_NOISE * variance, torch.finfo(rows.dtype)
        fits = number.tiny <= floor <= variance * rows.n_features <= number.max
        if not fits and self.scaling is None:
            raise ValueError(
                f"The mean variance of X, {variance:.3g}, is out of the range of "
                f"{str(rows.dtype).removeprefix('torch.')}. Scale X, or leave scaling at 'auto'."
            )
        return Normal(floor=min(max(floor, number.tiny), number.max))


class VariationalAutoencoderTransformer(VectorEstimator):
    r"""Dimensionality reduction by a variational autoencoder that starts at probabilistic PCA.

    The encoder gives a Gaussian over codes, the decoder a distribution over rows, and training
    raises the evidence lower bound on the log-likelihood of the rows [1]_:

    .. math:: \log p(x) \ge \mathrm{E}_{q(h|x)}[\log p(x|h)] - \beta\,
        \mathrm{KL}(q(h|x) \,\|\, N(0, I))

    where β is `kl_weight`, 1 for the bound itself. Codes then fill a standard Gaussian, from
    which `sample` draws. For "squared_error" all numbers of a row have normal noise of one
    variance, which is not a parameter to tune but what fits best, found in closed form [2]_.

    By default training starts at probabilistic PCA [3]_, whose bound is its likelihood.

    Parameters
    ----------
    n_components : int or float, default=2
        Size of the code. A float in (0, 1) stands for the smallest number of principal
        components that explain more than that share of the variance.
    hidden_layer_sizes : tuple of int or int, default=(128,)
        Widths of the encoder's hidden layers; the decoder mirrors them. ``()``, with a linear
        path, is probabilistic PCA. Numbers of channels, if `architecture` is "convolutional".
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
    output_activation : str, default="auto"
        Activation f_dec of the output, one of the above. "auto" is the inverse link of `loss`:
        "logistic" for "binary_cross_entropy", the exponential for "poisson", else "identity".
    dropout : float, default=0.0
        Probability, in [0, 1), of dropping a hidden unit while training.
    linear_path : bool or "auto", default="auto"
        Whether encoder and decoder each add an affine map beside the network. "auto" is True if
        `architecture` is "dense" and `output_activation` is "auto" or what that stands for.
        False: from a random start.
    scaling : {"auto", "global", "standard"} or None, default="auto"
        - "global": subtract each feature's mean and divide all by one number, which keeps
          relative variances, and so PCA
        - "standard": divide each feature by its own standard deviation; for columns in
          different units, of which the largest would otherwise count alone
        - None: leave X as it is
        - "auto": None for "binary_cross_entropy" and "poisson", else "global"

        Undone by `inverse_transform`; codes and `loss_` are in scaled units.
    architecture : {"dense", "convolutional"} or callable, default="dense"
        - "dense": layers that read all of a row
        - "convolutional": layers that each halve height and width of an image by a convolution
          of 3 by 3 (stride 2), then one that reads all; `hidden_layer_sizes` are their channels,
          (16, 32) say
        - a callable: ``architecture(n_features, n_components)`` returns your own encoder and
          decoder, two `torch.nn.Module`: from (n, n_features) to (n, 2 * n_components), means and
          then logarithms of variances, and from (n, n_components) to (n, n_features).
          `output_activation` is put behind the second; `hidden_layer_sizes`, `activation` and
          `dropout` are not read.
    image_shape : tuple of int or None, default=None
        (height, width) or (height, width, channels) of the images that rows of X are, pixel by
        pixel as numpy flattens them; read by "convolutional". None: images, if X is an array of
        three or four dimensions, say it themselves; a row is one line of pixels.
    loss : str, default="squared_error"
        Minus the log-likelihood of a row given its code:

        - "squared_error": normal noise, of the variance that fits best
        - "binary_cross_entropy": for X in [0, 1], of whose entries the output is the probability
        - "poisson": for counts, of which the output is the mean

        Summed over features, averaged over rows.
    kl_weight : float, default=1.0
        Weight β of the divergence. More makes components independent of each other and unused,
        less makes reconstructions better and samples worse [4]_.
    solver : {"adam", "sgd"}, default="adam"
        - "adam": Kingma & Ba (2015)
        - "sgd": stochastic gradient descent with `momentum`

        ("lbfgs" is refused: codes are drawn anew in each epoch.)
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
        Rows a step; "auto" is ``min(200, n_samples)``.
    max_iter : int, default=200
        Epochs. A cosine schedule without early stopping runs them all.
    tol : float, default=1e-4
        Improvement of the loss, relative to it, that counts as one: for a constant schedule
        and early stopping; a cosine schedule alone does not look at it. 0 never stops.
    n_iter_no_change : int, default=10
        Epochs without such an improvement that end a constant schedule and early stopping.
    early_stopping : bool, default=False
        Set rows aside, stop when their bound is no better, keep the best weights.
    validation_fraction : float, default=0.1
        Share of the rows, by weight, to set aside. Rows are chosen by their content, so that
        equal rows stay on one side. Of windows of a series that overlap, in the
        order of time, the last ones are set aside.
    shuffle : bool, default=True
        Draw new batches every epoch.
    warm_start : bool, default=False
        Continue from the last fit's weights and scaling.
    random_state : int, RandomState instance or None, default=None
        Start, batches and the noise of codes. The same int gives the same bits on the same device.
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
        Share of the (scaled) variance along each of PCA's components, from which training began;
        None where nothing needed them. What the autoencoder explains is its `score`.
    noise_variance_ : float, ndarray of shape (n_features,) or None
        Variance of the noise in X's units, of each feature if `scaling` is "standard"; None for
        other losses than "squared_error".
    n_active_components_ : int
        Components whose posterior means have a variance above 0.01 over the training rows; the
        others say nothing about a row [5]_.
    code_mean_, code_covariance_ : ndarray of shape (n_components_,) or its square
        Moments of the mean codes of the training rows (of 1024 of them, if there are more).
    n_iter_ : int
        Epochs run.
    loss_, best_loss_ : float
        Last and lowest entry of `loss_curve_`; the second is None with early stopping.
    loss_curve_ : list of float
        Training loss of each epoch, in scaled units, penalty included, while it ran.
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
    AutoencoderTransformer : Codes that are points.
    sklearn.decomposition.PCA : Its `score` is the bound of the linear model.

    Notes
    -----
    `transform` gives posterior means, `inverse_transform` the mean row of a code. `loss_` is minus
    the bound in scaled units, with β and L2 penalty; for "poisson" up to what depends on X alone.

    A constant feature, or a row met exactly, would have infinite density: the variance of the
    noise stays above a millionth of the mean variance.

    References
    ----------
    .. [1] D. P. Kingma, M. Welling: Auto-encoding variational Bayes. ICLR 2014.
    .. [2] O. Rybkin, K. Daniilidis, S. Levine: Simple and effective VAE training with calibrated
       decoders. ICML 2021.
    .. [3] M. E. Tipping, C. M. Bishop: Probabilistic principal component analysis. Journal of the
       Royal Statistical Society B 61, 1999.
    .. [4] I. Higgins et al.: beta-VAE: learning basic visual concepts with a constrained
       variational framework. ICLR 2017.
    .. [5] Y. Burda, R. Grosse, R. Salakhutdinov: Importance weighted autoencoders. ICLR 2016.

    Examples
    --------
    Probabilistic PCA, and better:

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skaernn import VariationalAutoencoderTransformer
    >>> X = load_iris().data
    >>> linear = VariationalAutoencoderTransformer(1, (), random_state=0).fit(X)
    >>> bool(abs(linear.score_samples(X).mean() - PCA(1).fit(X).score(X)) < 0.02)
    True
    >>> vae = VariationalAutoencoderTransformer(1, random_state=0).fit(X)
    >>> bool(vae.score_samples(X).mean() > linear.score_samples(X).mean() + 0.2)
    True

    New rows:

    >>> vae.sample(3, random_state=0).shape
    (3, 4)
    """

    __module__ = "skaernn"  # public names: pickles outlive a move of this file

    module_: VariationalModule
    noise_variance_: float | np.ndarray | None
    n_active_components_: int

    _parameter_constraints: dict = {
        **VectorEstimator._parameter_constraints,
        "loss": [StrOptions(set(LIKELIHOODS))],
        "kl_weight": [Interval(Real, 0, None, closed="left")],
    }

    @knows_its_parameters
    def __init__(
        self,
        n_components: int | float = 2,
        hidden_layer_sizes: int | Sequence[int] = (128,),
        *,
        activation: str = "relu",
        output_activation: str = "auto",
        dropout: float = 0.0,
        linear_path: bool | str = "auto",
        scaling: str | None = "auto",
        architecture: str | Callable[[int, int], tuple[nn.Module, nn.Module]] = "dense",
        image_shape: Sequence[int] | None = None,
        loss: str = "squared_error",
        kl_weight: float = 1.0,
        solver: str = "adam",
        learning_rate: float = 1e-3,
        schedule: str = "cosine",
        momentum: float = 0.9,
        alpha: float = 0.01,
        batch_size: int | str = "auto",
        max_iter: int = 200,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        shuffle: bool = True,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device = "cpu",
        dtype: str | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.output_activation = output_activation
        self.dropout = dropout
        self.linear_path = linear_path
        self.scaling = scaling
        self.architecture = architecture
        self.image_shape = image_shape
        self.loss = loss
        self.kl_weight = kl_weight
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

    def _plan(self) -> VectorPlan:
        if SOLVERS[self.solver].full_batch:
            raise ValueError(
                f"solver={self.solver!r} does not support variational autoencoders, which draw "
                "codes: its line search needs the same loss throughout. Use 'adam' or 'sgd'."
            )
        return _VariationalPlan.of(
            vars(self),
            LIKELIHOODS[self.loss],
            variational=True,
            penalty=StandardNormal(),
            strength=float(self.kl_weight),
        )

    def _attributes(
        self, plan: VectorPlan, form: tuple[int, ...], objective: Any, state: TrainingState
    ) -> dict[str, Any]:
        attributes = super()._attributes(plan, form, objective, state)
        module, loss, noise, scaled = attributes["module_"], objective.goal.loss, None, None
        if loss.has_noise:
            table = noise_table(objective.network.n_components, seed=state.seed)
            scaled = max(loss.floor, noise_variance(module, objective.rows, table))
            noise = scaled
            if module.scale is not None:  # by torch, which says nothing of what overflows
                noise = (scaled * module.scale.cpu().double().square()).numpy()
            noise = float(noise) if np.ndim(noise) == 0 else noise
        variances = np.diag(attributes["code_covariance_"])
        return {
            **attributes,
            "noise_variance_": noise,
            "n_active_components_": int((variances > _ACTIVE).sum()),
            "_fitted": replace(attributes["_fitted"], noise=scaled),
        }

    def _spread(self, normal: np.ndarray) -> np.ndarray:
        return normal.astype(self.code_mean_.dtype)  # codes are distributed as the prior is

    def score_samples(self, X: ArrayLike, n_importance_samples: int | None = None) -> np.ndarray:
        """Lower bound on the log-likelihood of each row, so that low means anomalous.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_importance_samples : int or None, default=None
            None: the evidence lower bound (of weight 1, whatever `kl_weight`). A number: the
            importance-weighted bound with as many codes a row, which comes the closer to the
            likelihood, the more there are [5]_.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            In nats, for X in its own units. The noise that expectations are taken over is the
            same for every row and in every call.

        Raises
        ------
        MemoryError
            If memory cannot hold that many codes of a row; before any is drawn.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skaernn import VariationalAutoencoderTransformer
        >>> X = load_iris().data
        >>> vae = VariationalAutoencoderTransformer(1, max_iter=50, random_state=0).fit(X)
        >>> bool(vae.score_samples(X, 100).mean() > vae.score_samples(X).mean())
        True
        >>> bool(vae.score_samples(X + 3).max() < vae.score_samples(X).min())
        True
        """
        self._check_is_fitted()
        n_draws = n_importance_samples
        if n_draws is not None:
            n_draws = check_count(n_draws, "n_importance_samples")
            n_numbers = n_draws * (self.n_components_ + DRAW_NUMBERS)
            check_fits_memory("n_importance_samples", f"{n_draws} codes a row", n_numbers)
        X = self._rows_to_run(X)
        fitted, module = self._fitted, self.module_
        check_allowed(fitted.parameters["loss"], X, "X")
        table = noise_table(self.n_components_, n_draws, fitted.seed)
        likelihood, variance = LIKELIHOODS[fitted.parameters["loss"]], fitted.noise
        if variance is not None:
            variance = torch.tensor(variance, dtype=module.dtype, device=self.device_)

        def bounds(rows: torch.Tensor) -> torch.Tensor:
            return log_bounds(
                module, likelihood, rows, variance, table, importance=n_draws is not None
            )

        return in_chunks(bounds, X, None, self.device_)
