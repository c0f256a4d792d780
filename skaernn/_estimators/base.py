"""What all estimators share: parameters, what a fit leaves, pickling."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._core.compat import (
    CallbackSupportMixin,
    Interval,
    InvalidParameterError,
    Self,
    StrOptions,
    make_constraint,
)
from .._core.constraints import Device
from .._core.suggestions import did_you_mean, name_meant, value_meant
from .._training.loop import TrainingState
from .._training.solvers import SCHEDULES, SOLVERS
from .fitting import TORCH_DTYPES, Fitted, TrainingInput, comparable
from .persistence import from_arrays, to_arrays
from .plan import Plan

_UNCHANGING = {int, float, str, bool, type(None)}


def _kept_on(cls: type, name: str, source: Any, find: Callable[[], Any]) -> Any:
    """What `find` makes of `source`, found once and kept on `cls` itself.

    Not on a base: a subclass may have another constructor and other constraints.
    """
    kept = cls.__dict__.get(name)
    if kept is None or kept[0] is not source:
        kept = source, find()
        setattr(cls, name, kept)
    return kept[1]


class NeuralEstimator(CallbackSupportMixin, BaseEstimator, ABC):
    """Base of the estimators: everything that does not depend on the kind of network."""

    module_: Any
    n_iter_: int
    t_: int
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    device_: torch.device
    n_features_in_: int
    feature_names_in_: np.ndarray
    n_outputs_: int

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
        "dtype": [StrOptions(set(TORCH_DTYPES)), None],
        "verbose": ["verbose"],
    }
    _architecture: tuple[str, ...] = ()  # parameters that weights cannot outlive
    max_grad_norm: float | None = None  # a parameter of some

    @abstractmethod
    def _plan(self) -> Plan:
        """What the parameters come down to; those that make no sense together are refused."""

    @abstractmethod
    def _read(self, plan: Any, form: Any, *, suffix: str = "", **inputs: Any) -> TrainingInput:
        """Check what was passed to `fit`.

        Parameters
        ----------
        plan : Plan
        form : object
            What the input must agree with; None: it is the first, and says so itself.
        suffix : str
            "_val" for validation rows.
        **inputs
            Arguments of `fit`, without the suffix.
        """

    @abstractmethod
    def _attributes(
        self, plan: Any, form: Any, objective: Any, state: TrainingState
    ) -> dict[str, Any]:
        """The fitted attributes that the weights of `state` stand for."""

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "module_")

    def _check_is_fitted(self) -> None:
        """Refuse to answer before `fit`; scikit-learn's own asks for all tags at every call."""
        if "module_" not in vars(self):
            check_is_fitted(self)

    @classmethod
    def _get_param_names(cls) -> list[str]:
        # a search asks for them four times a fit, and inspection takes longer than small steps
        find = super()._get_param_names
        return list(_kept_on(cls, "_found_names", cls.__init__, find))

    def _is_satisfied(self) -> bool:
        """Whether all parameters are what they may be."""
        given = self._parameter_constraints

        def find() -> dict[str, list]:
            checked = {name: each for name, each in given.items() if each != "no_validation"}
            return {name: [make_constraint(one) for one in each] for name, each in checked.items()}

        constraints = _kept_on(type(self), "_found_constraints", given, find)
        valid = _kept_on(type(self), "_found_valid", given, dict)
        for name, value in self.get_params(deep=False).items():
            if name not in constraints or value is valid.get(name, constraints):
                continue
            if not any(constraint.is_satisfied_by(value) for constraint in constraints[name]):
                return False
            if type(value) in _UNCHANGING:  # most are what they were in the last fit
                valid[name] = value
        return True

    def _validate_params(self) -> None:
        if isinstance(self.learning_rate, str):
            raise InvalidParameterError(
                f"learning_rate={self.learning_rate!r} is not a number; how the rate changes from "
                f"epoch to epoch is the parameter schedule, one of {sorted(SCHEDULES)}."
            )
        if self._is_satisfied():
            return
        try:  # scikit-learn's has the words
            super()._validate_params()
        except InvalidParameterError as error:
            meant = self._value_meant(str(error))
            raise InvalidParameterError(f"{error}{did_you_mean(meant)}") from None

    def _value_meant(self, message: str) -> str:
        """The choice that was probably meant by the parameter that `message` begins with."""
        named = re.match(r"The '(\w+)' parameter of ", message)
        if named is None:
            return ""
        constraints = self._parameter_constraints[named[1]]
        known = {choice for each in constraints for choice in getattr(each, "options", ())}
        return value_meant(getattr(self, named[1]), known, None in constraints) if known else ""

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this estimator.

        Parameters
        ----------
        **params : dict
            New values by name.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If a name is no parameter; the message has the nearest one.
        """
        try:
            return super().set_params(**params)
        except ValueError as error:
            known = self._get_param_names()
            unknown = [name for name in params if name.partition("__")[0] not in known]
            if not unknown:
                raise
            meant = name_meant(unknown[0].partition("__")[0], known)
            raise ValueError(f"{error}{did_you_mean(meant and repr(meant))}") from None

    def _training_attributes(
        self, form: Any, objective: Any, state: TrainingState
    ) -> dict[str, Any]:
        """Fitted attributes that every estimator has; meanings follow MLPRegressor."""
        curve, scores = list(state.loss_curve), list(state.validation_scores)
        validated = self.early_stopping
        loss = curve[-1] if curve else objective.evaluate(state.theta)
        return {
            "module_": objective.module(state.theta[0]),
            "n_iter_": state.epoch,
            "t_": state.seen,
            "loss_": loss,
            "loss_curve_": curve,
            "best_loss_": None if validated else min(curve, default=loss),
            "validation_scores_": scores if validated else None,
            "best_validation_score_": -state.best_loss if validated else None,
            "device_": state.theta.device,
            "_form": form,
            "_fitted": Fitted(
                network=objective.network,
                parameters=comparable(self, self._architecture),
                seed=state.seed,
                solver=self.solver,
            ),
        }

    def __getstate__(self) -> dict[str, Any]:
        """State without torch: arrays and names, loadable where the device is not."""
        return to_arrays(dict(super().__getstate__()))

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(from_arrays(state))
