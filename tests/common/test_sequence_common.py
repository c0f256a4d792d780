"""Contract 1 of the recurrent estimators: scikit-learn's own checks, and those it leaves out.

With ``return_sequences=True`` they have no meaning: their y is one answer a sequence.
"""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from common_checks import statuses
from sequence_variants import CHECKED, Variant, parametrized
from sklearn.utils import estimator_checks

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor
from skaernn._estimators import regressor
from skaernn._inference import scores
from skaernn._losses.targets import TARGET_LOSSES
from skaernn._training.solvers import SOLVERS

# What `check_estimator` does not run and what applies.
LEFT_OUT = [
    estimator_checks.check_dataframe_column_names_consistency,
    estimator_checks.check_param_validation,
]
TAKEN_IN = [
    estimator_checks.check_estimators_partial_fit_n_features,
    estimator_checks.check_n_features_in,
    estimator_checks.check_n_features_in_after_fitting,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_positive_only_tag_during_fit,
    estimator_checks.check_readonly_memmap_input,
    estimator_checks.check_sample_weight_equivalence_on_dense_data,
    estimator_checks.check_set_params,
]

# Steps enough for the checks that want something learnt, in the cheapest cell if there is a
# choice.
LEARNING = {"cell": "rnn", "hidden_size": 24, "batch_size": 40, "max_iter": 50}
LEARNING |= {"learning_rate": 0.04, "schedule": "constant"}
# No loss falls by a whole multiple of itself, so that a plateau ends each fit at the seventh
# epoch, also in the check that asks for a thousand.
CLASSIFYING = {"hidden_size": 12, "max_iter": 30, "learning_rate": 0.07}
CLASSIFYING |= {"schedule": "constant", "tol": 1.0, "n_iter_no_change": 5}
# Gates that read the input alone cannot tell one step from another by its place: what a row of
# numbers needs takes layers, both directions and a pooling that weighs.
FOR_ITS_GATES = {True: {"hidden_size": 24, "max_iter": 40, "n_iter_no_change": 25}, False: {
    "n_layers": 2, "bidirectional": True, "pooling": "attention", "solver": "lbfgs",
    "hidden_size": 6, "max_iter": 60}}  # fmt: skip
NAMES = {True: "RNNSequenceClassifier", False: "RNNSequenceRegressor"}


def learning(variant):
    """The variant with what it takes to learn within a moment."""
    how = dict(CLASSIFYING if variant.classifier else LEARNING)
    if variant.params.get("activation") == "relu":  # recurrent units without a bound
        how["learning_rate"] = 0.02
    if variant.classifier and variant.params.get("solver") == "lbfgs":
        how["alpha"] = 1e-3  # on from a linear model, it soon learns noise
    if variant.params.get("cell") == "mingru":
        how |= FOR_ITS_GATES[variant.classifier]
    return variant.make(**{**how, **variant.params})


@pytest.fixture
def legal_values(monkeypatch):
    """Bring the checks' y into [0, 1], behind validation, for outputs that stay in a range.

    The checks know no tag for them; all else about them is then checked as it is.
    """
    check_numbers = regressor.check_numbers

    def squashed(*args, **kwargs):
        targets = check_numbers(*args, **kwargs)
        return replace(targets, values=0.5 + 0.5 * targets.values / (1 + np.abs(targets.values)))

    def use(estimator):
        if getattr(estimator, "output_activation", "identity") != "identity" or (
            hasattr(estimator, "loss") and TARGET_LOSSES[estimator.loss].check_targets(-1, 2)
        ):
            for module in (regressor, scores):
                monkeypatch.setattr(module, "check_numbers", squashed)
        return estimator

    return use


@parametrized(CHECKED)
def test_check_estimator(variant, legal_values):
    estimator = legal_values(learning(variant))
    expected = list(estimator_checks.estimator_checks_generator(estimator))
    n_run, not_passed = statuses(estimator)
    assert not_passed == {}
    assert n_run == len(expected)
    assert n_run >= 55


@pytest.mark.parametrize(
    "estimator", [RNNSequenceRegressor(max_iter=80), RNNSequenceClassifier(max_iter=10)], ids=repr
)
def test_check_estimator_at_the_defaults(estimator):
    n_run, not_passed = statuses(estimator)
    assert not_passed == {}
    assert n_run >= 55


def test_check_estimator_runs_all_its_checks_on_every_variant():
    for classifier in (False, True):
        names = [
            [c.func.__name__ for _, c in estimator_checks.estimator_checks_generator(v.make())]
            for v in CHECKED
            if v.classifier == classifier
        ]
        usual = [row for row in names if "check_estimators_partial_fit_n_features" in row]
        assert all(row == usual[0] for row in usual)
        assert not {check.__name__ for check in LEFT_OUT} & set(usual[0])
        assert {check.__name__ for check in TAKEN_IN} <= set(usual[0])
        left = {check for row in names for check in set(usual[0]) ^ set(row)}
        assert left <= {"check_estimators_partial_fit_n_features"}  # it may be absent


FEW = [
    Variant(classifier, {"cell": cell}) for classifier in (False, True) for cell in ("rnn", "gru")
]


@pytest.mark.parametrize("check", LEFT_OUT, ids=lambda check: check.__name__)
@parametrized(FEW)
def test_checks_left_out(check, variant):
    with warnings.catch_warnings():
        # One of these checks passes arrays after frames, to see whether they are taken; the
        # warning is scikit-learn's own.
        warnings.filterwarnings("ignore", "X (does not have valid|has) feature names")
        check(NAMES[variant.classifier], variant.make())


def test_tags_hide_nothing():
    for variant in (Variant(), Variant(True)):
        tags = variant.make().__sklearn_tags__()
        assert not tags.non_deterministic
        assert not tags.no_validation
        assert not tags._skip_test
        assert tags.requires_fit
        assert tags.input_tags.two_d_array
        assert tags.input_tags.three_d_array
        assert tags.target_tags.required
        specific = tags.classifier_tags if variant.classifier else tags.regressor_tags
        assert not specific.poor_score
        assert tags.target_tags.multi_output != variant.classifier


def test_solvers_without_partial_fit_are_the_ones_said():
    for name, solver in SOLVERS.items():
        assert Variant(False, {"solver": name}).can_go_on != solver.full_batch
