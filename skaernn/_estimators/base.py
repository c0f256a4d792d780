"""What all estimators share: parameters, the course of a fit, what it leaves, pickling."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from .._core.compat import CallbackSupportMixin, Interval, InvalidParameterError, StrOptions
from .._core.constraints import Device
from .._core.device import resolve_device, threads_for
from .._inputs.arrays import check_fits_dtype, check_validation_inputs
from .._rows.batch import Source
from .._rows.content import Content
from .._rows.selection import Selection, select
from .._training.loop import Plateau, TrainingState, finish, train
from .._training.objective import RowsObjective
from .._training.reports import report_end, reporting
from .._training.solvers import SCHEDULES, SOLVERS

_TORCH_DTYPES = {"float32": torch.float32, "float64": torch.float64}
_OF_A_RUNNING_FIT = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")


@contextmanager
def fitting(estimator):
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


@dataclass(frozen=True)
class TrainingInput:
    """What was passed to `fit`, checked.

    Attributes
    ----------
    X, y, metadata
        As callbacks want them.
    dtype : dtype
        Of X.
    numbers : callable
        Gives every number of X, and of what else may be too large for training, by name.
    content : Content
    weight : ndarray of shape (n_samples,) or None
    rows : callable
        From selections, a device and a dtype to the rows of each, unscaled.
    """

    X: Any
    y: Any
    metadata: dict | None
    dtype: np.dtype
    numbers: Callable[[], dict[str, np.ndarray]]
    content: Content
    weight: np.ndarray | None
    rows: Callable[[list[Selection], torch.device, torch.dtype], list[Source]]


class NeuralEstimator(CallbackSupportMixin, BaseEstimator, ABC):
    """Base of the estimators: everything that does not depend on the kind of network."""

    _parameter_constraints: dict = {
        "solver": [StrOptions(set(SOLVERS))],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "schedule": [StrOptions(set(SCHEDULES))],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "shuffle": ["boolean"],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "device": [Device()],
        "dtype": [StrOptions(set(_TORCH_DTYPES)), None],
        "verbose": ["verbose"],
    }
    _architecture: tuple[str, ...] = ()  # parameters that weights cannot outlive
    max_grad_norm: float | None = None  # a parameter of some

    @abstractmethod
    def _check_combinations(self) -> None:
        """Refuse parameters that are valid one by one and senseless together."""

    @abstractmethod
    def _read(self, *, reset: bool, suffix: str = "", **inputs) -> TrainingInput:
        """Check what was passed to `fit`; `suffix` is "_val" for validation rows."""

    @abstractmethod
    def _largest_product(self, data: TrainingInput, dtype, device) -> float:
        """Operations a row in the largest product; MemoryError for a network that is too large."""

    @abstractmethod
    def _objective(self, rows: Source, *, resume: bool, batch_size: int, seed: int):
        """The network, new or continued, on `rows`."""

    @abstractmethod
    def _attributes(self, objective: RowsObjective, state: TrainingState) -> dict:
        """The fitted attributes that the weights of `state` stand for."""

    def __sklearn_is_fitted__(self):
        return hasattr(self, "module_")

    def _validate_params(self):
        if isinstance(self.learning_rate, str):
            raise InvalidParameterError(
                f"learning_rate={self.learning_rate!r} is not a number; how the rate changes from "
                f"epoch to epoch is the parameter schedule, one of {sorted(SCHEDULES)}."
            )
        super()._validate_params()

    def _can_partial_fit(self) -> bool:
        if self.early_stopping:
            raise AttributeError("partial_fit is not available with early_stopping=True.")
        if self.solver in SOLVERS and SOLVERS[self.solver].full_batch:
            raise AttributeError(f"partial_fit is not available with solver={self.solver!r}.")
        return True

    def _noise(self) -> dict[str, Any]:
        """Parameters that bring noise into the loss, where they are not None or zero."""
        return {"dropout": self.dropout}

    def _needs_keys(self) -> bool:
        """Whether something random depends on the content of a row."""
        return any(self._noise().values())

    def _check_solver(self) -> None:
        refused = {"early_stopping": self.early_stopping, **self._noise()}
        for name, value in refused.items():
            if SOLVERS[self.solver].full_batch and value:
                raise ValueError(
                    f"solver={self.solver!r} does not support {name}={value!r}: its line search "
                    "needs the same loss throughout. Use solver='adam' or 'sgd'."
                )

    def _check_continuable(self) -> None:
        """Refuse to continue weights that belong to another architecture."""
        for name, before in self._fitted_with.items():
            now = _comparable(name, getattr(self, name))
            if now != before:
                raise ValueError(
                    f"{name} changed from {before!r} to {now!r} since the last fit, so that its "
                    f"weights cannot be continued. Restore {name}, or fit with warm_start=False."
                )

    def _fit(self, inputs: dict, held_out_inputs: dict | None = None, incremental=False) -> None:
        """The course of every fit.

        Parameters
        ----------
        inputs, held_out_inputs : dict
            Arguments of `fit`, for training and, if any were passed, for validation.
        incremental : bool
            Whether this is `partial_fit`.
        """
        resume = (incremental or self.warm_start) and hasattr(self, "module_")
        self._check_solver()
        self._check_combinations()
        held_out_inputs = check_validation_inputs(self.early_stopping, held_out_inputs)
        if resume:
            self._check_continuable()
        data = self._read(**inputs, reset=not resume)
        device, dtype = self._device_and_dtype(data.dtype, resume=resume)
        product = 2 * self._largest_product(data, dtype, device)
        split = self.early_stopping and held_out_inputs is None
        seed = self._seed if resume and incremental else self._draw_seed()
        selections = select(
            data.content,
            data.weight,
            keyed=self._needs_keys(),
            batch_size=self._most_batch_rows(),
            shuffle=self.shuffle,
            validation=(self.validation_fraction, seed) if split else None,
        )
        rows, *held_out = data.rows(selections, device, dtype)
        if held_out_inputs is not None:
            other = self._read(**held_out_inputs, reset=False, suffix="_val")
            check_fits_dtype(other.numbers()["X"], dtype, "X_val")
            chosen = select(other.content, other.weight, keyed=self._needs_keys())
            held_out = other.rows(chosen, device, dtype)
        batch_size = min(self._most_batch_rows(), len(rows))
        with (
            threads_for(batch_size * product, device),
            torch.autocast(device.type, enabled=False),
        ):
            objective = self._objective(rows, resume=resume, batch_size=batch_size, seed=seed)
            validation = objective.on(*held_out) if held_out else None
            state = self._state(objective, seed, resume=resume, incremental=incremental)
            if validation is not None:
                state.best_loss = validation.evaluate(state.theta)
            self._run(objective, validation, state, data, resume=resume, incremental=incremental)

    def _device_and_dtype(self, given: np.dtype, *, resume: bool):
        """Where to compute, and in what: that of X, unless `dtype` or the network says else."""
        device = resolve_device(self.device)
        dtype = self.module_.dtype if resume else _TORCH_DTYPES[self.dtype or given.name]
        if device.type == "mps" and torch.float64 in (dtype, _TORCH_DTYPES[given.name]):
            raise ValueError("device='mps' has no float64: pass X as float32.")
        return device, dtype

    def _draw_seed(self) -> int:
        """The fit's seed: an int as it is, else one integer of the generator named."""
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _most_batch_rows(self) -> int:
        """Rows of a batch, if there are that many."""
        if SOLVERS[self.solver].full_batch:
            return sys.maxsize
        return 200 if self.batch_size == "auto" else int(self.batch_size)

    def _state(self, objective, seed: int, *, resume: bool, incremental: bool) -> TrainingState:
        """Where training starts: at random, at PCA, at the weights there are."""
        if not resume:
            theta = objective.start(torch.Generator(device="cpu").manual_seed(seed))
            return TrainingState.at(theta, seed=seed)
        state = TrainingState.at(objective.pack(self.module_), seed=seed, resumed=True)
        state.epoch, state.seen = self.n_iter_, self.t_
        state.loss_curve = list(self.loss_curve_)
        state.validation_scores = list(self.validation_scores_ or [])
        if incremental and self._slots_of == self.solver:
            for name, slot in self._slots.items():  # counters keep their type
                like = state.theta if slot.dim() else slot
                state.slots[name] = slot.to(state.theta.device, like.dtype, copy=True)
        return state

    def _run(self, objective, validation, state, data: TrainingInput, *, resume, incremental):
        """Train, and leave what training is to leave.

        What a callback raises reaches the user after the estimator has been brought up to date.
        """
        start = state.theta.clone()
        schedule = SCHEDULES["constant" if incremental else self.schedule]
        max_iter = 1 if incremental else self.max_iter

        def leave():
            finish(
                objective,
                state,
                start,
                keep_best=objective.starts_well and not incremental,
                validated=validation is not None,
                start_loss=None if resume else objective.start_loss,
            )
            vars(self).update(self._attributes(objective, state))
            if incremental and state.reason != "diverged" and _all_finite(state.slots):
                self._slots = state.slots

        told = {"X": data.X, "y": data.y, "metadata": data.metadata}
        with reporting(
            self, max_iter, lambda now: self._attributes(objective, now), told
        ) as reporter:
            try:
                train(
                    objective,
                    SOLVERS[self.solver](momentum=self.momentum),
                    state,
                    max_iter=max_iter,
                    learning_rate=lambda epoch: schedule(
                        self.learning_rate, epoch - state.began, self.max_iter
                    ),
                    # a line search needs the gradient of what it looks at
                    max_norm=None if SOLVERS[self.solver].full_batch else self.max_grad_norm,
                    plateau=None if incremental else self._plateau(),
                    validation=validation,
                    reporter=reporter,
                )
            except BaseException:
                if state.step:
                    leave()
                raise
            leave()
        report_end(self, state, self._plateau(), data.numbers, incremental)

    def _plateau(self) -> Plateau | None:
        """The rule that ends a constant schedule, L-BFGS and early stopping; none for tol=0."""
        applies = (
            self.early_stopping or self.schedule == "constant" or SOLVERS[self.solver].full_batch
        )
        return Plateau(self.tol, self.n_iter_no_change) if applies and self.tol > 0 else None

    def _training_attributes(self, objective, state: TrainingState) -> dict:
        """Fitted attributes that every estimator has; meanings follow MLPRegressor."""
        curve, scores = list(state.loss_curve), list(state.validation_scores)
        validated = self.early_stopping
        loss = curve[-1] if curve else objective.evaluate(state.theta)
        return {
            "n_iter_": state.epoch,
            "t_": state.seen,
            "loss_": loss,
            "loss_curve_": curve,
            "best_loss_": None if validated else min(curve, default=loss),
            "validation_scores_": scores if validated else None,
            "best_validation_score_": -state.best_loss if validated else None,
            "device_": state.theta.device,
            "_seed": state.seed,
            "_slots": {},
            "_slots_of": self.solver,
            "_fitted_with": {
                name: _comparable(name, getattr(self, name)) for name in self._architecture
            },
        }

    def __getstate__(self):
        """State without torch: arrays and names, loadable where the device is not."""
        state = dict(super().__getstate__())
        if "module_" in state:
            weights = state["module_"].state_dict()
            state["module_"] = {name: value.cpu().numpy() for name, value in weights.items()}
            state["device_"] = str(state["device_"])
            state["_slots"] = {k: slot.cpu().numpy() for k, slot in state["_slots"].items()}
        return state

    def __setstate__(self, state):
        if "module_" in state:
            state = dict(state)
            try:
                device = resolve_device(state["device_"])
            except ValueError:  # trained elsewhere; the CPU is everywhere
                device = torch.device("cpu")
            weights = {name: _to_torch(value, device) for name, value in state["module_"].items()}
            state["module_"] = state["_network"].module_from(weights)
            state["device_"] = device
            state["_slots"] = {k: _to_torch(slot, device) for k, slot in state["_slots"].items()}
        super().__setstate__(state)


def _to_torch(array, device: torch.device) -> torch.Tensor:
    """A copy of an array that may be memory-mapped and read-only."""
    return torch.tensor(np.array(array), device=device)


def _all_finite(slots: dict) -> bool:
    """Whether a solver's memory is fit to go on with."""
    return all(bool(slot.isfinite().all()) for slot in slots.values())


def _comparable(name: str, value):
    """A parameter value that can be compared and pickled."""
    if isinstance(value, np.generic):
        value = value.item()
    if name == "hidden_layer_sizes" or (name == "image_shape" and value is not None):
        return tuple(np.atleast_1d(value).tolist())
    return value
