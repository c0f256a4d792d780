"""The course of a fit: read, select, plan, train, leave."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from .._core.device import resolve_device, threads_for
from .._core.interrupts import check_interrupts, interrupts_deferred
from .._core.memory import is_out_of_memory
from .._inputs.arrays import check_fits_dtype, check_validation_inputs
from .._inputs.memory import check_memory, out_of_memory_named
from .._rows.batch import Source
from .._rows.content import Content
from .._rows.selection import Selection, select
from .._training.loop import Plateau, TrainingState, finish, train
from .._training.objective import RowsObjective
from .._training.reports import report_end, reporting
from .._training.solvers import SCHEDULES, SOLVERS

TORCH_DTYPES = {"float32": torch.float32, "float64": torch.float64}
_OF_A_RUNNING_FIT = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")
_SMALL_BATCH = 200  # what "auto" stands for, of more rows than that
_SHAPES = "hidden_layer_sizes", "image_shape"  # parameters that may be tuples, lists, arrays


@dataclass(frozen=True)
class TrainingInput:
    """What was passed to `fit`, checked.

    Attributes
    ----------
    X, y, metadata
        As callbacks want them.
    form : object
        What later input must agree with.
    dtype : dtype
        Of X.
    numbers : callable
        Gives every number of X, and of what else may be too large for training, by name.
    content : Content
    weight : ndarray of shape (n_samples,) or None
    series : callable
        Gives the number of the series (n_samples,) that each row is a window of, or None: what
        is held out of windows are the last ones.
    stretches : callable or None
        From the indices of some rows and a number to which of so many stretches of their series
        each of all rows (n_samples,) comes from, or to None.
    rows : callable
        From selections, a device and a dtype to the rows of each, unscaled.
    """

    X: Any
    y: Any
    metadata: dict | None
    form: Any
    dtype: np.dtype
    numbers: Callable[[], dict[str, np.ndarray]]
    content: Content
    weight: np.ndarray | None
    series: Callable[[], np.ndarray | None]
    rows: Callable[[list[Selection], torch.device, torch.dtype], list[Source]]
    stretches: Callable[[np.ndarray, int], np.ndarray | None] | None = None


@dataclass(frozen=True)
class Fitted:
    """What a fit leaves for later calls, beside what users may read.

    Attributes
    ----------
    network
        Description of the network that was trained.
    parameters : dict
        Those that its weights cannot outlive.
    seed : int
        What all randomness of the fit was a function of.
    solver : str
    slots : dict of Tensor
        The solver's memory, if `partial_fit` is to go on with it.
    limits : tuple of ndarray or None
        Smallest and largest value of each feature, scaled, where a corruption reads them.
    alpha : float or None
        What the L2 penalty of an autoencoder of vectors came to.
    noise : float or None
        Variance of the rows around their codes' means, scaled, in a variational autoencoder.
    members : list of estimators or None
        Those that the answer is the mean of.
    """

    network: Any
    parameters: Mapping[str, Any]
    seed: int
    solver: str
    slots: dict[str, Any] = field(default_factory=dict)
    limits: tuple[np.ndarray, np.ndarray] | None = None
    alpha: float | None = None
    noise: float | None = None
    members: list | None = None


@dataclass(frozen=True)
class Course:
    """What a fit is to train, and on what.

    Attributes
    ----------
    plan : Plan
    data : TrainingInput
    held_out : TrainingInput or None
        Validation rows that were passed.
    resumes : bool
        Whether it goes on with the weights there are.
    incremental : bool
        Whether this is `partial_fit`.
    """

    plan: Any
    data: TrainingInput
    held_out: TrainingInput | None
    resumes: bool
    incremental: bool


@contextmanager
def undone_if_refused(estimator):
    """Context of a fit, independent of torch's modes.

    Every change to `estimator` is undone if something is raised before training left its mark.
    """
    before = dict(vars(estimator))
    try:
        with torch.inference_mode(False), torch.no_grad():
            yield
    except BaseException:
        now = vars(estimator)
        if now.get("module_") is before.get("module_"):
            running = {name: now[name] for name in _OF_A_RUNNING_FIT if name in now}
            now.clear()
            now.update(before, **running)
        raise


def fit(estimator, inputs: dict, held_out: dict | None = None, *, incremental: bool = False):
    """Fit `estimator`; the course of every fit.

    Parameters
    ----------
    estimator : NeuralEstimator
    inputs, held_out : dict
        Arguments of `fit`, for training and, if any were passed, for validation.
    incremental : bool
        Whether this is `partial_fit`.

    Returns
    -------
    estimator
    """
    with interrupts_deferred(), undone_if_refused(estimator):
        course = read(estimator, inputs, held_out, incremental=incremental)
        check_interrupts()
        train_on(estimator, course)
    return estimator


def read(estimator, inputs: dict, held_out: dict | None, *, incremental: bool) -> Course:
    """Check parameters and arguments of a fit; see `fit`."""
    resumes = (incremental or estimator.warm_start) and hasattr(estimator, "module_")
    plan = estimator._plan()
    check_solver(estimator, plan)
    held_out = check_validation_inputs(estimator.early_stopping, held_out)
    if resumes:
        _check_continuable(estimator)
    data = estimator._read(plan, estimator._form if resumes else None, **inputs)
    other = None
    if held_out is not None:
        other = estimator._read(plan, data.form, suffix="_val", **held_out)
    return Course(plan, data, other, resumes, incremental)


def train_on(estimator, course: Course, report: Callable = reporting) -> str:
    """Train `estimator`, and leave what training is to leave; why it ended.

    Parameters
    ----------
    estimator : NeuralEstimator
    course : Course
    report : callable
        Gives the context with the reporter.
    """
    plan, data, resumes, incremental = course.plan, course.data, course.resumes, course.incremental
    device = resolve_device(estimator.device)
    dtype = _dtype_on(device, data.dtype, estimator, resumes)
    network = plan.network(data)
    sizes = plan.sizes(network)
    check_memory(network.layout.size, dtype, device, sizes, plan.advice)
    seed = seed_for(estimator, resumes and incremental)
    rows, validation_rows = _select(estimator, course, seed, device, dtype)
    check_interrupts()
    batch_size = min(most_batch_rows(estimator), len(rows))
    with (
        threads_for(2 * batch_size * network.largest_product, device),
        torch.autocast(device.type, enabled=False),
        out_of_memory_named(batch_size, sizes, _smaller_batch(estimator), plan.advice),
    ):
        how = {"alpha": estimator.alpha, "shuffle": estimator.shuffle, "seed": seed}
        how["batch_size"] = batch_size
        if resumes:
            objective = plan.resume(estimator._fitted, estimator.module_, rows, data.form, **how)
        else:
            objective = plan.begin(network, rows, data, **how)
        _check_batch_memory(estimator, plan, objective)
        validation = objective.on(validation_rows) if validation_rows is not None else None
        state = _state(estimator, objective, seed, resumes, incremental)
        if validation is not None:
            state.best_loss = validation.evaluate(state.theta)
        _train(estimator, course, objective, validation, state, report)
    return state.reason


def can_partial_fit(estimator) -> bool:
    """Whether there is a `partial_fit`; an AttributeError says why not."""
    if estimator.early_stopping:
        raise AttributeError("partial_fit is not available with early_stopping=True.")
    if estimator.solver in SOLVERS and SOLVERS[estimator.solver].full_batch:
        raise AttributeError(f"partial_fit is not available with solver={estimator.solver!r}.")
    return True


def check_solver(estimator, plan) -> None:
    """Refuse what L-BFGS cannot have."""
    refused = {"early_stopping": estimator.early_stopping, **plan.noise}
    for name, value in refused.items():
        if SOLVERS[estimator.solver].full_batch and value:
            raise ValueError(
                f"solver={estimator.solver!r} does not support {name}={value!r}: its line search "
                "needs the same loss throughout. Use solver='adam' or 'sgd'."
            )


def comparable(estimator, names) -> dict[str, Any]:
    """Parameters as values that can be compared and pickled."""
    found = {}
    for name in names:
        value = getattr(estimator, name)
        if name in _SHAPES and value is not None:
            value = tuple(np.atleast_1d(value).tolist())
        found[name] = value.item() if isinstance(value, np.generic) else value
    return found


def _check_continuable(estimator) -> None:
    """Refuse to continue weights that belong to another architecture."""
    fitted = estimator._fitted.parameters
    for name, now in comparable(estimator, fitted).items():
        if now != fitted[name]:
            raise ValueError(
                f"{name} changed from {fitted[name]!r} to {now!r} since the last fit, so that its "
                f"weights cannot be continued. Restore {name}, or fit with warm_start=False."
            )


def _dtype_on(device: torch.device, given: np.dtype, estimator, resumes: bool) -> torch.dtype:
    """What to compute in: X's type, unless `dtype` or the network that is there says else."""
    dtype = estimator.module_.dtype if resumes else TORCH_DTYPES[estimator.dtype or given.name]
    if device.type == "mps" and torch.float64 in (dtype, TORCH_DTYPES[given.name]):
        raise ValueError("device='mps' has no float64: pass X as float32.")
    return dtype


def seed_for(estimator, keeps: bool) -> int:
    """The fit's seed: an int as it is, else one integer of the generator named."""
    if keeps:
        return estimator._fitted.seed
    if isinstance(estimator.random_state, Integral):
        return int(estimator.random_state)
    return int(check_random_state(estimator.random_state).randint(np.iinfo(np.int32).max))


def most_batch_rows(estimator) -> int:
    """Rows of a batch, if there are that many."""
    if SOLVERS[estimator.solver].full_batch:
        return sys.maxsize
    return _SMALL_BATCH if estimator.batch_size == "auto" else int(estimator.batch_size)


def _smaller_batch(estimator) -> str:
    """What to choose where a batch is too large for memory."""
    full = SOLVERS[estimator.solver].full_batch
    return "solver='adam' and a smaller batch_size" if full else "a smaller batch_size"


def _check_batch_memory(estimator, plan, objective: RowsObjective) -> None:
    """Refuse a batch whose way through the network memory cannot hold."""
    network, rows = objective.network, objective.rows
    check_memory(
        network.layout.size,
        rows.dtype,
        rows.device,
        plan.sizes(network),
        plan.advice,
        n_rows=objective.at_once,
        n_numbers=objective.n_numbers,
        remedy=_smaller_batch(estimator),
    )


def _select(
    estimator,
    course: Course,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[Source, Source | None]:
    """Rows to train on and, with early stopping, rows to validate on."""
    plan, data, other = course.plan, course.data, course.held_out
    splits = estimator.early_stopping and other is None
    chosen = select(
        data.content,
        data.weight,
        keyed=plan.keyed,
        batch_size=most_batch_rows(estimator),
        shuffle=estimator.shuffle,
        validation=(estimator.validation_fraction, seed, data.series()) if splits else None,
    )
    rows, *others = data.rows(chosen, device, dtype)
    if other is not None:
        check_fits_dtype(other.numbers()["X"], dtype, "X_val")
        others = other.rows(select(other.content, other.weight, keyed=plan.keyed), device, dtype)
    return rows, others[0] if others else None


def _state(estimator, objective, seed: int, resumes: bool, incremental: bool) -> TrainingState:
    """Where training starts: at random, at PCA, at the weights there are."""
    if not resumes:
        theta = objective.start(torch.Generator(device="cpu").manual_seed(seed))
        return TrainingState.at(theta, seed=seed)
    state = TrainingState.at(objective.pack(estimator.module_), seed=seed, resumed=True)
    state.epoch, state.seen = estimator.n_iter_, estimator.t_
    state.loss_curve = list(estimator.loss_curve_)
    state.validation_scores = list(estimator.validation_scores_ or [])
    fitted = estimator._fitted
    if incremental and fitted.solver == estimator.solver:
        for name, slot in fitted.slots.items():  # counters keep their type
            like = state.theta if slot.dim() else slot
            state.slots[name] = slot.to(state.theta.device, like.dtype, copy=True)
    return state


def _train(
    estimator,
    course: Course,
    objective: RowsObjective,
    validation: RowsObjective | None,
    state: TrainingState,
    report: Callable,
) -> None:
    """Train, and leave what training is to leave.

    What a callback raises reaches the user after the estimator has been brought up to date.
    """
    plan, data, incremental = course.plan, course.data, course.incremental
    start = state.theta.clone()
    schedule = SCHEDULES["constant" if incremental else estimator.schedule]
    plateau = _plateau(estimator)

    def attributes(now: TrainingState) -> dict[str, Any]:
        return estimator._attributes(plan, data.form, objective, now)

    def leave() -> None:
        finish(
            objective,
            state,
            start,
            keep_best=objective.starts_well and not incremental,
            validated=validation is not None,
            may_rise=incremental,
            start_loss=None if state.resumed else objective.start_loss,
            negligible=objective.negligible,
        )
        vars(estimator).update(attributes(state))
        if incremental and state.reason not in ("diverged", "worse") and _all_finite(state.slots):
            estimator._fitted = replace(estimator._fitted, slots=state.slots)

    told = {"X": data.X, "y": data.y, "metadata": data.metadata}
    max_iter = 1 if incremental else estimator.max_iter
    full_batch = SOLVERS[estimator.solver].full_batch
    with report(estimator, max_iter, attributes, told) as reporter:
        try:
            train(
                objective,
                SOLVERS[estimator.solver](momentum=estimator.momentum),
                state,
                max_iter=max_iter,
                learning_rate=lambda epoch: schedule(
                    estimator.learning_rate, epoch - state.began, estimator.max_iter
                ),
                # a line search needs the gradient of what it looks at, and to find it again
                max_norm=None if full_batch else estimator.max_grad_norm,
                decay=None if full_batch else plan.decay(objective),
                plateau=None if incremental else plateau,
                validation=validation,
                reporter=reporter,
            )
        except BaseException as error:
            if state.step and not is_out_of_memory(error):
                leave()
            raise
        leave()
    report_end(estimator, state, plateau, data.numbers, incremental)


def _plateau(estimator) -> Plateau | None:
    """The rule that ends a constant schedule, L-BFGS and early stopping; none for tol=0."""
    applies = (
        estimator.early_stopping
        or estimator.schedule == "constant"
        or SOLVERS[estimator.solver].full_batch
    )
    if not applies or estimator.tol == 0:
        return None
    return Plateau(estimator.tol, estimator.n_iter_no_change)


def _all_finite(slots: dict) -> bool:
    """Whether a solver's memory is fit to go on with."""
    return all(bool(slot.isfinite().all()) for slot in slots.values())
