"""RNNSequenceRegressor: its parameters, its targets, and what the network's answers mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from numbers import Real
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.utils import Tags
from torch import nn

from .._core.compat import Interval, StrOptions
from .._core.constraints import check_count
from .._core.interrupts import interrupts_deferred
from .._core.suggestions import knows_its_parameters
from .._inference.forecast import check_feeds_back, forecast
from .._inference.mean import mixture_of
from .._inference.scores import r2_of
from .._inference.sequences import returned
from .._inputs.memory import check_fits_memory
from .._inputs.overlaps import follows
from .._inputs.sequences import Form, Sequences
from .._inputs.targets import Targets, check_numbers
from .._losses.loss import Loss
from .._losses.targets import TARGET_LOSSES, check_allowed, loss_named
from .._rows.matrix import Counted
from ..networks import ACTIVATIONS
from .predictor_base import Answer, PredictorEstimator
from .sequence_plan import SequencePlan


class RNNSequenceRegressor(RegressorMixin, PredictorEstimator):
    r"""Regression of sequences by a recurrent network.

    A state h follows the steps x of a sequence, and an output o is read from both:

    .. math:: h_t = f_h(W_{hh} h_{t-1} + W_{xh} x_t + b_h) \qquad
        o_t = f_o(W_{ho} h_t + W_{xo} x_t + b_o)

    once for the sequence, or with `return_sequences` at every step. "lstm" and "gru" put gates
    into the first equation. Inputs and targets are standardised on the way in, and predictions
    are in the units of y.

    To tune first: `hidden_size`, `learning_rate` (1e-3 to 3e-2), `max_iter`, then `cell`;
    `weight_decay`, `dropout` or `early_stopping` for fewer than a few hundred sequences.

    Parameters
    ----------
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
          defaults, and there are no states. Module-level functions can be pickled, lambdas not.
    hidden_size : int, default=32
        Units of a layer, of one direction.
    n_layers : int, default=1
        Layers, each of which reads the outputs of the one before.
    bidirectional : bool, default=False
        Read the sequence from both ends. There is no state then.
    activation : {"tanh", "relu"}, default="tanh"
        f_h of the plain cell "rnn".
    return_sequences : bool, default=False
        Predict a value for each step, not one for the sequence.
    pooling : str, default="last"
        What the output layer reads of a sequence:

        - "last": the last step; of the direction that reads backwards, the first
        - "mean": the mean over steps
        - "max": the largest value over steps, unit by unit
        - "attention": the mean weighted by softmax(h_t q), with q learnt [8]_
    input_skip : bool, default=True
        Whether the output layer reads x_t as well: the term W_xo x_t. Pooled as h_t is.
    linear_path : {"auto", "window", "pooled"} or False, default="auto"
        The affine map that stands beside the network. It starts at ridge regression, its strength
        chosen by leaving out each sequence (Allen 1974) [10]_, or, of windows of a series, each of
        five stretches of it, since a window's neighbours nearly are it; for "poisson" and
        "binary_cross_entropy" at the minimum of their loss. The network starts at zero, so that
        training begins at the linear model, and without early stopping the training loss of `fit`
        does not end above its.

        - "window": of every step by its place, counted from the first one, as of rows padded
          with zeros (means, if scaled). Steps beyond the longest sequence of `fit` add nothing:
          for streams that go on and on, choose "pooled"
        - "pooled": of x_t as the output reads it; wants `input_skip`. With `embedding_size` a bag
          of words: numbers of each token, the mean of which over the sequence, whatever `pooling`
          is, or at every step those of its token, are added to the output
        - "auto": "window" where a sequence has one output and no `initial_state`, X holds no
          tokens, where either sequences or steps times channels are at most 2048, and padding
          makes at most four steps of one; else, and where errors in stretches of a series that are
          left out are more than half as large again as in single windows, "pooled", if it can be;
          with an `output_activation`, False
        - False: there is none, and training begins at the best constant

        A window is trained on, along its principal directions, where there are five sequences or
        more for each weight of it; else it stays what it starts as.
    output_activation : str, default="identity"
        f_o, one of "identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "softplus",
        "gelu", "silu". Anything but "identity" leaves y unscaled. The losses "poisson",
        "binary_cross_entropy" and "gaussian" have an activation of their own and want
        "identity" here.
    n_channels : int, default=1
        What a 2-D X means: a row is a sequence of n_features / n_channels steps, one step after
        the other.
    embedding_size : int or None, default=None
        None: X holds quantities. An int: it holds numbers of tokens, as `SequenceVectorizer` gives
        them, one a step: 1-D arrays in a list, rows of a 2-D X, or one channel. The network reads
        a vector of so many numbers in place of each, which it learns (Bengio et al. 2003) [13]_.
        `scaling` leaves tokens alone, `linear_path` is a bag of words, and None as `dtype` is
        float32, which answers then have, too. Tokens that `fit`, or the first call of
        `partial_fit`, has not seen are refused but for 0, the unknown one, whose vector starts at
        zero.
    scaling : {"standard"} or None, default="standard"
        "standard": each channel, over sequences and steps, to mean 0 and variance 1;
        each column of y as well, where loss and `output_activation` allow it.
        None: as is.
    dropout : float, default=0.0
        Probability, in [0, 1), of dropping, while training, a number that a layer or the output
        layer reads of the layer before it.
    max_grad_norm : float or None, default=1.0
        The gradient of a step is shortened to this norm: the remedy for gradients that explode
        over many steps (Pascanu et al. 2013) [4]_. Not for "lbfgs".
    loss : str, default="squared_error"
        - "squared_error": half the squared difference
        - "absolute_error": the absolute difference; predicts medians
        - "huber": squared below one scaled unit, absolute above
        - "poisson": for counts; predicts their mean, by an exponential
        - "quantile": the pinball loss; predicts the quantile `quantile`
        - "binary_cross_entropy": for y in [0, 1]; predicts probabilities
        - "gaussian": minus the log of a normal density; predicts its mean and, on request, its
          standard deviation (Nix & Weigend 1994)

        Summed over outputs, averaged over sequences or, with `return_sequences`, over steps,
        each of which counts the same.
    quantile : float, default=0.5
        Of the loss of that name, in (0, 1).
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
    weight_decay : float or "auto", default="auto"
        What the weights of the network lose in each step of "adam" and "sgd", w -= learning_rate
        weight_decay w, apart from the gradient (Loshchilov & Hutter 2019) [11]_. "auto" is as
        strong as the noise: after 20 epochs, min(3000 s / n, 2) for n losses and the share s of
        the first epoch's loss, above the least possible, that the last one has left over; 0
        without a linear path. It keeps the network from learning noise by heart: choose 0 for data
        that have none, 5 for few rows that are all noise. It spares biases, and draws the map of a
        window to where it starts.
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
        Set sequences aside, stop when they are predicted no better, keep the best weights.
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
    n_members : int, default=1
        How many networks are trained on the same sequences, each from a seed of its own; the
        answer is the mean of their predictions. ``predict(X, return_std=True)`` says how far
        they are apart. The first is what ``n_members=1`` gives; start, batches, dropout and,
        with `early_stopping`, the sequences set aside are other ones in each. Long fits run side
        by side, on as many threads as ``torch.get_num_threads()`` says; with `verbose` or
        callbacks, one after another.
    device : str or torch.device, default="cpu"
        "auto" is CUDA where there is one. Any name torch knows.
    dtype : {"float32", "float64"} or None, default=None
        What to compute in; None is X's own type. Answers are in X's type.
    verbose : bool or int, default=False
        Print the loss after each epoch.

    Attributes
    ----------
    module_ : torch.nn.Module
        The fitted network, in eval mode, in the units of X and y: ``module_(X, lengths)``. Its
        ``layers`` are an `nn.RNN`, `nn.LSTM` or `nn.GRU`. Of several, their mean: its
        ``members`` are their modules.
    members_ : list of RNNSequenceRegressor
        Fitted estimators of one network each, whose `random_state` is their seed: the estimator
        itself, if it is the only one. After Ctrl-C, those that had been begun.
    state_size_ : int
        Width of a state: ``hidden_size`` for each layer (twice that for "lstm"), then the sums
        of the pooling, if it has any, and of a window that the linear path reads. Those
        of members stand side by side.
    linear_path_ : str or False
        "window", "pooled" or False: what `linear_path` came to.
    n_outputs_ : int
        Targets of a sequence, or of a step.
    n_iter_ : int
        Epochs run; of members, the most.
    loss_, best_loss_ : float
        Last and lowest entry of `loss_curve_`; the second is None with early stopping.
    loss_curve_ : list of float
        Training loss of each epoch, in scaled units, penalty included, while it ran. The mean
        over members, of which those that have stopped count with their last.
    validation_scores_ : list of float or None
        Minus the validation loss after each epoch of early stopping; of members as above.
    best_validation_score_ : float or None
        The best of them, or the score of the start, if no epoch beat that. Of members, the mean
        of what each has kept.
    t_ : int
        Sequences seen; of members, the most.
    n_tokens_ : int or None
        With `embedding_size`, the largest number of a token in `fit`, and one: rows of
        ``module_.embedding``, an `nn.Embedding`, and of the bag of words ``module_.bag``, beside
        ``module_.network``, which reads the vectors. Else None.
    n_features_in_ : int
        Columns of a 2-D X, else channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, or of the channels of a list of frames, if all are strings.
    device_ : torch.device
        Where the module is.

    See Also
    --------
    RNNSequenceClassifier : The same for classes.
    sliding_windows : X and y from one long series.

    Notes
    -----
    Gradients that vanish or explode over many steps are what makes recurrent networks hard to
    train. Recurrent weights start orthogonal (Saxe et al. 2014) [5]_, so that a signal keeps its
    length from step to step; the forget gates of "lstm" start with bias 1 (Gers et al. 2000;
    Jozefowicz et al. 2015) [6]_, so that it remembers before it has learnt to; the gradient is
    clipped to `max_grad_norm`. Input weights start after Glorot & Bengio (2010), the output layer
    at zero: training begins at the linear path or, without one, at the best constant.

    The answer to a sequence does not depend on padding, on the sequences beside it, or on whether
    it came in one piece: of a 3-D X, ``predict(X[:, :t], return_state=True)`` and then
    ``predict(X[:, t:], initial_state=state)`` give the bits of ``predict(X)``. States are in
    network units; a state of zeros is a beginning.

    Mark the ends of sequences in `X` itself where you can: a list, or NaN in all channels of the
    steps beyond. These forms go through `cross_val_score`, `GridSearchCV` and their scorers.
    `lengths` does not: without metadata routing they pass it to `fit` alone and score on the
    padding (a warning says so where it can be seen); with it, named scorers still call `predict`
    without it. Named scorers compare arrays of one number a row, or of several: for an answer a
    step (`return_sequences`) leave `scoring` out, which is then the estimator's own `score`.

    Several networks that start elsewhere err elsewhere, and their mean errs less than most of them
    (Hansen & Salamon 1990; Lakshminarayanan et al. 2017) [12]_; five are a good number. Member i
    has the seed ``numpy.random.SeedSequence([random_state, i]).generate_state(1)[0]``, the first
    one `random_state` itself, so that a few are the first of many. Their answers are added in
    this order, and divided by their number; ``numpy.mean`` over `members_` gives the same bits,
    but for single numbers of eight members and more, which it adds in another order. Forecasts
    feed the mean back. `warm_start` and `partial_fit` go on with each. A fit that fails leaves
    everything as it was. A callback is told of the members one after another; one that returns
    True stops the member whose epoch it was, or, when a member has ended, keeps the next ones
    from beginning.

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
    .. [8] C. Raffel, D. P. W. Ellis: Feed-forward networks with attention can solve some
       long-term memory problems. ICLR workshop, 2016.
    .. [9] L. Feng, F. Tung, M. O. Ahmed, Y. Bengio, H. Hajimirsadeghi: Were RNNs all we needed?
       arXiv 2410.01201, 2024.
    .. [10] D. M. Allen: The relationship between variable selection and data augmentation and a
       method for prediction. Technometrics 16, 1974.
    .. [11] I. Loshchilov, F. Hutter: Decoupled weight decay regularization. ICLR 2019.
    .. [12] L. K. Hansen, P. Salamon: Neural network ensembles. IEEE TPAMI 12, 1990.
       B. Lakshminarayanan, A. Pritzel, C. Blundell: Simple and scalable predictive uncertainty
       estimation using deep ensembles. NeurIPS 2017.
    .. [13] Y. Bengio, R. Ducharme, P. Vincent, C. Jauvin: A neural probabilistic language model.
       JMLR 3, 2003.

    Examples
    --------
    >>> import numpy as np
    >>> from skaernn import RNNSequenceRegressor, sliding_windows
    >>> series = np.sin(np.arange(300) / 5)
    >>> X, y = sliding_windows(series, window=20)
    >>> model = RNNSequenceRegressor("gru", 8, max_iter=80, random_state=0).fit(X[:200], y[:200])
    >>> bool(model.score(X[200:], y[200:]) > 0.95)
    True
    >>> model.forecast(X[-1:], n_steps=5).shape
    (1, 5, 1)

    Several networks, and how far their predictions are apart:

    >>> model = RNNSequenceRegressor("gru", 8, max_iter=20, n_members=3, random_state=0)
    >>> y_mean, y_std = model.fit(X[:200], y[:200]).predict(X[200:], return_std=True)
    >>> members = [member.predict(X[200:]) for member in model.members_]
    >>> bool((y_mean == np.mean(members, axis=0)).all())
    True
    >>> np.allclose(y_std, np.std(members, axis=0))
    True

    Tokens, here the number of threes among them:

    >>> X = [[1, 3, 3], [2], [3, 1, 1, 2], [2, 2]]
    >>> model = RNNSequenceRegressor(embedding_size=4, max_iter=100, random_state=0)
    >>> bool(model.fit(X, [2, 0, 1, 0]).score(X, [2, 0, 1, 0]) > 0.9)
    True
    >>> model.n_tokens_
    4
    """

    __module__ = "skaernn"  # public names: pickles outlive a move of this file

    _parameter_constraints: dict = {
        **PredictorEstimator._parameter_constraints,
        "output_activation": [StrOptions(set(ACTIVATIONS))],
        "loss": [StrOptions(set(TARGET_LOSSES))],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }
    _architecture = (*PredictorEstimator._architecture, "output_activation", "loss")

    @knows_its_parameters
    def __init__(
        self,
        cell: str | Callable[[int, int], nn.Module] = "lstm",
        hidden_size: int = 32,
        *,
        n_layers: int = 1,
        bidirectional: bool = False,
        activation: str = "tanh",
        return_sequences: bool = False,
        pooling: str = "last",
        input_skip: bool = True,
        linear_path: str | bool = "auto",
        output_activation: str = "identity",
        n_channels: int = 1,
        embedding_size: int | None = None,
        scaling: str | None = "standard",
        dropout: float = 0.0,
        max_grad_norm: float | None = 1.0,
        loss: str = "squared_error",
        quantile: float = 0.5,
        solver: str = "adam",
        learning_rate: float = 0.01,
        schedule: str = "cosine",
        momentum: float = 0.9,
        alpha: float = 0.0,
        weight_decay: float | str = "auto",
        batch_size: int | str = "auto",
        max_iter: int = 200,
        tol: float = 0.0001,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        shuffle: bool = True,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        n_members: int = 1,
        device: str | torch.device = "cpu",
        dtype: str | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.activation = activation
        self.return_sequences = return_sequences
        self.pooling = pooling
        self.input_skip = input_skip
        self.linear_path = linear_path
        self.output_activation = output_activation
        self.n_channels = n_channels
        self.embedding_size = embedding_size
        self.scaling = scaling
        self.dropout = dropout
        self.max_grad_norm = max_grad_norm
        self.loss = loss
        self.quantile = quantile
        self.solver = solver
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.momentum = momentum
        self.alpha = alpha
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_members = n_members
        self.device = device
        self.dtype = dtype
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _plan(self) -> SequencePlan:
        loss = TARGET_LOSSES[self.loss]
        own = loss.fixed_output and loss.output_activation
        if own and self.output_activation not in ("identity", own):
            raise ValueError(
                f"loss={self.loss!r} has an output activation of its own; leave "
                f"output_activation at 'identity', got {self.output_activation!r}."
            )
        return super()._plan()

    def _read_targets(  # type: ignore[override]
        self, y: Any, sequences: Sequences, form: Form, *, first: bool, name: str
    ) -> tuple[Targets, Form]:
        targets = check_numbers(self, y, sequences, per_step=self.return_sequences, name=name)
        check_allowed(self.loss, targets.values, name)
        n_outputs = targets.values.shape[1]
        if first:
            # tokens are no quantities that could be fed back
            seen = None if sequences.of_tokens else follows(sequences, targets)
            return targets, replace(form, n_outputs=n_outputs, flat=targets.flat, follows=seen)
        if n_outputs != form.n_outputs:
            raise ValueError(
                f"{name} has {n_outputs} outputs, but {type(self).__name__} was fitted with "
                f"{form.n_outputs}."
            )
        return targets, form

    def _output(self, form: Form) -> tuple[int, str]:
        loss = TARGET_LOSSES[self.loss]
        activation = loss.output_activation if loss.fixed_output else self.output_activation
        return form.n_outputs * loss.outputs_per_target, activation

    def _loss_on(self, answers: Counted, form: Form) -> Loss:
        return loss_named(self.loss, float(self.quantile))

    @overload
    def predict(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: Literal[False] = False,
        return_std: Literal[False] = False,
    ) -> np.ndarray: ...

    @overload
    def predict(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: Literal[True],
        return_std: Literal[False] = False,
    ) -> tuple[np.ndarray, np.ndarray]: ...

    @overload
    def predict(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: Literal[False] = False,
        return_std: Literal[True],
    ) -> tuple[np.ndarray, np.ndarray]: ...

    @overload
    def predict(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: Literal[True],
        return_std: Literal[True],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...

    @overload
    def predict(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: bool = False,
        return_std: bool = False,
    ) -> Answer: ...

    def predict(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: bool = False,
        return_std: bool = False,
    ) -> Answer:
        """Predictions for the sequences of X.

        Parameters
        ----------
        X : array-like or list of array-like
            In any of the forms that `fit` takes; sequences may have other lengths than there.
        lengths : array-like of int of shape (n_samples,) or None
        initial_state : array-like of shape (n_samples, state_size_) or None
            Where the sequences of X go on from. None: zeros.
        return_state : bool, default=False
            Give the states at the ends of the sequences as well.
        return_std : bool, default=False
            Give standard deviations as well, for ``loss="gaussian"`` or several members.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In X's dtype, as y was; a sequence's prediction does not depend on the sequences
            beside it. With `return_sequences` (n_samples, n_steps) or (n_samples, n_steps,
            n_outputs), zero beyond the end of a sequence; for a list, (n_samples,) of arrays.
        std : ndarray of y's shape
            If `return_std`. For ``loss="gaussian"`` the one that was learnt, of the noise in y.
            Of several members, the standard deviation of their predictions (``ddof=0``); with
            ``loss="gaussian"`` that of the mixture of their distributions, the root of the mean
            of variances and the variance of means together.
        state : ndarray of shape (n_samples, state_size_)
            If `return_state`.
        """
        self._check_is_fitted()
        self._check_has_deviations(return_std)
        sequences, output, ended = self._run_on(X, lengths, initial_state, return_state)
        k = self.n_outputs_
        columns = [output[:, :k], output[:, k:]] if return_std else [output[:, :k]]
        answers = [self._answer(sequences, values) for values in columns]
        return returned(answers, ended, return_state)

    def _answer(self, sequences: Sequences, values: np.ndarray) -> np.ndarray:
        flat = self._form.flat
        if self._per_step:
            return sequences.answer(values, flat)
        return values[:, 0] if flat else values

    def _of_steps(self) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
        wanted = 0 if self._form.flat else slice(self.n_outputs_)
        return {"predict": lambda output: output[:, wanted]}

    @overload
    def forecast(
        self,
        X: ArrayLike,
        n_steps: int,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        horizon: int | None = None,
        return_std: Literal[False] = False,
    ) -> np.ndarray: ...

    @overload
    def forecast(
        self,
        X: ArrayLike,
        n_steps: int,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        horizon: int | None = None,
        return_std: Literal[True],
    ) -> tuple[np.ndarray, np.ndarray]: ...

    @overload
    def forecast(
        self,
        X: ArrayLike,
        n_steps: int,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        horizon: int | None = None,
        return_std: bool = False,
    ) -> Answer: ...

    def forecast(
        self,
        X: ArrayLike,
        n_steps: int,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        horizon: int | None = None,
        return_std: bool = False,
    ) -> Answer:
        """What follows the sequences of X: predictions, fed back as inputs.

        For targets that are the next inputs: the next step of all channels, or the next few one
        after the other, as `sliding_windows` gives them; with `return_sequences`, the next input
        at each step. `fit` looks whether they are, in windows that overlap.

        Parameters
        ----------
        X : array-like or list of array-like
        n_steps : int
            How far to go.
        lengths, initial_state
            See `predict`.
        horizon : int or None, default=None
            The number of next steps that y held, where X cannot show it: for windows that do not
            overlap, or series that have one window each.
        return_std : bool, default=False
            Give standard deviations as well, for ``loss="gaussian"`` or several members: of
            each prediction, as if what was fed back had been seen.

        Returns
        -------
        y : ndarray of shape (n_samples, n_steps, n_channels)
        std : ndarray of y's shape
            If `return_std`.

        Raises
        ------
        ValueError
            If the targets of `fit` were not the next values of all channels.
        MemoryError
            If memory cannot hold that many steps; before the first is made.
        """
        n_steps = check_count(n_steps, "n_steps")
        if horizon is not None:
            horizon = check_count(horizon, "horizon")
        self._check_is_fitted()
        self._check_has_deviations(return_std)
        if self._form.known is not None:
            raise ValueError(
                "forecast feeds predictions back as inputs, and with embedding_size these are "
                "tokens, which a regression does not predict."
            )
        if initial_state is not None and self._form.window:
            raise ValueError(
                "forecast from an initial_state would need the steps before it, which linear_path="
                "'window' reads by their place. Pass the whole sequences, or fit with "
                "linear_path='pooled' or False."
            )
        sequences, output, ended = self._run_on(X, lengths, initial_state)
        check_feeds_back(self.n_outputs_, sequences.n_channels, self._form.follows, horizon)
        n_numbers = 2 * len(sequences) * n_steps * sequences.n_channels  # in pieces, and joined
        check_fits_memory("n_steps", f"{n_steps} steps of each sequence", n_numbers)
        found = forecast(
            self._run,
            self._fitted.network,
            sequences,
            output,
            ended,
            n_steps,
            self.n_outputs_,
            self._form.window,
        )
        return (found[:, 0], found[:, 1]) if return_std else found[:, 0]

    def _agreed(self, outputs: list[np.ndarray]) -> np.ndarray:
        return mixture_of(outputs, self.n_outputs_)

    def _check_has_deviations(self, return_std: bool) -> None:
        members, activation = self._fitted.members, self._fitted.network.output_activation
        if return_std and not (members or activation == "mean_and_deviation"):
            raise ValueError(
                "return_std=True needs a fit with loss='gaussian', which predicts standard "
                "deviations, or with n_members of 2 or more, which differ; this one was with "
                f"{self._fitted.parameters['loss']!r} and one member."
            )

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | float | None = None,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
    ) -> float:
        """Coefficient of determination R^2 of the predictions.

        Parameters
        ----------
        X, y, sample_weight, lengths, initial_state
            See `fit`.

        Returns
        -------
        score : float
            The mean over outputs, as `r2_score` has it; with `return_sequences`, over all valid
            steps together.
        """
        with interrupts_deferred():  # once, and not by each part
            sequences, output, _ = self._run_on(X, lengths, initial_state)
            output = output[:, : self.n_outputs_]
            return r2_of(self, sequences, output, y, sample_weight, per_step=self._per_step)
