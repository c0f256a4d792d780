"""Many live sequences, a step at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from .._core.constraints import check_count
from .._core.device import numpy_dtype
from .._core.interrupts import interrupts_deferred
from .._inference.parts import on_threads
from .._inference.sequences import linked, run_network, vectors_of
from .._inputs.sequences import Sequences
from .._inputs.tokens import as_tokens
from .._native.library import compiled_kernels
from .._native.structures import Run
from ..networks import EmbeddedNetwork
from .predictor_base import PredictorEstimator

_STREAMS = 4096  # from so many on, a second thread pays


class Stream:
    """The states of many live sequences, each of which goes on whenever a step of it arrives.

    An answer is equal, to the last bit, to that of ``predict`` on all steps that its stream has
    had; a step costs the same however many came before it.

    Parameters
    ----------
    model : RNNSequenceRegressor or RNNSequenceClassifier
        Fitted, and not bidirectional. What becomes of it later is nothing to the stream. All its
        members take each step.
    n_streams : int, default=1
        Number of live sequences, which are numbered from 0 on.
    method : str, default="predict"
        What answers are: those of ``predict``, or, of a classifier, of ``predict_proba``.

    Attributes
    ----------
    states : ndarray of shape (n_streams, state_size_)
        All that streams remember, in the model's type: a copy. Setting it goes back to a snapshot,
        or on from the states of ``predict(..., return_state=True)``. Zeros: nothing has come yet.

    Raises
    ------
    TypeError
        If the model is of another kind.
    ValueError
        If the model has no states, or no such method, or `n_streams` is no positive int.

    Examples
    --------
    >>> import numpy as np
    >>> from skaernn import RNNSequenceRegressor, Stream
    >>> X = np.linspace(0, 1, 60, dtype=np.float32).reshape(3, 20, 1)
    >>> model = RNNSequenceRegressor("gru", max_iter=3, random_state=0).fit(X, X[:, -1, 0])
    >>> stream = Stream(model, n_streams=3)
    >>> answers = [stream.push(X[:, t]) for t in range(20)]
    >>> bool((answers[-1] == model.predict(X)).all())
    True
    >>> stream.push([[0.5]], ids=[1]).shape  # only one of them goes on
    (1,)
    """

    def __init__(
        self, model: PredictorEstimator, n_streams: int = 1, *, method: str = "predict"
    ) -> None:
        if not isinstance(model, PredictorEstimator):
            raise TypeError(
                "A stream is that of an RNNSequenceRegressor or RNNSequenceClassifier, and "
                f"model is a {type(model).__name__}; of a pipeline or a search, pass the fitted "
                "last step."
            )
        n_streams = check_count(n_streams, "n_streams")
        model._check_is_fitted()
        stateless = model._fitted.network.stateless
        if stateless:
            raise ValueError(f"There is no state that a stream could keep with {stateless}.")
        known = model._of_steps()
        if method not in known:
            raise ValueError(
                f"method={method!r} is nothing that a stream of {type(model).__name__} answers; "
                f"expected one of {', '.join(map(repr, known))}."
            )
        self._model, self._method, self._n = copy.deepcopy(model), method, n_streams
        self._prepare()

    def _prepare(self) -> None:
        model = self._model
        self._n_channels, self._known = model._form.n_channels, model._form.known
        self._answer: Callable[[np.ndarray], np.ndarray] = model._of_steps()[self._method]
        self._lanes = [_Lane(member, self._n) for member in model.members_]
        self._places: np.ndarray | None = None  # in which row of `ids` a stream was named last

    def __len__(self) -> int:
        return self._n

    def push(self, x: ArrayLike, ids: ArrayLike | None = None) -> np.ndarray:
        """The next step of all streams, or of some, and what the model says now.

        Parameters
        ----------
        x : array-like of shape (n, n_channels)
            A step for each of the streams. float32 and float64 are taken as they are, all else
            becomes float64. Numbers are not looked at: NaN stays in its stream.
        ids : array-like of int of shape (n,) or None
            Which streams these are; each at most once. None: all of them.

        Returns
        -------
        answers : ndarray of shape (n,) or (n, n_outputs)
            In x's type.

        Raises
        ------
        ValueError, IndexError
            If `x` or `ids` is of the wrong shape or type, names a stream that is not there, or
            one twice; nothing changes then.
        """
        steps = self._checked_steps(x)
        rows = None if ids is None else self._checked_ids(ids, len(steps))
        if rows is None and len(steps) != self._n:
            raise ValueError(
                f"x has {len(steps)} rows, and there are {self._n} streams; for some of "
                "them, pass ids."
            )
        with interrupts_deferred():
            output = self._lanes[0].run(steps, rows)
            if len(self._lanes) > 1:
                others = [lane.run(steps, rows) for lane in self._lanes[1:]]
                output = self._model._agreed([output, *others])
        return self._answer(output)

    def reset(self, ids: ArrayLike | None = None) -> Stream:
        """Begin anew: all streams, or those of `ids`.

        Parameters
        ----------
        ids : array-like of int of shape (n,) or None

        Returns
        -------
        self : Stream
        """
        rows = slice(None) if ids is None else self._checked_ids(ids, None)
        for part in self._kept:
            part[rows] = 0
        return self

    @property
    def states(self) -> np.ndarray:
        return np.concatenate(self._kept, axis=1)

    @states.setter
    def states(self, states: ArrayLike) -> None:
        states = np.asarray(states)
        widths = [part.shape[1] for part in self._kept]
        expected = self._n, sum(widths)
        if states.shape != expected:
            raise ValueError(f"states has shape {states.shape}; expected {expected}.")
        parts = np.split(states, np.cumsum(widths)[:-1], axis=1)
        for kept, part in zip(self._kept, parts, strict=True):
            kept[:] = part

    @property
    def _kept(self) -> list[np.ndarray]:
        return [part for lane in self._lanes for part in lane.kept]

    def _checked_steps(self, x: ArrayLike) -> np.ndarray:
        steps = np.asarray(x)
        if steps.ndim != 2 or steps.shape[1] != self._n_channels:
            raise ValueError(
                f"x has shape {steps.shape}; expected (n, {self._n_channels}): a step for each "
                "stream, a column for each channel."
            )
        if steps.dtype.char not in "fd" or not steps.dtype.isnative:
            if steps.dtype.kind not in "fiub":
                raise ValueError(f"x holds {steps.dtype}; a step is made of numbers.")
            steps = steps.astype(np.float64)
        if self._known is not None:
            one = np.ones(len(steps), dtype=np.int64)
            rows = Sequences(steps, np.arange(len(steps)), one, 1)
            return as_tokens(rows, self._known, "x").steps
        return np.ascontiguousarray(steps)

    def _checked_ids(self, ids: ArrayLike, n: int | None) -> np.ndarray:
        rows = np.asarray(ids)
        if rows.size == 0:
            rows = rows.astype(np.int64)
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or n not in (None, len(rows)):
            wanted = "whole numbers" if n is None else f"{n} whole numbers, one for each row of x"
            raise ValueError(f"ids has shape {rows.shape} and type {rows.dtype}; pass {wanted}.")
        rows = np.ascontiguousarray(rows, dtype=np.int64)
        if len(rows) and not (rows.min() >= 0 and rows.max() < self._n):
            raise IndexError(
                f"ids goes from {rows.min()} to {rows.max()}; streams are numbered from 0 to "
                f"{self._n - 1}."
            )
        if self._places is None:
            self._places = np.empty(self._n, dtype=np.int64)
        order = np.arange(len(rows))
        self._places[rows] = order
        again = self._places[rows] != order
        if again.any():
            raise ValueError(f"ids names stream {rows[again][0]} twice: a push is one step of it.")
        return rows

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self._model, "method": self._method, "states": self.states}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._model, self._method = state["model"], state["method"]
        self._n = len(state["states"])
        self._prepare()
        self.states = state["states"]


class _Lane:
    """The states of all streams in one network, and its way forward.

    Parameters
    ----------
    model : PredictorEstimator
        Of one network.
    n_streams : int
    """

    def __init__(self, model: PredictorEstimator, n_streams: int):
        network, module, device = model._fitted.network, model.module_, model.device_
        self._embedding = None
        if isinstance(network, EmbeddedNetwork):
            self._embedding = network, module
            network, module = network.unlinked, module.network
        self._network, self._module, self._device = network, module, device
        width = sum(network.state_widths)
        self.states = np.zeros((n_streams, width), dtype=numpy_dtype(module.dtype))
        self.kept = [self.states]
        if self._embedding is not None and self._embedding[0].pools:  # of the bag of words
            shape = n_streams, network.n_outputs + 1
            self.kept.append(np.zeros(shape, dtype=self.states.dtype))
        functions = compiled_kernels() if device.type == "cpu" else None
        with torch.inference_mode():
            self._compiled = None if functions is None else network.compiled(functions, module)
        self._template = Run(states=self.states.ctypes.data, stride=1, begin=0, end=1)

    def run(self, steps: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
        """What the network says of a step of all streams, or of those in `rows`."""
        if self._embedding is None:
            return self._run_vectors(steps, rows)
        network, module = self._embedding
        tokens = steps[:, 0]
        output = self._run_vectors(vectors_of(module, tokens), rows)
        if not network.bag:
            return output
        chosen = slice(None) if rows is None else rows
        pooled = self.kept[-1][chosen] if network.pools else np.empty(0)
        output = linked(network, module, output, tokens, np.ones_like(tokens), pooled)
        if network.pools:
            self.kept[-1][chosen] = pooled
        return output

    def _run_vectors(self, steps: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
        n, compiled = len(steps), self._compiled
        if compiled is None:
            return self._run_by_torch(steps, rows)
        output = np.empty((n, self._network.n_outputs), dtype=steps.dtype)

        def run(first: int, last: int) -> None:
            now = Run.from_buffer_copy(self._template)
            now.steps, now.outputs = steps.ctypes.data, output.ctypes.data
            now.state_rows = None if rows is None else rows.ctypes.data
            now.first, now.last = first, last
            compiled.run(steps.dtype.char, now)

        n_threads = min(torch.get_num_threads(), n // _STREAMS) if n >= 2 * _STREAMS else 1
        if n_threads == 1:
            run(0, n)
        else:
            ends = [n * i // n_threads for i in range(n_threads + 1)]
            on_threads(run, list(pairwise(ends)), n_threads)
        return output

    def _run_by_torch(self, steps: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
        if not len(steps):
            return np.empty((0, self._network.n_outputs), dtype=steps.dtype)
        one = np.ones(len(steps), dtype=np.int64)
        sequences = Sequences(steps, np.arange(len(steps)), one, 1)
        began = self.states if rows is None else self.states[rows]
        output, ended = run_network(self._network, self._module, sequences, began, self._device)
        self.states[slice(None) if rows is None else rows] = ended
        return output
