"""`check_sequence_estimator`: what is right passes, and every check catches what it is for."""

import ast
import inspect
import sys
from pathlib import Path
from unittest import SkipTest

import echoes
import numpy as np
import pytest
import wrong_echoes as wrong
from pairwise import all_pairs
from sklearn.cluster import KMeans
from sklearn.exceptions import EstimatorCheckFailedWarning

import skaernn.testing
from skaernn import (
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
)
from skaernn.networks import CELLS, POOLINGS
from skaernn.testing import check_sequence_estimator
from skaernn.testing._sequence_checks import CHECKS

NAMES = [check.__name__ for check in CHECKS]
ONE_DIRECTION = {
    "check_split_in_two",
    "check_split_in_three",
    "check_state_rows",
    "check_pickle_in_mid_stream",
    "check_clone_in_mid_stream",
}
BOTH_DIRECTIONS = {"check_state_refused_in_both_directions"}
PER_STEP = {"check_target_padding_in_fit"}
LENGTHS = {
    "check_lengths_equal_list",
    "check_padding_in_predict",
    "check_padding_amount_in_fit",
    "check_padding_content_in_fit",
    "check_zero_length_in_lengths",
}
NAN = {"check_nan_equals_list", "check_zero_length_by_nan"}
ROWS = {"check_rows_equal_array", "check_number_of_columns"}


def by_status(results, status):
    return {r["check_name"] for r in results if r["status"] == status}


def failed(estimator, **options):
    return by_status(check_sequence_estimator(estimator, on_fail=None, **options), "failed")


# Our own estimators


def everything():
    """Every two of estimator, cell, depth, direction and way to an output.

    The checks are about forms, padding and states, which each of these reads by itself; networks
    of all of them at once are compared with torch's by the oracles.
    """
    factors = {
        "kind": [RNNSequenceRegressor, RNNSequenceClassifier],
        "cell": list(CELLS),
        "n_layers": [1, 2],
        "bidirectional": [False, True],
        "output": [*({"pooling": p} for p in POOLINGS), {"return_sequences": True}],
    }
    for row in all_pairs(factors):
        yield row.pop("kind"), {**row.pop("output"), **row}


def _id(params):
    return "-".join(f"{name}={value}" for name, value in params.items())


@pytest.mark.parametrize(
    ("estimator", "params"),
    [
        pytest.param(kind, params, id=_id({"of": kind.__name__, **params}))
        for kind, params in everything()
    ],
)
def test_our_estimators_pass_to_the_last_bit(estimator, params):
    model = estimator(hidden_size=3, max_iter=2, **params)
    results = check_sequence_estimator(model, exact=True)
    idle = ONE_DIRECTION if model.bidirectional else BOTH_DIRECTIONS
    if not model.return_sequences:
        idle = idle | PER_STEP
    assert [r["check_name"] for r in results] == NAMES
    assert by_status(results, "not applicable") == idle
    assert by_status(results, "passed") == set(NAMES) - idle


@pytest.mark.parametrize(
    "params",
    [
        {"batch_size": 2},
        {"batch_size": 3, "shuffle": False, "dropout": 0.3, "n_layers": 2},
        {"solver": "sgd", "return_sequences": True, "batch_size": 2},
        {"solver": "lbfgs"},
        {"early_stopping": True, "return_sequences": True, "max_iter": 20},
        {"schedule": "constant", "return_sequences": True},
        {"input_skip": False, "scaling": None},
        {"alpha": 0.1, "max_grad_norm": None},
        {"warm_start": True},
    ],
    ids=_id,
)
@pytest.mark.parametrize("estimator", [RNNSequenceRegressor, RNNSequenceClassifier])
def test_our_estimators_pass_however_they_are_trained_in_float32_too(estimator, params):
    model = estimator("gru", 3, **{"max_iter": 2, **params})
    check_sequence_estimator(model, exact=True, dtype=np.float32)


@pytest.mark.parametrize(
    "loss", ["absolute_error", "huber", "poisson", "quantile", "binary_cross_entropy", "gaussian"]
)
def test_every_loss_passes(loss):
    check_sequence_estimator(RNNSequenceRegressor("rnn", 3, loss=loss, max_iter=2), exact=True)


WITHOUT_STATES = ONE_DIRECTION | BOTH_DIRECTIONS | PER_STEP


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_our_transformer_passes_to_the_last_bit(cell, n_layers, bidirectional):
    how = {"n_layers": n_layers, "bidirectional": bidirectional}
    model = SequenceAutoencoderTransformer(hidden_size=3, cell=cell, max_iter=2, **how)
    results = check_sequence_estimator(model, exact=True)
    assert by_status(results, "not applicable") == WITHOUT_STATES
    assert by_status(results, "passed") == set(NAMES) - WITHOUT_STATES


@pytest.mark.parametrize(
    "params",
    [
        {"batch_size": 2, "dropout": 0.3},
        {"solver": "lbfgs"},
        {"early_stopping": True, "max_iter": 20},
        {"scaling": None, "alpha": 0.1, "loss": "huber", "max_grad_norm": None},
        {"warm_start": True, "loss": "absolute_error"},
    ],
    ids=_id,
)
def test_our_transformer_passes_however_it_is_trained_in_float32_too(params):
    model = SequenceAutoencoderTransformer(2, 3, **{"cell": "gru", "max_iter": 2, **params})
    check_sequence_estimator(model, exact=True, dtype=np.float32)


# Estimators of nothing but numpy


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("estimator", "idle"),
    [
        (echoes.Echo(), BOTH_DIRECTIONS | PER_STEP),
        (echoes.Echo(return_sequences=True), BOTH_DIRECTIONS),
        (echoes.EchoClassifier(), BOTH_DIRECTIONS | PER_STEP),
        (echoes.EchoClassifier(return_sequences=True), BOTH_DIRECTIONS),
        (echoes.Stateless(), BOTH_DIRECTIONS | PER_STEP | ONE_DIRECTION),
        (echoes.WithoutLengths(return_sequences=True), BOTH_DIRECTIONS | PER_STEP | LENGTHS),
        (echoes.RefusesNaN(return_sequences=True), BOTH_DIRECTIONS | NAN),
        (echoes.MissesNothing(return_sequences=True), BOTH_DIRECTIONS | NAN),
        (echoes.WithoutChannels(return_sequences=True), BOTH_DIRECTIONS | ROWS),
        (echoes.BothWaysWithoutState(return_sequences=True), ONE_DIRECTION),
    ],
    ids=lambda value: type(value).__name__,
)
def test_others_pass_and_what_does_not_apply_is_said(estimator, idle, dtype):
    results = check_sequence_estimator(estimator, dtype=dtype)
    assert by_status(results, "not applicable") == idle
    assert by_status(results, "passed") == set(NAMES) - idle
    for result in results:
        reason = result["exception"]
        assert isinstance(reason, SkipTest) == (result["check_name"] in idle)
        assert reason is None or len(str(reason)) > 10


CAUGHT = [
    ("LearnsNothing", "fit_and_predict"),
    ("Counts", "prediction_changes_nothing"),
    ("CleansPadding", "inputs_unchanged"),
    ("OverwritesState", "inputs_unchanged"),
    ("RemembersFits", "random_state"),
    (
        "ReadsListsBackwards",
        "list_equals_array lengths_equal_list nan_equals_list other_lengths split_in_three "
        "pickle_in_mid_stream clone_in_mid_stream",
    ),
    (
        "IgnoresLengths",
        "lengths_equal_list padding_in_predict padding_amount_in_fit padding_content_in_fit "
        "target_padding_in_fit zero_length_in_lengths",
    ),
    ("FillsNaN", "nan_equals_list zero_length_by_nan"),
    ("ReadsChannelsFirst", "rows_equal_array"),
    ("PadsAnswers", "padding_in_predict"),
    ("StateOfPadding", "padding_in_predict"),
    ("CountsPadding", "padding_amount_in_fit"),
    ("LearnsFromPadding", "padding_content_in_fit"),
    ("LearnsFromTargetPadding", "target_padding_in_fit"),
    ("KnowsClassesOfPadding", "target_padding_in_fit"),
    (
        "ScalesByBatch",
        "batch_mates split_in_two split_in_three state_rows pickle_in_mid_stream "
        "clone_in_mid_stream",
    ),
    (
        "PullsTowardsBatch",
        "batch_mates split_in_two split_in_three state_rows pickle_in_mid_stream "
        "clone_in_mid_stream",
    ),
    ("ForgetsTheSecondChunk", "batch_mates"),
    (
        "LeaksFromRowToRow",
        "batch_mates batch_order split_in_two split_in_three state_rows pickle_in_mid_stream "
        "clone_in_mid_stream",
    ),
    ("KnowsOneLength", "other_lengths split_in_two"),
    (
        "IgnoresState",
        "split_in_two split_in_three pickle_in_mid_stream clone_in_mid_stream",
    ),
    ("LosesStateOfLists", "split_in_three pickle_in_mid_stream clone_in_mid_stream"),
    (
        "SortsStates",
        "batch_mates batch_order split_in_three state_rows pickle_in_mid_stream "
        "clone_in_mid_stream",
    ),
    ("NumbersItsStates", "batch_mates batch_order state_rows"),
    ("KeepsOneBuffer", "state_rows"),
    ("GivesStateOfBothWays", "state_refused_in_both_directions"),
    ("LosesWeightsInPickle", "pickle pickle_in_mid_stream"),
    ("KeepsStatesItself", "pickle_in_mid_stream clone_in_mid_stream"),
    ("SharesWeights", "clone"),
    ("IsItsClone", "clone"),
    ("ClonesFitted", "clone"),
    ("AcceptsNothing", "zero_length_in_list zero_length_in_lengths zero_length_by_nan"),
    ("WrongKindOfError", "zero_length_in_list zero_length_in_lengths zero_length_by_nan"),
    ("FillsEmptyLists", "zero_length_in_list"),
    ("ClipsLengths", "zero_length_in_lengths"),
    ("TakesNaNForAStep", "zero_length_by_nan"),
    ("CutsChannels", "number_of_channels"),
    ("MixesChannels", "number_of_channels"),
    ("CutsColumns", "number_of_columns"),
]


@pytest.mark.parametrize(("name", "checks"), CAUGHT, ids=[name for name, _ in CAUGHT])
def test_what_is_wrong_fails_the_check_for_it_and_no_other(name, checks):
    bad = getattr(wrong, name)(return_sequences=True)
    assert failed(bad) == {f"check_{check}" for check in checks.split()}


def test_every_check_catches_something():
    assert {f"check_{check}" for _, checks in CAUGHT for check in checks.split()} == set(NAMES)


@pytest.mark.parametrize(
    ("bad", "check", "words"),
    [
        (wrong.IsNotReturned(), "fit_and_predict", "did not return the estimator"),
        (wrong.LosesOne(), "fit_and_predict", "for each of 7 sequences, got 6 answers"),
        (wrong.LosesSteps(True), "fit_and_predict", r"has 4 steps, .* shape \(3,\)"),
        (wrong.GoesOnByItself(), "prediction_changes_nothing", "the second time: "),
        (wrong.OverwritesTargets(), "inputs_unchanged", "fit wrote into X, y or lengths"),
        (wrong.DrawsFromGlobal(), "random_state", "a second fit: "),
        (wrong.PadsLists(), "lengths_equal_list", "an array with lengths"),
        (echoes.BothWays(bidirectional=False), "split_in_two", "cut after step 0 of 4: "),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, echoes.Echo) else None,
)
def test_the_cause_is_raised_before_its_consequences(bad, check, words):
    np.random.seed(0)  # noqa: NPY002  for the one that draws from there
    with pytest.raises(AssertionError, match=words) as caught:
        check_sequence_estimator(bad)
    assert any(entry.name == f"check_{check}" for entry in caught.traceback)


def test_a_failure_says_what_differs_where_and_by_how_much():
    words = (
        r"^predict of an array with lengths, 1 spare step\(s\) and 0 in the padding: predict, "
        r"sequence 3, step 2: 0\.636\d+ instead of 0\.795\d+, 0\.159 apart with 1\.59e-07 "
        r"allowed; 21 of 21 values differ\.$"
    )
    with pytest.raises(AssertionError, match=words):
        check_sequence_estimator(wrong.PadsAnswers(return_sequences=True))


def test_an_error_of_the_estimator_is_the_cause_of_the_failure():
    with pytest.raises(AssertionError, match="raised TypeError: no lists") as caught:
        check_sequence_estimator(wrong.WithoutLists())
    assert isinstance(caught.value.__cause__, TypeError)


def test_rounding_is_allowed_unless_exact():
    assert not failed(wrong.Rounds())
    assert "check_batch_mates" in failed(wrong.Rounds(), exact=True)
    assert "check_batch_mates" in failed(wrong.Rounds(), rtol=1e-12)
    assert not failed(wrong.Rounds(), rtol=0, atol=1e-6)
    assert not failed(wrong.PullsTowardsBatch(), atol=10)
    assert not failed(wrong.PullsTowardsBatch(), rtol=10)


def test_a_number_that_is_not_finite_fails():
    assert "check_batch_mates" in failed(wrong.AnswersNaN(), atol=np.inf)


def test_labels_have_no_tolerance():
    assert "check_batch_mates" in failed(wrong.FlipsLabels(), atol=10)


def test_on_fail():
    bad = wrong.ClipsLengths()
    with pytest.raises(AssertionError, match="a length of 0 of 4 steps: expected a ValueError"):
        check_sequence_estimator(bad)
    with pytest.warns(EstimatorCheckFailedWarning, match="check_zero_length_in_lengths") as said:
        warned = check_sequence_estimator(bad, on_fail="warn")
    assert [w.filename for w in said] == [__file__]
    for results in (warned, check_sequence_estimator(bad, on_fail=None)):
        assert [r["check_name"] for r in results] == NAMES
        [result] = [r for r in results if r["status"] == "failed"]
        assert isinstance(result["exception"], AssertionError)
    with pytest.raises(ValueError, match="on_fail must be"):
        check_sequence_estimator(bad, on_fail="stop")


def test_what_is_no_estimator_of_sequences_is_refused():
    with pytest.raises(TypeError, match="an instance of Echo"):
        check_sequence_estimator(echoes.Echo)
    with pytest.raises(TypeError, match="neither a regressor nor a classifier, nor a trans"):
        check_sequence_estimator(KMeans())


def test_transformers_are_checked_by_what_they_transform():
    results = check_sequence_estimator(echoes.EchoTransformer(), exact=True)
    assert by_status(results, "not applicable") == WITHOUT_STATES
    assert failed(wrong.CentresByBatch()) == {"check_batch_mates"}


def test_the_estimator_passed_is_not_touched():
    model = echoes.Echo(random_state=3)
    before = dict(vars(model))
    check_sequence_estimator(model)
    assert vars(model) == before


# The module


def test_the_checks_need_numpy_and_scikit_learn_only_and_survive_python_o():
    own = {"__future__", "skaernn", "numpy", "sklearn", "joblib", *sys.stdlib_module_names}
    for path in Path(skaernn.testing.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(node, ast.Assert), path
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            if isinstance(node, ast.ImportFrom):
                assert node.level == 1 or node.module.split(".")[0] in own
                assert node.level < 2
                assert not any(name.startswith("_") for name in names if not node.level)
            elif isinstance(node, ast.Import):
                assert {name.split(".")[0] for name in names} <= own


def test_every_check_is_documented():
    doc = inspect.getdoc(check_sequence_estimator)
    assert [name for name in NAMES if f"`{name}`" not in doc] == []
    assert all(check.__doc__ for check in CHECKS)
