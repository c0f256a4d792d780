"""What the checks of a sequence estimator work with: data, calls, comparison."""

from __future__ import annotations

import inspect
from functools import cache, cached_property
from typing import Any
from unittest import SkipTest

import numpy as np
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.utils import get_tags

from ._sequence_forms import ARRAY, GARBAGE, LIST, Form, with_lengths, with_nan

N_CHANNELS = 3
LENGTHS = (4, 3, 1, 4, 2, 4, 3)
METHODS = ("predict", "predict_proba", "decision_function", "transform")
RTOL = {2: 1e-2, 4: 1e-4, 8: 1e-7}  # by the bytes of a number
FIT_FACTOR = 100


def accepts(function, *names: str) -> bool:
    """Whether a function or method has all these arguments."""
    return set(names) <= _arguments(getattr(function, "__func__", function))


@cache
def _arguments(function) -> set:
    return set(inspect.signature(function).parameters)


def fail(message: str):
    """An assertion that python -O keeps."""
    raise AssertionError(message)


def called(what: str, function, *args, **kwargs) -> Any:
    """Result of a call that should succeed."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        raise AssertionError(f"{what} raised {type(error).__name__}: {error}") from error


def refused(what: str, function, *args, **kwargs) -> None:
    """A call that should raise ValueError."""
    try:
        function(*args, **kwargs)
    except ValueError:
        return
    except Exception as error:
        kind = type(error).__name__
        raise AssertionError(f"{what}: expected a ValueError, got {kind}: {error}") from error
    fail(f"{what}: expected a ValueError, and nothing was raised.")


def _steps(n_classes: int) -> np.ndarray:
    """Noise of which the first two channels tell the targets, (2, n, T, C)."""
    n, n_steps = len(LENGTHS), max(LENGTHS)
    i, t = np.arange(n)[:, None], np.arange(n_steps)
    steps = np.random.default_rng(0).normal(size=(2, n, n_steps, N_CHANNELS))
    steps[..., :2] *= 0.3
    steps[..., 0] += i % n_classes
    steps[..., 1] += (i + t) % n_classes
    return steps


class Probe:
    """An estimator under test, with data for it.

    Parameters
    ----------
    estimator : estimator
        Cloned for every fit; its seed and its `n_channels` are set here.
    exact : bool
    rtol, atol : float or None
    dtype : dtype
        Of X.

    Attributes
    ----------
    X, even : list of ndarray of shape (T_i, C)
        Sequences of unequal length, and of equal length.
    has_lengths, stateful, per_step : bool
        What the estimator has.
    method : str
        What it is there for: "predict" or, for a transformer, "transform".
    """

    def __init__(self, estimator, *, exact: bool, rtol, atol, dtype):
        self._exact, self._rtol, self._atol = exact, rtol, atol
        self.method = "predict"
        if not (is_regressor(estimator) or is_classifier(estimator)):
            self.method = "transform"
            if not hasattr(estimator, "transform") or hasattr(estimator, "predict"):
                raise TypeError(
                    f"{estimator!r} is neither a regressor nor a classifier, nor a transformer."
                )
        parameters = estimator.get_params()
        self.per_step = bool(parameters.get("return_sequences", False))
        self._bidirectional = bool(parameters.get("bidirectional", False))
        self._own_cell = callable(parameters.get("cell"))
        self._rows = "n_channels" in parameters
        given = {name: 0 for name in parameters if name.endswith("random_state")}
        if self._rows:
            given["n_channels"] = N_CHANNELS
        self._estimator = clone(estimator).set_params(**given)
        method = getattr(estimator, self.method)
        self.has_lengths = all(accepts(f, "lengths") for f in (estimator.fit, method))
        self._takes_state = accepts(method, "initial_state", "return_state")
        self.stateful = self._takes_state and not (self._bidirectional or self._own_cell)
        steps = _steps(self._n_classes or 3).astype(dtype)
        self.X = [row[:length] for row, length in zip(steps[0], LENGTHS, strict=True)]
        self.even = list(steps[1])

    # targets

    @cached_property
    def _n_classes(self) -> int | None:
        if not is_classifier(self._estimator):
            return None
        return 3 if get_tags(self._estimator).classifier_tags.multi_class else 2

    def targets(self, parts: list, form: Form, *, beyond=None) -> Any:
        """Classes, or numbers in (0, 1), which every loss takes; None for a transformer.

        Parameters
        ----------
        parts : list of ndarray
        form : Form
            Of X.
        beyond : scalar or None
            What targets of steps are padded with; None: what could be a target.
        """
        if self.method == "transform":
            return None
        values = np.arange(len(parts))
        if self.per_step:
            values = [i + np.arange(len(part)) for i, part in enumerate(parts)]
        values = [self._target(value) for value in values]
        if not self.per_step:
            return np.array(values)
        if beyond == GARBAGE and self._n_classes:
            beyond = 77
        return form.y(values, self._target(0) if beyond is None else beyond)

    def _target(self, number):
        if self._n_classes:
            return number % self._n_classes
        return 0.15 + 0.35 * (number % 3) + 0.1 * np.sin(2.5 * number)

    # what applies

    def need_lengths(self) -> None:
        """Skip a check of `lengths` where there is no such argument."""
        if not self.has_lengths:
            raise SkipTest(f"fit and {self.method} have no argument lengths.")

    def need_channels(self) -> None:
        """Skip a check of 2-D X where nothing says what it means."""
        if not self._rows:
            raise SkipTest("There is no parameter n_channels.")

    def need_state(self) -> None:
        """Skip a check of states where there are none."""
        if not self._takes_state:
            raise SkipTest(f"{self.method} has no arguments initial_state and return_state.")
        if self._bidirectional:
            raise SkipTest("bidirectional=True has no state to carry on.")
        if self._own_cell:
            raise SkipTest("A cell that is a function need not have a state.")

    def need_both_directions(self) -> None:
        """Skip a check of what cannot have a state where it can."""
        if not (self._takes_state and self._bidirectional):
            raise SkipTest("Not bidirectional with states for one direction.")

    def need_targets_of_steps(self) -> None:
        """Skip a check of targets of steps where a sequence has one."""
        if not self.per_step:
            raise SkipTest("return_sequences is not True: steps have no targets.")

    # calls

    def ask(self, model, X, **given) -> Any:
        """What `model` answers by the one method that it is there for."""
        return getattr(model, self.method)(X, **given)

    def new(self):
        """An unfitted clone."""
        return clone(self._estimator)

    def fit(self, parts: list, form: Form = LIST, *, model=None, beyond=None):
        """A new estimator, or `model`, fitted on sequences in a form."""
        model = self.new() if model is None else model
        y = self.targets(parts, form, beyond=beyond)
        what = f"fit of {form.name}"
        if called(what, model.fit, form.X(parts), y, **form.arguments(parts)) is not model:
            fail(f"{what} did not return the estimator.")
        return model

    @cached_property
    def model(self):
        """Fitted on sequences of unequal length."""
        return self.fit(self.X)

    @cached_property
    def even_model(self):
        """Fitted on an array."""
        return self.fit(self.even, ARRAY)

    @cached_property
    def expected(self) -> dict:
        """What `model` answers to what it was fitted on."""
        return self.answers(self.model, self.X)

    @cached_property
    def even_expected(self) -> dict:
        """What `even_model` answers to what it was fitted on."""
        return self.answers(self.even_model, self.even, ARRAY)

    @cached_property
    def stream(self) -> tuple[list, list, dict, dict]:
        """Sequences in two pieces, and what `model` answers to the first ones and to the whole."""
        parts = [part for part in [*self.X, *self.even] if len(part) > 1]
        cuts = [1 + i % (len(part) - 1) for i, part in enumerate(parts)]
        begun = [part[:cut] for part, cut in zip(parts, cuts, strict=True)]
        ends = [part[cut:] for part, cut in zip(parts, cuts, strict=True)]
        return begun, ends, self.answers(self.model, begun), self.answers(self.model, parts)

    @cached_property
    def padded_model(self):
        """Fitted on what `model` was, padded."""
        return self.fit(self.X, with_lengths())

    @cached_property
    def padded_expected(self) -> dict:
        """What `padded_model` answers to a list."""
        return self.answers(self.padded_model, self.X)

    @cached_property
    def twin(self):
        """Another estimator, fitted on what `model` was."""
        return self.fit(self.X)

    @cached_property
    def nan_model(self):
        """Fitted on what `model` was, padded with NaN; for estimators that take it."""
        if get_tags(self._estimator).input_tags.allow_nan:
            raise SkipTest("The tag allow_nan says that NaN is a value.")
        form = with_nan(3)
        y = self.targets(self.X, form)
        try:
            return self.new().fit(form.X(self.X), y)
        except ValueError as error:
            raise SkipTest(f"NaN beyond the end is refused: {error}") from error

    def answers(self, model, parts: list, form: Form = LIST, state=None) -> dict:
        """What each method answers, one entry a sequence, without padding; and the states.

        Parameters
        ----------
        model : estimator
        parts : list of ndarray
        form : Form
        state : ndarray or None
            `initial_state`.

        Returns
        -------
        answers : dict
            By the name of the method; "state", if there are any.
        """
        given = form.arguments(parts)
        if state is not None:
            given["initial_state"] = state.copy()
        found = {}
        for method in METHODS:
            function = getattr(model, method, None)
            if function is None or (method != self.method and not accepts(function, *given)):
                continue
            more = {"return_state": True} if self.stateful and method == self.method else {}
            what = f"{method} of {form.name}"
            answer = called(what, function, form.X(parts), **given, **more)
            if more:
                answer, found["state"] = self._with_state(answer, len(parts), what)
            found[method] = self._unpadded(answer, parts, form, what)
        return found

    def _with_state(self, answer, n: int, what: str) -> tuple[Any, np.ndarray]:
        if not isinstance(answer, tuple) or len(answer) != 2:
            fail(f"{what} with return_state=True gave no pair of an answer and a state.")
        state = answer[1]
        if not isinstance(state, np.ndarray) or state.shape[:1] != (n,):
            shape = getattr(state, "shape", type(state).__name__)
            fail(f"{what}: expected a state with a row for each of {n} sequences, got {shape}.")
        return answer[0], state.copy()  # not a buffer that the next call writes to

    def _unpadded(self, answer, parts: list, form: Form, what: str) -> list:
        if not hasattr(answer, "__len__") or len(answer) != len(parts):
            got = f"{len(answer)} answers" if hasattr(answer, "__len__") else type(answer).__name__
            fail(f"{what}: expected an answer for each of {len(parts)} sequences, got {got}.")
        rows = [np.array(row) for row in answer]
        if not self.per_step:
            return rows
        n_steps = max(len(part) for part in parts) + form.n_more
        for i, (row, part) in enumerate(zip(rows, parts, strict=True)):
            wanted = {len(part)} if form.layout == "list" else {len(part), n_steps}
            if row.ndim == 0 or len(row) not in wanted:
                fail(
                    f"{what}: sequence {i} has {len(part)} steps, and its answers have shape "
                    f"{row.shape}."
                )
        return [row[: len(part)] for row, part in zip(rows, parts, strict=True)]

    # comparison

    def same(self, found: dict, expected: dict, what: str, *, of_fits: bool = False) -> None:
        """Fail, and say where and by how much, unless answers agree.

        Parameters
        ----------
        found, expected : dict
            See `answers`; methods that are in both are compared.
        what : str
        of_fits : bool
            Whether they come from two fits, which multiply rounding.
        """
        for method in [name for name in expected if name in found]:
            pairs = list(zip(found[method], expected[method], strict=True))
            for i, (a, b) in enumerate(pairs):
                if a.shape != b.shape:
                    fail(f"{what}: {method}, sequence {i}: shape {a.shape} instead of {b.shape}.")
            a, b = (np.concatenate([np.ravel(p[k]) for p in pairs]) for k in (0, 1))
            allowed = self._allowed(a, b, FIT_FACTOR if of_fits else 1)
            apart = _distances(a, b)
            if (wrong := ~(apart <= allowed)).any():  # NaN is wrong as well
                worst = int(np.argmax(np.where(np.isnan(apart), np.inf, apart - allowed)))
                where = _place([row.shape for row, _ in pairs], worst, method, self.per_step)
                got, wanted = (values[worst : worst + 1].tolist()[0] for values in (a, b))
                fail(
                    f"{what}: {method}, {where}: {got!r} instead of {wanted!r}, "
                    f"{apart[worst]:.3g} apart with {allowed[worst]:.3g} allowed; "
                    f"{wrong.sum()} of {wrong.size} values differ."
                )

    def _allowed(self, a: np.ndarray, b: np.ndarray, factor: float) -> np.ndarray:
        """How far numbers may be apart; labels must be equal."""
        if self._exact or a.dtype.kind != "f" or b.dtype.kind != "f":
            return np.zeros(b.shape)
        rtol = self._rtol
        if rtol is None:
            rtol = RTOL[min(max(min(a.itemsize, b.itemsize), 2), 8)]
        size = np.abs(np.where(np.isfinite(b), b, 0))
        atol = rtol * size.max(initial=0) if self._atol is None else self._atol
        return factor * (atol + rtol * size)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Between numbers; infinite between labels that differ. NaN is far from everything."""
    if a.dtype.kind in "fiub" and b.dtype.kind in "fiub":
        with np.errstate(invalid="ignore"):
            return np.abs(np.subtract(a, b, dtype=np.float64))
    return np.where(a == b, 0.0, np.inf)


def _place(shapes: list, position: int, method: str, per_step: bool) -> str:
    """Words for where a number is."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    i = int(np.searchsorted(np.cumsum(sizes), position, side="right"))
    inner = np.unravel_index(position - sum(sizes[:i]), shapes[i]) if shapes[i] else ()
    steps = ["step"] if per_step and method != "state" else []
    axes = [*steps, *["column"] * len(inner)][: len(inner)]
    return ", ".join([f"sequence {i}", *(f"{a} {j}" for a, j in zip(axes, inner, strict=True))])
