"""Contract 1: scikit-learn's own checks, for every variant, and those it leaves out."""

import warnings

import numpy as np
import pytest
from common_checks import LEFT_OUT, statuses
from sklearn.utils import estimator_checks
from variants import CHECKED, COURSES, VARIANTS, make

from skaernn import AutoencoderTransformer
from skaernn._estimators import vector_base, vector_codes
from skaernn._losses.reconstruction import LOSSES

TAKEN_IN = [
    estimator_checks.check_n_features_in,
    estimator_checks.check_n_features_in_after_fitting,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_readonly_memmap_input,
    estimator_checks.check_set_params,
]


@pytest.fixture
def legal_values(monkeypatch):
    """Bring the checks' data into [0, 1], behind validation, for losses that need it there.

    The checks know no tag for such a loss; all else about it is then checked as it is.
    """
    check_rows = vector_base.check_rows

    def squashed(estimator, X, **how):
        X = check_rows(estimator, X, **how)
        return (0.5 + 0.5 * (X / (1 + np.abs(X)))).astype(X.dtype)

    def use(estimator):
        if LOSSES[estimator.loss].fixed_output:
            for module in (vector_base, vector_codes):
                monkeypatch.setattr(module, "check_rows", squashed)
        return estimator

    return use


@pytest.mark.parametrize("params", CHECKED)
def test_check_estimator(params, legal_values):
    estimator = legal_values(make(params))
    expected = list(estimator_checks.estimator_checks_generator(estimator))
    n_run, not_passed = statuses(estimator)
    assert not_passed == {}
    assert n_run == len(expected)
    assert n_run >= 50


def test_check_estimator_at_the_defaults():
    n_run, not_passed = statuses(AutoencoderTransformer(max_iter=5))
    assert not_passed == {}
    assert n_run >= 50


def test_check_estimator_runs_all_its_checks_on_every_variant():
    names = [
        [check.func.__name__ for _, check in estimator_checks.estimator_checks_generator(e)]
        for e in (make(*variant.values) for variant in VARIANTS + CHECKED)
    ]
    assert all(row == names[0] for row in names)
    assert not {check.__name__ for check in LEFT_OUT} & set(names[0])
    assert {check.__name__ for check in TAKEN_IN} <= set(names[0])


@pytest.mark.parametrize(
    ("check", "params"),
    [
        pytest.param(check, *variant.values, id=f"{check.__name__}-{variant.id}")
        for i, check in enumerate(LEFT_OUT)
        for j, variant in enumerate(v for v in COURSES if v in VARIANTS)
        if (i + j) % 3 == 0
    ],
)
def test_checks_left_out(check, params, legal_values):
    """By turns: what they check, names and frames, is met before any training."""
    estimator = legal_values(make(params))
    with warnings.catch_warnings():
        # Some of these checks pass arrays after frames and frames after arrays, to see whether
        # they are taken; the warning is scikit-learn's own.
        warnings.filterwarnings("ignore", "X (does not have valid|has) feature names")
        check(type(estimator).__name__, estimator)


def test_tags_hide_nothing():
    tags = make().__sklearn_tags__()
    assert not tags.non_deterministic
    assert not tags.no_validation
    assert not tags._skip_test
    assert tags.input_tags.two_d_array
    assert tags.requires_fit
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]
