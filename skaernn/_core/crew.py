"""Tasks on this thread and on others, which begin together and stop together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from threading import Event, Lock, Thread

from .interrupts import check_interrupts, interrupted_by

_PATIENCE = 0.05  # seconds that Ctrl-C may wait for, while this thread does


def run_together(tasks: Sequence[Callable[[], bool]], n_threads: int) -> bool:
    """Run tasks in their order, several at a time.

    Parameters
    ----------
    tasks : sequence of callable
        Each says whether there is to be another one. One that says no, one that raises and
        Ctrl-C stop all: no other one begins, and those that run are interrupted, as
        `check_interrupts` does it.
    n_threads : int
        How many run at a time at most, one of them on this thread.

    Returns
    -------
    bool
        Whether all tasks were run to their ends.

    Raises
    ------
    BaseException
        What a task has raised first, if it was not KeyboardInterrupt.
    """
    waiting, lock, stop, errors = iter(tasks), Lock(), Event(), []

    def work() -> None:
        with interrupted_by(stop):
            while not stop.is_set():
                with lock:
                    task = next(waiting, None)
                if task is None:
                    return
                try:
                    goes_on = task()
                except KeyboardInterrupt:
                    goes_on = False
                except BaseException as error:
                    errors.append(error)
                    goes_on = False
                if not goes_on:
                    stop.set()

    n_others = min(n_threads, len(tasks)) - 1
    contexts = [copy_context() for _ in range(n_others)]
    others = [Thread(target=each.run, args=(work,), daemon=True) for each in contexts]
    try:
        for thread in others:
            thread.start()
        work()
        _wait_for(others, stop)
    except BaseException:
        stop.set()
        raise
    if errors:
        raise errors[0]
    return not stop.is_set()


def _wait_for(threads: list[Thread], stop: Event) -> None:
    for thread in threads:
        while thread.is_alive():
            thread.join(_PATIENCE)
            try:
                check_interrupts()
            except KeyboardInterrupt:
                stop.set()
