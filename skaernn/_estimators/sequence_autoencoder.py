"""SequenceAutoencoderTransformer: its parameters, how it is fitted, what a fit leaves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from .._core.compat import Interval, Self, StrOptions, available_if, fit_context
from .._core.suggestions import knows_its_parameters
from .._inputs.arrays import check_weights
from .._inputs.overlaps import series_of
from .._inputs.sequences import Form
from .._losses.reconstruction import LOSSES
from .._losses.targets import check_allowed
from .._rows.selection import Selection
from .._training.loop import TrainingState
from .._training.sequences import code_moments
from ..networks import SequenceAutoencoder, SequenceAutoencoderModule
from .fitting import TrainingInput, can_partial_fit, fit
from .sequence_base import SequenceEstimator, rows_of
from .sequence_codes import SequenceCodes
from .sequence_plan import SequencePlan


class SequenceAutoencoderTransformer(SequenceCodes, SequenceEstimator):
    r"""Codes of fixed size for sequences of any length, by a recurrent autoencoder.

    An encoder reads the steps x of a sequence into a state h, of which the last one becomes the
    code z of `n_components` numbers; a decoder writes the sequence again, from the code alone:

    .. math:: h_t = f(W_{hh} h_{t-1} + W_{xh} x_t + b_h) \qquad z = W_{hz} h_T + b_z

    .. math:: s_0 = W_{z0} z + b_0 \qquad s_t = f(W_{ss} s_{t-1} + W_{zs} z + b_s) \qquad
        x'_t = W_{sx} s_t + W_{zx} z + b_x

    "lstm" and "gru" put gates into the equations of h and s. The codes are what any estimator of
    vectors can go on with: a classifier, a clustering, a search for neighbours.

    To tune first: `n_components`, `hidden_size`, `learning_rate` (1e-3 to 3e-2), `max_iter`, then
    `cell`; `dropout`, `alpha` or `early_stopping` for fewer than a few hundred sequences.

    Parameters
    ----------
    n_components : int, default=2
        Size of the code.
    hidden_size : int, default=32
        Units of a layer, of one direction.
    cell : str or callable, default="lstm"
        - "rnn": the plain recurrent layer (Elman 1990) [1]_, with `activation`
        - "lstm": long short-term memory (Hochreiter & Schmidhuber 1997) [2]_
        - "gru": gated recurrent unit (Cho et al. 2014) [3]_
        - "mingru": minimal gated recurrent unit (Feng et al. 2024) [9]_, whose gates read x
          alone: faster, and it forgets by x alone, too
        - a callable: ``cell(n_inputs, hidden_size)`` returns your own `torch.nn.Module`, which
          maps ``(x, lengths)``, x (n, T, n_inputs) zero beyond the lengths (n,), to (n, T,
          hidden_size), and is trained as the others are. What it gives beyond the lengths is not
          read; let no step see them. `n_layers`, `bidirectional` and `activation` stay at their
          defaults. Module-level functions can be pickled, lambdas cannot. It is the encoder's;
          the decoder, which begins at a state, then is an LSTM.
    n_layers : int, default=1
        Layers of the encoder, and of the decoder, each of which reads the one before.
    bidirectional : bool, default=False
        Whether the encoder reads the sequence from both ends.
    activation : {"tanh", "relu"}, default="tanh"
        f of the plain cell "rnn".
    n_channels : int, default=1
        What a 2-D X means: a row is a sequence of n_features / n_channels steps, one step after
        the other.
    scaling : {"auto", "standard"} or None, default="auto"
        "standard": each channel, over sequences and steps, to mean 0 and variance 1; undone by
        `inverse_transform`. None: as is. "auto": None for "binary_cross_entropy" and "poisson",
        else "standard".
    dropout : float, default=0.0
        Probability, in [0, 1), of dropping, while training, a number that a layer, the code or
        the output reads of the layer before it.
    max_grad_norm : float or None, default=1.0
        The gradient of a step is shortened to this norm: the remedy for gradients that explode
        over many steps (Pascanu et al. 2013) [4]_. Not for "lbfgs".
    loss : str, default="squared_error"
        - "squared_error": half the squared difference
        - "absolute_error": the absolute difference, which outliers weigh less on
        - "huber": squared below one scaled unit, absolute above
        - "binary_cross_entropy": for X in [0, 1]
        - "poisson": for counts; the output is the exponential of what the network gives

        Summed over channels, averaged over steps, each of which counts the same.
    solver : {"adam", "sgd", "lbfgs"}, default="adam"
        - "adam": Kingma & Ba (2015) [7]_
        - "sgd": stochastic gradient descent with `momentum`
        - "lbfgs": L-BFGS with a line search, on all sequences at once; not with `dropout` or
          `early_stopping`
    learning_rate : float, default=1e-2
        Step size of "adam" and "sgd".
    schedule : {"cosine", "constant"}, default="cosine"
        How the step size goes over `max_iter` epochs: to zero along half a cosine, or not at all.
    momentum : float, default=0.9
        Of "sgd".
    alpha : float, default=0.0
        Strength of the L2 penalty on the weights, divided by the sum of the weights of a batch's
        sequences, as in `MLPRegressor`. It spares biases.
    batch_size : int or "auto", default="auto"
        Sequences a step; "auto" is ``min(200, n_samples)``. Of no meaning to "lbfgs".
    max_iter : int, default=200
        Epochs. A cosine schedule without early stopping runs them all.
    tol : float, default=1e-4
        Improvement of the loss, relative to it, that counts as one: for a constant schedule,
        "lbfgs" and early stopping; a cosine schedule alone does not look at it. 0 never stops.
    n_iter_no_change : int, default=10
        Epochs without such an improvement that end a constant schedule, "lbfgs" and early
        stopping.
    early_stopping : bool, default=False
        Set sequences aside, stop when they are reconstructed no better, keep the best weights.
    validation_fraction : float, default=0.1
        Share of the sequences, by weight, to set aside. They are chosen by their content, so
        that equal ones stay on one side. Of windows of a series that overlap, in the
        order of time, the last ones are set aside.
    shuffle : bool, default=True
        Draw new batches every epoch.
    warm_start : bool, default=False
        Continue from the last fit's weights and scaling.
    random_state : int, RandomState instance or None, default=None
        Start, batches and dropout. The same int gives the same bits on the same device.
    device : str or torch.device, default="cpu"
        "auto" is CUDA where there is one. Any name torch knows.
    dtype : {"float32", "float64"} or None, default=None
        What to compute in; None is X's own type. Answers are in X's type.
    verbose : bool or int, default=False
        Print the loss after each epoch.

    Attributes
    ----------
    module_ : torch.nn.Module
        The fitted network, in eval mode, in the units of X: ``module_(X, lengths)``; ``encode``
        and ``decode`` are its halves.
    n_components_ : int
        Size of the code.
    scaling_ : str or None
        What "auto" came down to.
    n_steps_ : int or None
        Steps of each sequence of X; None if they were of unequal lengths.
    n_outputs_ : int
        Channels of a step.
    code_mean_, code_covariance_ : ndarray of shape (n_components_,) or its square
        Moments of the codes of the training sequences (of 1024 of them, if there are more).
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
        Sequences seen.
    n_features_in_ : int
        Columns of a 2-D X, else channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, or of the channels of a list of frames, if all are strings.
    device_ : torch.device
        Where the module is.

    See Also
    --------
    AutoencoderTransformer : The same for vectors.
    RNNSequenceClassifier : Learns from sequences and their classes at once.

    Notes
    -----
    The decoder is given nothing but the code, at every step (as Cho et al. 2014 [3]_ do) and as
    the state that it begins with (Srivastava et al. 2015 [8]_), never the sequence itself, so
    that all there is to know must go through the code.

    Recurrent weights start orthogonal (Saxe et al. 2014) [5]_, the forget gates of "lstm" with
    bias 1 (Gers et al. 2000; Jozefowicz et al. 2015) [6]_, other weights after Glorot & Bengio
    (2010), the output of the decoder at zero: training begins at the means of the channels.

    A code does not depend on padding, nor on the sequences beside it. Codes are in network units
    and have no order of importance, unlike principal components.

    Mark the ends of sequences in `X` itself where you can: a list, or NaN in all channels of the
    steps beyond. These forms go through pipelines and `cross_val_score`; `lengths` does so with
    metadata routing only.

    A fit of at most 10 000 sequences, or of one batch, depends on their weighted set alone:
    weight k is the sequence k times, weight 0 the sequence removed, and with one batch the order
    does not matter.

    References
    ----------
    .. [1] J. L. Elman: Finding structure in time. Cognitive Science 14, 1990.
    .. [2] S. Hochreiter, J. Schmidhuber: Long short-term memory. Neural Computation 9, 1997.
    .. [3] K. Cho et al.: Learning phrase representations using RNN encoder-decoder for
       statistical machine translation. EMNLP 2014.
    .. [4] R. Pascanu, T. Mikolov, Y. Bengio: On the difficulty of training recurrent neural
       networks. ICML 2013.
    .. [5] A. M. Saxe, J. L. McClelland, S. Ganguli: Exact solutions to the nonlinear dynamics of
       learning in deep linear neural networks. ICLR 2014.
    .. [6] F. A. Gers, J. Schmidhuber, F. Cummins: Learning to forget. Neural Computation 12,
       2000. R. Jozefowicz, W. Zaremba, I. Sutskever: An empirical exploration of recurrent
       network architectures. ICML 2015.
    .. [7] D. P. Kingma, J. Ba: Adam: a method for stochastic optimization. ICLR 2015.
    .. [8] N. Srivastava, E. Mansimov, R. Salakhutdinov: Unsupervised learning of video
       representations using LSTMs. ICML 2015.
    .. [9] L. Feng, F. Tung, M. O. Ahmed, Y. Bengio, H. Hajimirsadeghi: Were RNNs all we needed?
       arXiv 2410.01201, 2024.

    Examples
    --------
    Utterances of 7 to 29 steps become twelve numbers each:

    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skaernn import SequenceAutoencoderTransformer
    >>> from skaernn.datasets import load_japanese_vowels
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> X_test, y_test = load_japanese_vowels(subset="test", return_X_y=True)
    >>> code = SequenceAutoencoderTransformer(12, cell="gru", max_iter=40, random_state=0)
    >>> model = make_pipeline(code, LogisticRegression(max_iter=1000)).fit(X, y)
    >>> bool(model.score(X_test, y_test) > 0.9)
    True

    and halfway between two codes lies a sequence between two sequences:

    >>> Z = code.transform(X[:2])
    >>> [x.shape for x in code.inverse_transform([Z.mean(axis=0)], lengths=[20])]
    [(20, 12)]
    """

    __module__ = "skaernn"  # public names: pickles outlive a move of this file

    module_: SequenceAutoencoderModule
    n_components_: int
    n_steps_: int | None
    scaling_: str | None
    code_mean_: np.ndarray
    code_covariance_: np.ndarray

    _parameter_constraints: dict = {
        **SequenceEstimator._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "scaling": [StrOptions({"auto", "standard"}), None],
        "loss": [StrOptions(set(LOSSES))],
    }
    _architecture = (
        "n_components",
        "hidden_size",
        "cell",
        "n_layers",
        "bidirectional",
        "activation",
        "scaling",
        "loss",
        "dtype",
    )

    @knows_its_parameters
    def __init__(
        self,
        n_components: int = 2,
        hidden_size: int = 32,
        *,
        cell: str | Callable[[int, int], nn.Module] = "lstm",
        n_layers: int = 1,
        bidirectional: bool = False,
        activation: str = "tanh",
        n_channels: int = 1,
        scaling: str | None = "auto",
        dropout: float = 0.0,
        max_grad_norm: float | None = 1.0,
        loss: str = "squared_error",
        solver: str = "adam",
        learning_rate: float = 1e-2,
        schedule: str = "cosine",
        momentum: float = 0.9,
        alpha: float = 0.0,
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
        self.hidden_size = hidden_size
        self.cell = cell
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.activation = activation
        self.n_channels = n_channels
        self.scaling = scaling
        self.dropout = dropout
        self.max_grad_norm = max_grad_norm
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

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | float | None = None,
        *,
        lengths: ArrayLike | None = None,
        X_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        lengths_val: ArrayLike | None = None,
    ) -> Self:
        """Learn codes of the sequences of X.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, in one of these forms:

            - (n_samples, n_steps, n_channels)
            - (n_samples, n_steps * n_channels): see the parameter `n_channels`
            - a list of (n_steps_i, n_channels), of unequal lengths
            - one of the first two with `lengths`, or with NaN in all channels from the end of a
              sequence on
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), scalar or None
            A sequence of weight k counts as k of them, one of weight 0 is not there.
        lengths : array-like of int of shape (n_samples,) or None
            How many steps of each sequence are there; what lies beyond is not read.
        X_val, sample_weight_val, lengths_val : None or as above
            Sequences for early stopping, where a random share of X would not do: of later
            times, say, or of other groups. In a `Pipeline` the steps before do not touch it
            unless told to: ``Pipeline(steps, transform_input=["X_val"])``, with metadata routing
            and ``set_fit_request(X_val=True)``.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If X, what goes with it or a combination of parameters is of no use; the message says
            what to do. Nothing changes then.
        TypeError
            If X is of a kind that needs a conversion only you can choose: dates, say.
        MemoryError
            If the network cannot fit into memory.
        """
        given = {"X": X, "sample_weight": sample_weight, "lengths": lengths}
        held_out = {"X": X_val, "sample_weight": sample_weight_val, "lengths": lengths_val}
        return fit(self, given, held_out)

    @available_if(can_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | float | None = None,
        *,
        lengths: ArrayLike | None = None,
    ) -> Self:
        """One more epoch, over the sequences of X, at a constant learning rate.

        The first call fixes the scaling, so give it sequences that are like all.

        Parameters
        ----------
        X, y, sample_weight, lengths
            See `fit`.

        Returns
        -------
        self : estimator
        """
        given = {"X": X, "sample_weight": sample_weight, "lengths": lengths}
        return fit(self, given, incremental=True)

    def _plan(self) -> SequencePlan:
        loss, scaling = LOSSES[self.loss], self.scaling
        if scaling == "standard" and loss.default_scaling is None:
            raise ValueError(
                f"loss={self.loss!r} needs scaling=None (or 'auto'), got {self.scaling!r}."
            )
        if scaling == "auto":
            scaling = None if loss.default_scaling is None else "standard"
        self._check_cell()
        return SequencePlan(
            describe=self._describe,
            loss_on=lambda answers, form: loss,
            scaling=scaling,
            dropout=float(self.dropout),
            factory=self.cell if callable(self.cell) else None,
            advice="a smaller hidden_size, n_layers or n_components",
        )

    def _describe(self, form: Form) -> SequenceAutoencoder:
        return SequenceAutoencoder.of(
            form.n_channels,
            int(self.n_components),
            int(self.hidden_size),
            output_activation=LOSSES[self.loss].output_activation,
            **self._layers(),
        )

    def _read(  # type: ignore[override]
        self,
        plan: SequencePlan,
        form: Form | None,
        *,
        suffix: str = "",
        X: Any = None,
        sample_weight: ArrayLike | float | None = None,
        lengths: ArrayLike | None = None,
    ) -> TrainingInput:
        sequences = self._read_sequences(X, lengths, form, plan.scaling, suffix)
        check_allowed(self.loss, sequences.valid(), f"X{suffix}")
        weight = check_weights(sample_weight, sequences)
        metadata = {"sample_weight": weight, "lengths": lengths}
        metadata = {name: value for name, value in metadata.items() if value is not None}

        def rows(
            selections: list[Selection], device: torch.device, dtype: torch.dtype
        ) -> list[Any]:
            return rows_of(sequences, selections, device, dtype, per_step=True)

        return TrainingInput(
            X=X,
            y=X,  # what an autoencoder is to predict
            metadata=metadata or None,
            form=Form.of(sequences, form, lengths=lengths),
            dtype=sequences.steps.dtype,
            numbers=lambda: {"X": sequences.valid()},
            content=sequences.content,
            weight=weight,
            series=partial(series_of, sequences),
            rows=rows,
        )

    def _attributes(
        self, plan: SequencePlan, form: Form, objective: Any, state: TrainingState
    ) -> dict[str, Any]:
        code_mean, code_covariance = code_moments(objective, state.theta)
        return {
            **self._training_attributes(form, objective, state),
            "n_components_": objective.network.n_components,
            "n_steps_": form.n_steps,
            "n_outputs_": form.n_channels,
            "scaling_": plan.scaling,
            "code_mean_": code_mean,
            "code_covariance_": code_covariance,
        }
