"""Reports after each epoch: `verbose` and scikit-learn's callbacks."""

from __future__ import annotations

from contextlib import contextmanager

from ._training import TrainingState


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
