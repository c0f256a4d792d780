"""Reports after each epoch, by `verbose` and scikit-learn's callbacks, and at the end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager

from sklearn.exceptions import ConvergenceWarning

from .._core.warn import Held, warn_user
from .loop import TrainingState
from .solvers import SOLVERS

INTERRUPTED = "Training interrupted by user."


@contextmanager
def reporting(estimator, max_iter: int, attributes, data: dict):
    """Context with the reporter that `train` tells of each epoch, or None.

    Parameters
    ----------
    estimator : estimator
        Its `verbose` and its callbacks are served.
    max_iter : int
        Most epochs there can be.
    attributes : callable
        Makes the fitted attributes of a state, for callbacks that want a fitted estimator.
    data : dict
        X, y and metadata, as callbacks want them.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        yield Printer() if estimator.verbose else None
        return
    data = {"estimator": estimator, **data}
    root = estimator._init_callback_context(max_subtasks=max_iter)
    root.call_on_fit_task_begin(**data)
    reporter = CallbackReporter(root, data, attributes)
    yield reporter
    root.call_on_fit_task_end(**data, reconstruction_attributes=reporter.attributes)


class MembersReport:
    """Reports on estimators that are trained one after another, for the one they belong to.

    For callbacks, each is a task of the fit, with its epochs in it. What they are told of after an
    epoch is the estimator with the members so far.

    Parameters
    ----------
    estimator : estimator
    n_members : int
    data : dict
        X, y and metadata, as callbacks want them.
    """

    def __init__(self, estimator, n_members: int, data: dict):
        self._estimator, self._n_members = estimator, n_members
        self._data = {"estimator": estimator, **data}
        self._root = None
        self.stopped = False  # a callback said so when a member had ended
        if getattr(estimator, "_skl_callbacks", None):
            self._root = estimator._init_callback_context(max_subtasks=n_members)
            self._root.call_on_fit_task_begin(**self._data)

    @property
    def listened_to(self) -> bool:
        """Whether there are callbacks."""
        return self._root is not None

    def of_member(self, i: int, complete: Callable[[dict], dict]):
        """What takes the place of `reporting` in the fit of member `i`.

        Parameters
        ----------
        i : int
        complete : callable
            From the fitted attributes of the member to those of the estimator.
        """

        @contextmanager
        def report(member, max_iter: int, attributes, data: dict):
            if self._estimator.verbose:
                print(f"Member {i + 1} of {self._n_members}")
            if self._root is None:
                yield Printer() if self._estimator.verbose else None
                return
            task = self._root.subcontext(task_name="member", max_subtasks=max_iter)
            task.call_on_fit_task_begin(**self._data)
            now = CallbackReporter(task, self._data, lambda state: complete(attributes(state)))
            yield now
            self.stopped = task.call_on_fit_task_end(
                **self._data, reconstruction_attributes=now.attributes
            )

        return report

    def end(self, attributes: Callable[[], dict]) -> None:
        """All members are there; callbacks are told of them."""
        if self._root is not None:
            self._root.call_on_fit_task_end(**self._data, reconstruction_attributes=attributes)


class Printer:
    """Prints epochs in MLPRegressor's words."""

    def begin(self) -> None:
        """Say nothing yet."""

    def end(self, state: TrainingState) -> bool:
        """Print the loss, and the validation score if there is one."""
        print(f"Iteration {state.epoch}, loss = {state.loss_curve[-1]:.8f}")
        if state.validation_scores:
            print(f"Validation score: {state.validation_scores[-1]:f}")
        return False


class CallbackReporter:
    """Calls scikit-learn's callbacks, and prints if that is asked for, too."""

    def __init__(self, root, data: dict, attributes):
        self._root, self._data, self._make = root, data, attributes
        self._printer = Printer() if data["estimator"].verbose else None
        self._epoch = None
        self._state: TrainingState | None = None

    def attributes(self) -> dict | None:
        """Fitted attributes as of the last epoch."""
        return None if self._state is None else self._make(self._state)

    def begin(self) -> None:
        """Open a task for the epoch."""
        self._epoch = self._root.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._data)

    def end(self, state: TrainingState) -> bool:
        """Close the epoch's task."""
        self._state = state
        if self._printer is not None:
            self._printer.end(state)
        return self._epoch.call_on_fit_task_end(
            **self._data, reconstruction_attributes=self.attributes
        )


def report_end(estimator, state: TrainingState, plateau, numbers, incremental: bool) -> None:
    """Warn of, or with `verbose` print, how training ended.

    Parameters
    ----------
    estimator : estimator
    state : TrainingState
    plateau : Plateau or None
        The rule that might have ended it.
    numbers : callable
        Gives arrays of what may have been too large, by name.
    incremental : bool
        Whether it was `partial_fit`.
    """
    reason = state.reason
    annealed = estimator.schedule == "cosine" and not SOLVERS[estimator.solver].full_batch
    if reason == "interrupted":
        warn_user(INTERRUPTED, UserWarning, reason)
    elif reason == "diverged":
        numbers = {name: x for name, x in numbers().items() if x.dtype.kind == "f"}  # not tokens
        largest = "".join(
            f", largest absolute value of {name} {max(x.max(), -x.min()):.3g}"
            for name, x in numbers.items()
        )
        scaled = f", or scale {' and '.join(numbers)}" if numbers else ""
        warn_user(
            f"The loss was not finite in epoch {state.epoch + 1} (learning_rate="
            f"{estimator.learning_rate:g}{largest}); the best finite weights were kept. Lower "
            f"the learning rate{scaled}.",
            ConvergenceWarning,
            reason,
        )
    elif reason == "worse":
        warn_user(
            f"Training with learning_rate={estimator.learning_rate:g} made the loss worse: "
            f"{state.rejected_loss:.3g} at the end, {state.kept_loss:.3g} at its best. The best "
            "weights seen were kept, which may be those that training began with. Lower the "
            "learning rate.",
            ConvergenceWarning,
            reason,
        )
    elif reason == "max_iter" and not (incremental or annealed) and plateau:
        warn_user(
            f"Maximum iterations ({estimator.max_iter}) reached and the optimization hasn't "
            "converged yet.",
            ConvergenceWarning,
            reason,
        )
    elif estimator.verbose and reason == "plateau":
        what = "Validation score" if estimator.early_stopping else "Training loss"
        print(
            f"{what} did not improve more than tol={estimator.tol:f} for "
            f"{estimator.n_iter_no_change} consecutive epochs. Stopping."
        )


def report_held(held: list[list[Held]], interrupted: bool) -> None:
    """Warn of what the fits of several members were to warn of: of each cause once.

    Parameters
    ----------
    held : list of list of Held
        Of each member.
    interrupted : bool
        Whether Ctrl-C has ended them.
    """
    if interrupted:
        warn_user(INTERRUPTED, UserWarning)
    by_cause: dict[tuple, list[str]] = {}
    for found in held:
        of_member = {(one.category, one.cause): one.message for one in reversed(found)}
        for key, message in of_member.items():
            by_cause.setdefault(key, []).append(message)
    for (category, cause), (message, *others) in by_cause.items():
        if cause == "interrupted":
            continue
        if cause != message:
            n = 1 + len(others)
            message += f" (In {n} of {len(held)} members; these are the words of the first.)"
        warn_user(message, category)
