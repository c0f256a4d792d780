"""RNNSequenceClassifier: its parameters, its classes, and what the network's answers mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from torch import nn

from .._core.compat import Self, StrOptions, available_if, fit_context
from .._core.interrupts import interrupts_deferred
from .._core.suggestions import knows_its_parameters
from .._inference.scores import accuracy_of
from .._inference.sequences import returned
from .._inputs.sequences import Form, Sequences
from .._inputs.targets import Targets, as_targets, check_labels, classes_of, indices_of
from .._losses.loss import Loss
from .._losses.targets import CrossEntropy
from .._rows.class_weight import class_weights
from .._rows.matrix import Counted
from .._training.loop import TrainingState
from .fitting import can_partial_fit
from .members import fit_members
from .predictor_base import Answer, PredictorEstimator
from .sequence_plan import SequencePlan


def _can_partial_fit(estimator: Any) -> bool:
    if estimator.class_weight == "balanced":
        raise AttributeError(
            "partial_fit is not available with class_weight='balanced', for it never sees all of "
            "y at once. Pass the weights as a dict."
        )
    return can_partial_fit(estimator)


class RNNSequenceClassifier(ClassifierMixin, PredictorEstimator):
    r"""Classification of sequences by a recurrent network.

    A state h follows the steps x of a sequence, and an output o is read from both:

    .. math:: h_t = f_h(W_{hh} h_{t-1} + W_{xh} x_t + b_h) \qquad
        o_t = f_o(W_{ho} h_t + W_{xo} x_t + b_o)

    once for the sequence, or with `return_sequences` at every step. "lstm" and "gru" put gates
    into the first equation. f_o is softmax, the loss minus the log of the probability of the
    class. Inputs are standardised on the way in.

    To tune first: `hidden_size`, `learning_rate` (1e-3 to 3e-2), `max_iter`, then `cell`,
    `bidirectional` and `pooling`; `dropout` or `early_stopping` for fewer than a few hundred
    sequences.

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
        The affine map that stands beside the network. It starts at logistic regression, its
        penalty as strong as leaving out each sequence, or each of five stretches of a series,
        finds best for ridge regression (Allen 1974) [10]_. The network starts at zero, so that
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
          left out are more than half as large again as in single windows, "pooled", if it can be
        - False: there is none, and training begins at the best constant

        A window is trained on, along its principal directions, where there are five sequences or
        more for each weight of it; else it stays what it starts as.
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
        "standard": each channel, over sequences and steps, to mean 0 and variance 1.
        None: as is.
    dropout : float, default=0.0
        Probability, in [0, 1), of dropping, while training, a number that a layer or the output
        layer reads of the layer before it.
    max_grad_norm : float or None, default=1.0
        The gradient of a step is shortened to this norm: the remedy for gradients that explode
        over many steps (Pascanu et al. 2013) [4]_. Not for "lbfgs".
    class_weight : dict, "balanced" or None, default=None
        What an answer of each class counts: by class, or inversely to how often it is there.
        Multiplied with `sample_weight`.
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
        strong as the noise: after 10 epochs, 500 s / n for n losses and the share s of the first
        epoch's loss that the last one has left over; 0 without a linear path. It keeps the network
        from learning noise by heart: choose 0 for data that have none, 5 for few rows that are all
        noise. It spares biases, and draws the map of a window to where it starts.
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
        answer is the mean of their probabilities. The first is what ``n_members=1`` gives;
        start, batches, dropout and, with `early_stopping`, the sequences set aside are other
        ones in each. Long fits run side by side, on as many threads as
        ``torch.get_num_threads()`` says; with `verbose` or callbacks, one after another.
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
    members_ : list of RNNSequenceClassifier
        Fitted estimators of one network each, whose `random_state` is their seed: the estimator
        itself, if it is the only one. After Ctrl-C, those that had been begun.
    state_size_ : int
        Width of a state: ``hidden_size`` for each layer (twice that for "lstm"), then the sums
        of the pooling, if it has any, and of a window that the linear path reads. Those
        of members stand side by side.
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted; one that only sequences of weight 0 have is one of them.
    linear_path_ : str or False
        "window", "pooled" or False: what `linear_path` came to.
    n_outputs_ : int
        1: the class of a sequence, or of a step.
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
    RNNSequenceRegressor : The same for numbers.

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
    without it.

    Several networks that start elsewhere err elsewhere, and their mean errs less than most of them
    (Hansen & Salamon 1990; Lakshminarayanan et al. 2017) [12]_; five are a good number. Member i
    has the seed ``numpy.random.SeedSequence([random_state, i]).generate_state(1)[0]``, the first
    one `random_state` itself, so that a few are the first of many. Their probabilities are added
    in this order, and divided by their number. `warm_start` and `partial_fit` go on with each. A
    fit that fails leaves everything as it was. A callback is told of the members one after
    another; one that returns True stops the member whose epoch it was, or, when a member has
    ended, keeps the next ones from beginning.

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
    >>> from skaernn import RNNSequenceClassifier
    >>> from skaernn.datasets import load_japanese_vowels
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> model = RNNSequenceClassifier("gru", 16, max_iter=10, random_state=0).fit(X, y)
    >>> X[0].shape, X[1].shape, len(X)
    ((20, 12), (26, 12), 270)
    >>> model.predict_proba(X).shape
    (270, 9)

    Texts, as the numbers of their words:

    >>> from sklearn.pipeline import make_pipeline
    >>> from skaernn import SequenceVectorizer
    >>> words = RNNSequenceClassifier("gru", 8, embedding_size=4, max_iter=50, random_state=0)
    >>> model = make_pipeline(SequenceVectorizer(), words)
    >>> model = model.fit(["good", "bad", "a good one", "a bad one"], ["+", "-", "+", "-"])
    >>> model.predict(["a bad film", "a good film"])
    array(['-', '+'], dtype='<U1')
    >>> words.n_tokens_, words.module_.embedding
    (5, Embedding(5, 4))
    """

    __module__ = "skaernn"  # public names: pickles outlive a move of this file

    classes_: np.ndarray

    _parameter_constraints: dict = {
        **PredictorEstimator._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

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
        n_channels: int = 1,
        embedding_size: int | None = None,
        scaling: str | None = "standard",
        dropout: float = 0.0,
        max_grad_norm: float | None = 1.0,
        class_weight: dict | str | None = None,
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
        self.n_channels = n_channels
        self.embedding_size = embedding_size
        self.scaling = scaling
        self.dropout = dropout
        self.max_grad_norm = max_grad_norm
        self.class_weight = class_weight
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

    @available_if(_can_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(  # type: ignore[override]
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | float | None = None,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
    ) -> Self:
        """One more epoch, over the sequences of X, at a constant learning rate.

        The first call fixes the scaling, so give it sequences that are like all.

        Parameters
        ----------
        X, y, sample_weight, lengths, initial_state
            See `fit`.
        classes : array-like of shape (n_classes,) or None
            All classes there will be; to be passed at the first call.

        Returns
        -------
        self : estimator
        """
        given = {"X": X, "y": y, "sample_weight": sample_weight, "lengths": lengths}
        given |= {"initial_state": initial_state, "classes": self._check_classes(classes)}
        return fit_members(self, given, incremental=True)

    def _check_classes(self, classes: ArrayLike | None) -> np.ndarray:
        """All classes, at the first call of `partial_fit` and later ones."""
        if not hasattr(self, "module_"):
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            return classes_of(classes, "classes")
        if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes={classes!r} is not the same as on the last call to partial_fit, which "
                f"was {self.classes_!r}."
            )
        return self.classes_

    def _read_targets(  # type: ignore[override]
        self,
        y: Any,
        sequences: Sequences,
        form: Any,
        *,
        first: bool,
        name: str,
        classes: np.ndarray | None = None,
    ) -> tuple[Targets, Form]:
        labels = check_labels(self, y, sequences, per_step=self.return_sequences, name=name)
        if first:  # a part of y need not have all classes
            classes = classes_of(labels, name) if classes is None else classes
            form = replace(form, n_outputs=1, classes=classes)
        indices = indices_of(labels, form.classes, name)
        return as_targets(indices, sequences, self.return_sequences), form

    def _output(self, form: Any) -> tuple[int, str]:
        return len(form.classes), "softmax"

    def _loss_on(self, answers: Counted, form: Any) -> Loss:
        return CrossEntropy(*class_weights(self.class_weight, form.classes, answers))

    def _attributes(
        self, plan: SequencePlan, form: Form, objective: Any, state: TrainingState
    ) -> dict[str, Any]:
        return {**super()._attributes(plan, form, objective, state), "classes_": form.classes}

    @overload
    def predict_proba(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: Literal[False] = False,
    ) -> np.ndarray: ...

    @overload
    def predict_proba(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: Literal[True],
    ) -> tuple[np.ndarray, np.ndarray]: ...

    @overload
    def predict_proba(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: bool,
    ) -> Answer: ...

    def predict_proba(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: bool = False,
    ) -> Answer:
        """Probabilities of the classes for the sequences of X.

        Parameters
        ----------
        X : array-like or list of array-like
            In any of the forms that `fit` takes; sequences may have other lengths than there.
        lengths : array-like of int of shape (n_samples,) or None
        initial_state : array-like of shape (n_samples, state_size_) or None
            Where the sequences of X go on from. None: zeros.
        return_state : bool, default=False
            Give the states at the ends of the sequences as well.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In X's dtype; with `return_sequences` (n_samples, n_steps, n_classes), zero beyond
            the end of a sequence; for a list, (n_samples,) of arrays.
        state : ndarray of shape (n_samples, state_size_)
            If `return_state`.
        """
        return self._probabilities(X, lengths, initial_state, return_state, np.asarray)

    @overload
    def predict_log_proba(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: Literal[False] = False,
    ) -> np.ndarray: ...

    @overload
    def predict_log_proba(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: Literal[True],
    ) -> tuple[np.ndarray, np.ndarray]: ...

    @overload
    def predict_log_proba(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: bool,
    ) -> Answer: ...

    def predict_log_proba(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: bool = False,
    ) -> Answer:
        """Logarithms of `predict_proba`.

        Parameters
        ----------
        X, lengths, initial_state, return_state
            See `predict_proba`.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            As `predict_proba`; with `return_sequences`, zero beyond the end of a sequence too.
        state : ndarray of shape (n_samples, state_size_)
            If `return_state`.
        """
        with interrupts_deferred(), np.errstate(divide="ignore"):
            return self._probabilities(X, lengths, initial_state, return_state, np.log)

    def _of_steps(self) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
        return {
            "predict": lambda output: self.classes_[output.argmax(axis=1)],
            "predict_proba": lambda output: output,
        }

    def _probabilities(
        self,
        X: ArrayLike,
        lengths: ArrayLike | None,
        initial_state: ArrayLike | None,
        return_state: bool,
        function: Callable[[np.ndarray], np.ndarray],
    ) -> Answer:
        sequences, output, ended = self._run_on(X, lengths, initial_state, return_state)
        output = function(output)
        if self._per_step:
            output = sequences.answer(output, flat=False)
        return returned([output], ended, return_state)

    @overload
    def predict(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: Literal[False] = False,
    ) -> np.ndarray: ...

    @overload
    def predict(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: Literal[True],
    ) -> tuple[np.ndarray, np.ndarray]: ...

    @overload
    def predict(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: bool,
    ) -> Answer: ...

    def predict(
        self,
        X: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
        return_state: bool = False,
    ) -> Answer:
        """The most probable class for the sequences of X.

        Parameters
        ----------
        X, lengths, initial_state, return_state
            See `predict_proba`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            With `return_sequences` (n_samples, n_steps), the first class beyond the end of a
            sequence; for a list, (n_samples,) of arrays.
        state : ndarray of shape (n_samples, state_size_)
            If `return_state`.
        """
        sequences, output, ended = self._run_on(X, lengths, initial_state, return_state)
        answer = output.argmax(axis=1)
        if self._per_step:
            answer = sequences.answer(answer[:, None], flat=True)
        if answer.dtype == object:
            answer[:] = [self.classes_[part] for part in answer]
        else:
            answer = self.classes_[answer]
        return returned([answer], ended, return_state)

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | float | None = None,
        *,
        lengths: ArrayLike | None = None,
        initial_state: ArrayLike | None = None,
    ) -> float:
        """Share of right predictions.

        Parameters
        ----------
        X, y, sample_weight, lengths, initial_state
            See `fit`.

        Returns
        -------
        score : float
            With `return_sequences`, over all valid steps together.
        """
        with interrupts_deferred():  # once, and not by each part
            sequences, output, _ = self._run_on(X, lengths, initial_state)
            return accuracy_of(self, sequences, output, y, sample_weight, per_step=self._per_step)
