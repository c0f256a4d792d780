"""`check_sequence_estimator`: what a sequence estimator promises, checked."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from ._report import check_arguments, run_checks
from ._sequence_checks import CHECKS
from ._sequence_probe import Probe


def check_sequence_estimator(
    estimator: Any,
    *,
    exact: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    dtype: DTypeLike = np.float64,
    on_fail: Literal["raise", "warn"] | None = "raise",
) -> list[dict[str, Any]]:
    """Check that a regressor, classifier or transformer treats sequences as sequences.

    What `sklearn.utils.estimator_checks.check_estimator` is to tables, this is to sequences, for
    any estimator with this protocol::

        fit(X, y, *, lengths=None)
        predict(X, *, lengths=None, initial_state=None, return_state=False)

    X is an array of shape (n_samples, n_steps, n_channels) or a list of arrays of shape
    (n_steps_i, n_channels); y has one target for each sequence or, if there is a parameter
    ``return_sequences=True``, one for each step, in the form of X. `predict_proba` and
    `decision_function` are checked where they are. Of a transformer, which has no `predict`,
    `transform` is checked in its place, and y is None.

    What follows is checked where it is there:

    - `lengths`: an argument of `fit` and `predict`, the steps of each sequence of an array
    - NaN in all channels beyond the end of a sequence: if `fit` does not refuse it, and no tag
      `allow_nan` says that it is a value
    - 2-D X, one step after the other: if there is a parameter `n_channels`
    - states: if `predict` has `initial_state` and `return_state`, and no parameter
      ``bidirectional=True``, nor a `cell` that is a function. A state is an array with a row for
      each sequence.

    A check that does not apply is reported as such, never as passed.

    Parameters
    ----------
    estimator : estimator instance
        It is cloned; a parameter `random_state` becomes 0, and `n_channels` that of the data.
        Seven sequences are learnt about twelve times, so let it train for a few steps only.
    exact : bool, default=False
        Whether answers must be equal, to the last bit. Else they may differ by rounding.
    rtol : float or None, default=None
        How much numbers may differ, relative to their size. None: 1e-7 for answers in float64,
        1e-4 in float32, 1e-2 in float16. A hundred times as much for answers of two fits, for
        training multiplies rounding. Labels must always be equal.
    atol : float or None, default=None
        What they may differ by besides. None: `rtol` times the largest answer. A hundred times
        as much for two fits.
    dtype : dtype, default=numpy.float64
        Of X.
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
        If a check fails and `on_fail` is "raise". It says what differed, where, and by how much.
    TypeError
        If `estimator` is a class, or neither a regressor nor a classifier, nor a transformer
        without `predict`.

    Notes
    -----
    The checks, in order:

    - `check_fit_and_predict`: an answer for each sequence or step, not all the same
    - `check_prediction_changes_nothing`: the estimator is what it was, and answers as it did
    - `check_inputs_unchanged`: nothing is written into X, y, lengths or states
    - `check_random_state`: two fits with the same seed are the same
    - `check_list_equals_array`, `check_lengths_equal_list`, `check_nan_equals_list`,
      `check_rows_equal_array`: all forms of X are the same to `fit` and `predict`
    - `check_padding_in_predict`, `check_padding_amount_in_fit`, `check_padding_content_in_fit`,
      `check_target_padding_in_fit`: how much padding there is, and what is in it (noise, NaN,
      infinity), is of no effect
    - `check_batch_mates`, `check_batch_order`: nor are the sequences beside a sequence
    - `check_other_lengths`: sequences may be of other lengths than in `fit`
    - `check_split_in_two`, `check_split_in_three`: sequences in pieces, with the state carried
      on, are whole
    - `check_state_rows`: rows of the state can be moved, left out and stored
    - `check_state_refused_in_both_directions`: no state is given if it would be of no use
    - `check_pickle`, `check_pickle_in_mid_stream`, `check_clone`, `check_clone_in_mid_stream`
    - `check_zero_length_in_list`, `check_zero_length_in_lengths`, `check_zero_length_by_nan`,
      `check_number_of_channels`, `check_number_of_columns`: what makes no sense is refused with
      ValueError by `fit` and `predict`

    Examples
    --------
    >>> from skaernn import RNNSequenceRegressor
    >>> from skaernn.testing import check_sequence_estimator
    >>> model = RNNSequenceRegressor("gru", hidden_size=4, max_iter=2)
    >>> results = check_sequence_estimator(model, exact=True)
    >>> [r["check_name"] for r in results if r["status"] == "not applicable"]
    ['check_target_padding_in_fit', 'check_state_refused_in_both_directions']
    """
    check_arguments(estimator, on_fail)
    probe = Probe(estimator, exact=exact, rtol=rtol, atol=atol, dtype=dtype)
    return run_checks(CHECKS, probe, estimator, on_fail)
