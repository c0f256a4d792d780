"""Rows in parts that take some hundredths of a second each, on several threads where it pays."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from threading import Lock, Thread

import numpy as np
import torch

from .._core.interrupts import check_interrupts

PRODUCTS = 1 << 28  # multiplications of one part, which cannot be interrupted
_SHARE = 1 << 24  # of one thread at least: two milliseconds, a thread takes a twentieth of one


def in_parts(run: Callable[[int, int], None], products: float | np.ndarray, n: int) -> None:
    """Call ``run(first, last)`` for ranges of `n` rows that make up all of them.

    Parameters
    ----------
    run : callable
        Lets go of the GIL. Rows do not depend on the others of their range.
    products : float or ndarray of shape (n,)
        Multiplications of each row.
    n : int
    """
    each = isinstance(products, np.ndarray)
    total = int(products.sum() if each else products * n)
    n_threads = 1
    if total > 2 * _SHARE:  # inside a fit whose products are small, torch has one thread
        n_threads = min(torch.get_num_threads(), total // _SHARE)
    n_parts = n_threads * -(-total // (PRODUCTS * n_threads))
    if n_parts == 1:
        run(0, n)
        return
    upto = np.cumsum(products) if each else products * np.arange(1, n + 1)
    ends = np.searchsorted(upto, total / n_parts * np.arange(1, n_parts))
    ends = [0, *sorted({*ends.tolist()} - {0}), n]
    parts = list(pairwise(ends))
    if n_threads == 1:
        for part in parts:
            check_interrupts()
            run(*part)
        return

    def run_or_stop(first: int, last: int) -> None:
        check_interrupts()
        run(first, last)

    on_threads(run_or_stop, parts, n_threads)


def on_threads(
    run: Callable[[int, int], None], parts: list[tuple[int, int]], n_threads: int
) -> None:
    """Run the parts on this thread and on others, which take the next one when they are done."""
    waiting, lock, errors = iter(parts), Lock(), []

    def work() -> None:
        while not errors:
            with lock:
                part = next(waiting, None)
            if part is None:
                return
            try:
                run(*part)
            except BaseException as error:
                errors.append(error)

    threads = [Thread(target=work, daemon=True) for _ in range(n_threads - 1)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
