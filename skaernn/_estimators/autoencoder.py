"""AutoencoderTransformer: its parameters and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import nn

from .._core.compat import Interval, StrOptions
from .._core.constraints import Ends
from .._core.suggestions import knows_its_parameters
from .._losses.reconstruction import LOSSES
from .._training.loop import TrainingState
from ..networks import ACTIVATIONS, CORRUPTIONS, PENALTIES
from .vector_base import VectorEstimator
from .vector_plan import VectorPlan


class AutoencoderTransformer(VectorEstimator):
    r"""Dimensionality reduction by an autoencoder that starts at PCA.

    An encoder maps a row x to a code h of `n_components` numbers, a decoder maps the code back,
    and both learn to make the reconstruction x' meet x:

    .. math:: h = f_{enc}(W_{enc} x + b_{enc}) \qquad x' = f_{dec}(W_{dec} h + b_{dec})
        \qquad L(x, x') = \tfrac12 \lVert x - x' \rVert^2

    with hidden layers in between (`hidden_layer_sizes`) [2]_. By default an affine map stands
    beside either network (`linear_path`); it starts at the principal components, beyond which a
    linear autoencoder cannot get [3]_, and the networks start at zero, so that training begins as
    `PCA` and only gets better.

    To tune first: `n_components`, then `learning_rate` (3e-4 to 1e-2), `max_iter`,
    `hidden_layer_sizes`; `dropout` or `early_stopping` for fewer than a few hundred rows.

    Parameters
    ----------
    n_components : int or float, default=2
        Size of the code. A float in (0, 1) stands for the smallest number of principal
        components that explain more than that share of the variance. More components than
        features are accepted: the ones beyond start at random and unused.
    hidden_layer_sizes : tuple of int or int, default=(128,)
        Widths of the encoder's hidden layers; the decoder mirrors them. ``()`` leaves a single
        layer on each side. Numbers of channels, if `architecture` is "convolutional".
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
        "logistic" for "binary_cross_entropy", the exponential for "poisson", else "identity".
    output_range : {"auto"}, tuple of float or None, default="auto"
        Where reconstructions and samples are cut off, in X's units:

        - "auto": each feature at an end of the values in `fit` that several rows share (three,
          and a hundredth of all): at the 0 and 255 of pixels, the 0 of counts, the last mark of a
          scale, but not at the largest of measurements. Not with "binary_cross_entropy" and
          "poisson", whose output ends by itself
        - (low, high): all features there
        - None: nowhere

        Training does not know of it, and no number of `fit` is met worse for "auto"; an end that
        rows of a later `partial_fit` pass is given up. For X in [0, 1],
        ``loss="binary_cross_entropy"`` gets nearer still.
    dropout : float, default=0.0
        Probability, in [0, 1), of dropping a hidden unit while training.
    linear_path : bool or "auto", default="auto"
        Whether encoder and decoder each add an affine map beside the network, before their
        activation. "auto" is True if `architecture` is "dense", `code_activation` "identity" and
        `output_activation` "auto" or what that stands for. False is the classic network, from a
        random start.
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
          decoder, two `torch.nn.Module` from (n, n_features) to (n, n_components) and back, which
          are trained as the others are. `code_activation` and `output_activation` are put behind
          them; `hidden_layer_sizes`, `activation` and `dropout` are not read. Module-level
          functions can be pickled, lambdas cannot.
    image_shape : tuple of int or None, default=None
        (height, width) or (height, width, channels) of the images that rows of X are, pixel by
        pixel as numpy flattens them; read by "convolutional". None: images, if X is an array of
        three or four dimensions, say it themselves; a row is one line of pixels.
    code_penalty : {"l1", "kl", "contractive"} or None, default=None
        What is added to the loss, `penalty_strength` times:

        - "l1": the sum of a code's absolute values, which makes most of them small [4]_
        - "kl": the Kullback-Leibler divergence of 0.05 from a component's mean activation over a
          batch, summed over components, for ``code_activation="logistic"``: each component is
          for few rows [5]_
        - "contractive": the squared Frobenius norm of the encoder's Jacobian, which makes codes
          insensitive to small changes of X [6]_. Its time grows with `n_components`.
    penalty_strength : float, default=1e-3
        Of `code_penalty`, in scaled units.
    corruption : {"gaussian", "masking", "salt_and_pepper"} or None, default=None
        What is done to the rows that the encoder reads while training; the clean row is to come
        out, so that the network learns to denoise [7]_:

        - "gaussian": normal noise of standard deviation `corruption_level`, in X's own units
        - "masking": the feature's mean (zero, if `scaling` is None) in place of a number, with
          probability `corruption_level`
        - "salt_and_pepper": the feature's smallest or largest value in place of a number, with
          probability `corruption_level`
    corruption_level : float or "auto", default="auto"
        How much of it: for "gaussian" the standard deviation of the noise, in X's own units and
        the same for all features, whatever `scaling` is; for the others a probability. "auto" is
        0.2 of the standard deviation of X (the root of its features' mean variance; with
        ``scaling="standard"`` of each feature's own), or the probability 0.2.
    tied_weights : bool, default=False
        Whether the decoder's weights are the encoder's, transposed: half as many to learn.
    loss : str, default="squared_error"
        - "squared_error": half the squared difference
        - "absolute_error": the absolute difference, which outliers weigh less on
        - "huber": squared below one scaled unit, absolute above
        - "binary_cross_entropy": for X in [0, 1]
        - "poisson": for counts; the output is the exponential of what the network gives

        Summed over features, averaged over rows. Scaling and start are means and principal
        components whatever the loss, so remove gross outliers first.
    solver : {"adam", "sgd", "lbfgs"}, default="adam"
        - "adam": Kingma & Ba (2015) [1]_
        - "sgd": stochastic gradient descent with `momentum`
        - "lbfgs": L-BFGS with a line search, on all rows at once; it fits training rows closely.
          Not with `dropout`, `corruption`, `early_stopping` or an `architecture` of your own
    learning_rate : float, default=2e-3
        Step size of "adam" and "sgd".
    schedule : {"cosine", "constant"}, default="cosine"
        How the step size goes over `max_iter` epochs: to zero along half a cosine, or not at all.
    momentum : float, default=0.9
        Of "sgd".
    alpha : float or "auto", default="auto"
        Strength of the L2 penalty on the weights, divided by the sum of the weights of a batch's
        rows, as in `MLPRegressor`. It spares biases and the linear path.

        "auto" asks the rows: how well do the hidden units of the decoder, as they start, foretell
        by ridge regression what PCA leaves over of a row that they have not seen? That is known
        in closed form [8]_, and `alpha` becomes 0.03 times the strength that is best at it, or
        ``10 / n_samples``, if that is more. Where the mean does better, as with few rows or mere
        noise, it is ``min(100, n_features / 2)``, which leaves little beside PCA. Both times the
        share of a batch in all rows, and at least 0.01. It is 0.01 where training does not begin
        with that regression: without hidden layers or linear path, with an activation of code or
        output, or another loss than "squared_error", "absolute_error" and "huber".
    batch_size : int or "auto", default="auto"
        Rows a step; "auto" is ``min(200, n_samples)``. Of no meaning to "lbfgs".
    max_iter : int, default=200
        Epochs. A cosine schedule without early stopping runs them all.
    tol : float, default=1e-4
        Improvement of the loss, relative to it, that counts as one: for a constant schedule,
        "lbfgs" and early stopping; a cosine schedule alone does not look at it. 0 never stops.
    n_iter_no_change : int, default=10
        Epochs without such an improvement that end a constant schedule, "lbfgs" and early
        stopping.
    early_stopping : bool, default=False
        Set rows aside, stop when they are reconstructed no better, keep the best weights.
    validation_fraction : float, default=0.1
        Share of the rows, by weight, to set aside. Rows are chosen by their content, so that
        equal rows stay on one side. Of windows of a series that overlap, in the
        order of time, the last ones are set aside.
    shuffle : bool, default=True
        Draw new batches every epoch.
    warm_start : bool, default=False
        Continue from the last fit's weights and scaling.
    random_state : int, RandomState instance or None, default=None
        Start, batches, dropout and corruption. The same int gives the same bits on the same
        device.
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
    linear_path_, scaling_, alpha_ : bool, str or None, float
        What "auto" came down to.
    output_range_ : ndarray of shape (2, n_features_in_) or None
        Where reconstructions are cut off, infinite where they are not.
    explained_variance_ratio_ : ndarray of shape (n_components_,) or None
        Share of the (scaled) variance along each of PCA's components, from which training began;
        None where nothing needed them. What the autoencoder explains is its `score`.
    code_mean_, code_covariance_ : ndarray of shape (n_components_,) or its square
        Moments of the codes of the training rows (of 1024 of them, if there are more).
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
    sklearn.decomposition.PCA : The linear optimum, from which this estimator starts.

    Notes
    -----
    With a linear path, identity as both activations of code and output, "squared_error", "global"
    scaling or none, and without early stopping, the error on the training rows is never above
    that of ``PCA(n_components)``: training starts there, and the best weights it passes are kept.
    With `code_penalty` or `corruption`, best is what has the lowest loss, penalty included, on
    rows corrupted alike.

    That is about training rows. Of few rows a network learns much by heart, which `alpha` is
    there to keep within bounds; ``dropout=0.1`` or ``early_stopping=True`` may help further. With
    hundreds of thousands, ten to twenty epochs go a long way.

    A fit of at most 10 000 rows, or of one batch, depends on the weighted set of its rows alone:
    weight k is the row k times, weight 0 the row removed, and with one batch the order of the
    rows does not matter.

    The start costs a full PCA: for thousands of rows and thousands of features, much of a short
    fit. ``linear_path=False`` does without.

    As in `MLPRegressor`, Ctrl-C ends the fit with a warning and leaves a usable estimator; a
    pipeline or a grid search around it goes on. scikit-learn's `ScoringMonitor` wants a scorer
    that needs no `predict`: ``ScoringMonitor(scoring=lambda est, X, y: est.score(X))``.

    References
    ----------
    .. [1] D. P. Kingma, J. Ba: Adam: a method for stochastic optimization. ICLR 2015.
    .. [2] G. E. Hinton, R. R. Salakhutdinov: Reducing the dimensionality of data with neural
       networks. Science 313, 2006.
    .. [3] H. Bourlard, Y. Kamp: Auto-association by multilayer perceptrons and singular value
       decomposition. Biological Cybernetics 59, 1988.
    .. [4] B. A. Olshausen, D. J. Field: Emergence of simple-cell receptive field properties by
       learning a sparse code for natural images. Nature 381, 1996.
    .. [5] A. Ng: Sparse autoencoder. CS294A lecture notes, Stanford 2011.
    .. [6] S. Rifai, P. Vincent, X. Muller, X. Glorot, Y. Bengio: Contractive auto-encoders:
       explicit invariance during feature extraction. ICML 2011.
    .. [7] P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio, P.-A. Manzagol: Stacked denoising
       autoencoders. JMLR 11, 2010.
    .. [8] D. M. Allen: The relationship between variable selection and data augmentation and a
       method for prediction. Technometrics 16, 1974.

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

    Rows between the first and the last, along the line between their codes:

    >>> import numpy as np
    >>> first, last = autoencoder.transform(X[[0, -1]])
    >>> autoencoder.inverse_transform(np.linspace(first, last, 5)).shape
    (5, 4)

    Noise removed, by an autoencoder that was trained on clean rows:

    >>> noisy = X + np.random.default_rng(0).normal(0, 0.5, X.shape)
    >>> denoiser = AutoencoderTransformer(
    ...     corruption="gaussian", corruption_level=0.5, random_state=0
    ... ).fit(X)
    >>> restored = denoiser.inverse_transform(denoiser.transform(noisy))
    >>> bool(((restored - X) ** 2).mean() < 0.5 * ((noisy - X) ** 2).mean())
    True
    """

    __module__ = "skaernn"  # public names: pickles outlive a move of this file

    alpha_: float
    output_range_: np.ndarray | None

    _parameter_constraints: dict = {
        **VectorEstimator._parameter_constraints,
        "code_activation": [StrOptions(set(ACTIVATIONS))],
        "code_penalty": [StrOptions(set(PENALTIES)), None],
        "penalty_strength": [Interval(Real, 0, None, closed="left")],
        "corruption": [StrOptions(set(CORRUPTIONS)), None],
        "corruption_level": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "tied_weights": ["boolean"],
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "loss": [StrOptions(set(LOSSES))],
        "output_range": [StrOptions({"auto"}), Ends(), None],
    }
    _architecture = (*VectorEstimator._architecture, "code_activation", "tied_weights")

    @knows_its_parameters
    def __init__(
        self,
        n_components: int | float = 2,
        hidden_layer_sizes: int | Sequence[int] = (128,),
        *,
        activation: str = "relu",
        code_activation: str = "identity",
        output_activation: str = "auto",
        output_range: str | Sequence[float] | None = "auto",
        dropout: float = 0.0,
        linear_path: bool | str = "auto",
        scaling: str | None = "auto",
        architecture: str | Callable[[int, int], tuple[nn.Module, nn.Module]] = "dense",
        image_shape: Sequence[int] | None = None,
        code_penalty: str | None = None,
        penalty_strength: float = 1e-3,
        corruption: str | None = None,
        corruption_level: float | str = "auto",
        tied_weights: bool = False,
        loss: str = "squared_error",
        solver: str = "adam",
        learning_rate: float = 2e-3,
        schedule: str = "cosine",
        momentum: float = 0.9,
        alpha: float | str = "auto",
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
        self.code_activation = code_activation
        self.output_activation = output_activation
        self.output_range = output_range
        self.dropout = dropout
        self.linear_path = linear_path
        self.scaling = scaling
        self.architecture = architecture
        self.image_shape = image_shape
        self.code_penalty = code_penalty
        self.penalty_strength = penalty_strength
        self.corruption = corruption
        self.corruption_level = corruption_level
        self.tied_weights = tied_weights
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

    def _plan(self) -> VectorPlan:
        return VectorPlan.of(vars(self), LOSSES[self.loss])

    def _attributes(
        self, plan: VectorPlan, form: tuple[int, ...], objective: Any, state: TrainingState
    ) -> dict[str, Any]:
        common = super()._attributes(plan, form, objective, state)
        ends = self._ends(objective, state)
        if ends is not None:
            common["module_"].ends = torch.tensor(ends, device=objective.rows.device)
        return {**common, "alpha_": objective.alpha, "output_range_": ends}

    def _ends(self, objective: Any, state: TrainingState) -> np.ndarray | None:
        """Where reconstructions of rows like those of `objective` are to be cut off."""
        if self.output_range is None:
            return None
        if not isinstance(self.output_range, str):
            given = objective.rows.X.new_tensor([[float(end)] for end in self.output_range])
            return given.repeat(1, objective.network.n_features).cpu().numpy()
        if LOSSES[self.loss].fixed_output:
            return None
        ends, shared = (part.cpu().numpy() for part in objective.ends)
        if state.resumed:
            before = getattr(self, "output_range_", None)
            if before is None:
                return None
            passed = np.stack([ends[0] < before[0], ends[1] > before[1]])
            shared = before.copy()
            shared[0, passed[0]], shared[1, passed[1]] = -np.inf, np.inf
        return None if np.isinf(shared).all() else shared
