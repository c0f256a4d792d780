"""`check_contracts`: what an estimator of tables promises, checked."""

from __future__ import annotations

from typing import Any, Literal

from ._contract_checks import CHECKS, Subject
from ._report import check_arguments, run_checks


def check_contracts(
    estimator: Any,
    *,
    rtol: float = 1e-6,
    on_fail: Literal["raise", "warn"] | None = "raise",
) -> list[dict[str, Any]]:
    """Check what users of a regressor, classifier or transformer rely on, and nothing else tests.

    `sklearn.utils.estimator_checks.check_estimator` asks whether an estimator fits into
    scikit-learn; this asks whether its answers can be trusted: the same bits for the same seed,
    nothing that depends on the rows beside a row, nothing ruined without a word.

    Parameters
    ----------
    estimator : estimator instance
        It is cloned; parameters `random_state` become 0. A table of sixty rows and six features
        is learnt about thirty times, so let it train for a few steps only.
    rtol : float, default=1e-6
        How much numbers of two fits may differ, relative to the largest, where order or weights
        of rows are all that differs: training multiplies rounding. All else is compared bit by
        bit.
    on_fail : {"raise", "warn"} or None, default="raise"
        - "raise": the first check that fails raises its exception
        - "warn": each check that fails warns, with `EstimatorCheckFailedWarning`
        - None: see what is returned

    Returns
    -------
    results : list of dict
        For each check, in order:

        - "check_name": str
        - "status": "passed", "failed" or "not applicable"
        - "exception": None, what was raised, or a `unittest.SkipTest` that says why not

    Raises
    ------
    AssertionError
        If a check fails and `on_fail` is "raise". It says what differed, and by how much.
    TypeError
        If `estimator` is a class, or none of these kinds.

    Notes
    -----
    The checks, in order:

    - `check_same_seed_same_bits`: two fits, and a fit after a fit, are the same
    - `check_global_generators`: those of numpy, python and torch are left alone
    - `check_row_order`, `check_weights_are_repetition`, `check_weight_zero_is_absence`: of rows
      in `fit`
    - `check_batch_mates`: an answer does not depend on the rows beside it
    - `check_dtype`, `check_layouts`: answers in X's type; the same ones for any memory
    - `check_inputs_unchanged`, `check_prediction_changes_nothing`, `check_silence`: no side
      effects
    - `check_threads`: eight of them at once
    - `check_divergence`: with learning rates from 10 to 1e8, `fit` does not raise, answers are
      finite, and what is worse than a constant is warned of
    - `check_failed_fit`: a fit that raises leaves no model, and an earlier one as it was
    - `check_refuses_nan`, `check_refuses_other_width`
    - `check_copies`, `check_clone`, `check_joblib_hash`: pickle, joblib, deepcopy, clone

    Examples
    --------
    >>> from skaernn import AutoencoderTransformer
    >>> from skaernn.testing import check_contracts
    >>> results = check_contracts(AutoencoderTransformer(max_iter=3))
    >>> {result["status"] for result in results}
    {'passed'}
    """
    check_arguments(estimator, on_fail)
    return run_checks(CHECKS, Subject(estimator, rtol), estimator, on_fail)
