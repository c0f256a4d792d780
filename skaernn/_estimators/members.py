"""Several networks behind one estimator: how they are trained, and what they come to together."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import takewhile
from typing import Any

import numpy as np
import torch

from .._core.crew import run_together
from .._core.device import is_small, resolve_device
from .._core.interrupts import check_interrupts, interrupts_deferred
from .._core.warn import Held, warnings_held
from .._inputs.memory import check_fits_memory
from .._rows.content import JointContent, MatrixContent
from .._training.reports import MembersReport, report_held
from .fitting import (
    Course,
    Fitted,
    TrainingInput,
    comparable,
    fit,
    most_batch_rows,
    read,
    seed_for,
    train_on,
    undone_if_refused,
)
from .several import attributes_of, without_parameters

# Multiplications of a member's fit forward, some 30 ms of it, from which threads pay: what takes
# less is Python's work for the most part, of which there is one at a time.
_PAYS = 1 << 27
_OF_INPUT = "n_features_in_", "feature_names_in_"


def fit_members(
    estimator, inputs: dict, held_out: dict | None = None, *, incremental: bool = False
):
    """Fit `estimator`, or as many members as its `n_members` says.

    X and y are read once. Then each member goes its own way, from a seed of its own: all are
    there in the end, or the estimator stays as it was; after Ctrl-C those that have begun.

    Parameters
    ----------
    estimator : PredictorEstimator
    inputs, held_out, incremental
        See `fit`.

    Returns
    -------
    estimator
    """
    if estimator.n_members == 1:
        return fit(estimator, inputs, held_out, incremental=incremental)
    with interrupts_deferred(), undone_if_refused(estimator):
        course = read(estimator, inputs, held_out, incremental=incremental)
        check_interrupts()
        n_weights = course.plan.network(course.data).layout.size
        asked = f"as many networks of {n_weights:.3g} parameters"
        check_fits_memory("n_members", asked, n_weights * int(estimator.n_members))
        crew = _Crew(estimator, course)
        try:
            crew.train()
        except BaseException:
            if crew.report.listened_to and crew.begun:  # what a callback raised stops training
                vars(estimator).update(crew.attributes())
            raise
        vars(estimator).update(crew.attributes())
        crew.report.end(crew.attributes)
        report_held(crew.held, crew.interrupted)
    return estimator


def seed_of(seed: int, i: int) -> int:
    """The seed of member `i`: that of all for the first, then what numpy spawns of both."""
    return int(np.random.SeedSequence([seed, i]).generate_state(1)[0]) if i else seed


class _Crew:
    """The members of a fit, on their way.

    Parameters
    ----------
    estimator : PredictorEstimator
    course : Course

    Attributes
    ----------
    report : MembersReport
    held : list of list of Held
        What each is to be warned of.
    interrupted : bool
        Whether Ctrl-C has ended their training.
    """

    def __init__(self, estimator, course: Course):
        self._estimator, self._course = estimator, course
        self._seed = seed_for(estimator, course.resumes and course.incremental)
        there = estimator._fitted.members if course.resumes else []
        n_members = int(estimator.n_members)
        self._members = [
            self._member(seed_of(self._seed, i), there[i] if i < len(there) else None)
            for i in range(n_members)
        ]
        self._n_there = len(there)
        self._before = [vars(member).get("module_") for member in self._members]
        self.held: list[list[Held]] = [[] for _ in range(n_members)]
        self.interrupted = False
        data = course.data
        told = {"X": data.X, "y": data.y, "metadata": data.metadata}
        self.report = MembersReport(estimator, n_members, told)

    def _member(self, seed: int, fitted: Any):
        """An estimator of one network: new, or one that goes on where another one stands."""
        estimator = self._estimator
        params = estimator.get_params(deep=False)
        member = type(estimator)(**params)
        if fitted is not None:
            vars(member).update(without_parameters(fitted))
        read_of = {name: v for name, v in vars(estimator).items() if name in _OF_INPUT}
        # not by the constructor: that of a subclass need not have them
        vars(member).update(read_of, n_members=1, random_state=seed)
        return member

    def train(self) -> None:
        """Train all; some are missing, or have not gone on, after Ctrl-C."""
        # what a callback of one sees depends on those before it
        in_order = self.report.listened_to or self._estimator.verbose
        n_threads = 1 if in_order else self._n_threads()
        tasks = [partial(self._train, i) for i in range(len(self._members))]
        complete = run_together(tasks, n_threads)
        self.interrupted = not complete and not self.report.stopped
        if self.interrupted and not self.begun:
            raise KeyboardInterrupt

    @property
    def begun(self) -> bool:
        """Whether any has been trained, and all before it are there."""
        now = [member.module_ for member in _first_ones(self._members)]
        return any(one is not other for one, other in zip(now, self._before, strict=False))

    def _train(self, i: int) -> bool:
        """Train one member; whether another one may begin."""
        member = self._members[i]
        course = _of_member(self._course, i, resumes=i < self._n_there)
        report = self.report.of_member(i, partial(self._with, i))
        with torch.inference_mode(False), torch.no_grad(), warnings_held() as held:
            self.held[i] = held
            reason = train_on(member, course, report)
        return reason != "interrupted" and not self.report.stopped

    def _n_threads(self) -> int:
        """How many members are worth to be trained at a time."""
        estimator, data = self._estimator, self._course.data
        network = self._course.plan.network(data)
        n_rows = min(most_batch_rows(estimator), len(data.content))
        small = is_small(2 * n_rows * network.largest_product, resolve_device(estimator.device))
        if not small or callable(estimator.cell):  # whose code is anyone's
            return 1
        epochs = 1 if self._course.incremental else estimator.max_iter
        work = epochs * len(data.numbers()["X"]) * network.layout.size
        return torch.get_num_threads() if work >= _PAYS else 1

    def _with(self, i: int, attributes: dict) -> dict:
        """What the estimator is with the members so far, of which `i` is to have `attributes`."""
        now = self._member(self._members[i].random_state, None)
        vars(now).update(attributes)
        others = [*self._members[:i], now, *self._members[i + 1 :]]
        return self._of(others)

    def attributes(self) -> dict:
        """The fitted attributes of the estimator."""
        return self._of(self._members)

    def _of(self, members: list) -> dict:
        members = _first_ones(members)
        parameters = comparable(self._estimator, self._estimator._architecture)
        found = attributes_of(members)
        fitted: Fitted = found["_fitted"]
        found["_fitted"] = replace(fitted, parameters=parameters, seed=self._seed)
        return found


def _first_ones(members: list) -> list:
    """Members up to the first that has not been trained: a later fit knows them by their place."""
    return list(takewhile(lambda member: "module_" in vars(member), members))


def _of_member(course: Course, i: int, *, resumes: bool) -> Course:
    """What member `i` makes of a course; of initial states it has its own columns."""
    network = course.plan.network(course.data)
    width = sum(network.state_widths)
    own = slice(i * width, (i + 1) * width)
    data, held_out = course.data, course.held_out
    other = held_out and _with_columns(held_out, own)
    return replace(course, data=_with_columns(data, own), held_out=other, resumes=resumes)


def _with_columns(data: TrainingInput, own: slice) -> TrainingInput:
    """The same input with some columns of its initial states, if it has these."""
    if "initial_state" not in (data.metadata or {}):
        return data
    *others, state = data.content.parts  # type: ignore[attr-defined]
    began = np.ascontiguousarray(state.X[:, own])
    is_none = not began.any()  # as where they were checked
    parts = others if is_none else [*others, MatrixContent(began)]

    def rows(*selected: Any) -> list[Any]:
        found: list[Any] = data.rows(*selected)
        return [replace(r, state=None if is_none else r.state[:, own].contiguous()) for r in found]

    return replace(data, content=JointContent(tuple(parts)), rows=rows)
