"""Running checks, and what came of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any, Literal
from unittest import SkipTest

from sklearn.exceptions import ConvergenceWarning, EstimatorCheckFailedWarning

OnFail = Literal["raise", "warn"] | None


def check_arguments(estimator: Any, on_fail: OnFail) -> None:
    """Refuse a class, and another way to report."""
    if isinstance(estimator, type):
        raise TypeError(f"Pass an instance of {estimator.__name__}, not the class.")
    if on_fail not in ("raise", "warn", None):
        raise ValueError(f"on_fail must be 'raise', 'warn' or None, got {on_fail!r}.")


def run_checks(
    checks: Iterable[Callable[[Any], None]], subject: Any, estimator: Any, on_fail: OnFail
) -> list[dict[str, Any]]:
    """What came out of each check of `subject`; of a public function, called by the user."""
    results = []
    for check in checks:
        results.append(_result(check, subject, estimator, on_fail))
    return results


def _result(
    check: Callable[[Any], None], subject: Any, estimator: Any, on_fail: OnFail
) -> dict[str, Any]:
    """What came out of one check."""
    result: dict[str, Any] = {"check_name": check.__name__, "status": "passed", "exception": None}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of a few steps of training
            check(subject)
    except SkipTest as reason:
        result |= {"status": "not applicable", "exception": reason}
    except Exception as error:
        if on_fail == "raise":
            raise
        result |= {"status": "failed", "exception": error}
        if on_fail == "warn":
            _warn(estimator, result)
    return result


def _warn(estimator: Any, result: dict[str, Any]) -> None:
    """What `check_estimator` says of a check that fails."""
    warnings.warn(
        EstimatorCheckFailedWarning(
            estimator=estimator, expected_to_fail=False, expected_to_fail_reason=None, **result
        ),
        stacklevel=5,  # above this: _result, run_checks, the public function, its caller
    )
