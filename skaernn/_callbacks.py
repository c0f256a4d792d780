"""Reports after each epoch: `verbose` and scikit-learn's callbacks."""

from __future__ import annotations

from contextlib import contextmanager

from ._training import TrainingState


@contextmanager
def reporter(estimator, max_iter: int, attributes, X, metadata):
    """Context with the function that `train` calls after each epoch, or None.

    Parameters
    ----------
    estimator : estimator
        Its `verbose` and its callbacks are served.
    max_iter : int
        Most epochs there can be.
    attributes : callable
        Makes the fitted attributes of a state, for callbacks that want a fitted estimator.
    X : ndarray
        The training rows; what an autoencoder is to predict, too.
    metadata : dict or None
        Such as sample weights.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        yield _say if estimator.verbose else None
        return
    data = {"estimator": estimator, "X": X, "y": X, "metadata": metadata}
    root = estimator._init_callback_context(max_subtasks=max_iter)
    root.call_on_fit_task_begin(**data)
    epochs = [root.subcontext(task_name="epoch").call_on_fit_task_begin(**data)]
    last: list[TrainingState] = []

    def report(state: TrainingState) -> bool:
        last[:] = [state]
        if estimator.verbose:
            _say(state)
        stop = epochs[-1].call_on_fit_task_end(
            **data, reconstruction_attributes=lambda: attributes(state)
        )
        if not stop and len(epochs) < max_iter:
            epochs.append(root.subcontext(task_name="epoch").call_on_fit_task_begin(**data))
        return stop

    yield report
    root.call_on_fit_task_end(
        **data, reconstruction_attributes=(lambda: attributes(last[0])) if last else None
    )


def _say(state: TrainingState) -> bool:
    """Print an epoch in MLPRegressor's words."""
    line = f"Iteration {state.epoch}, loss = {state.loss_curve[-1]:.8f}"
    if state.validation_scores:
        line += f"\nValidation score: {state.validation_scores[-1]:f}"
    print(line)
    return False
