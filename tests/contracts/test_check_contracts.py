"""Does `check_contracts` see what it is there to see? Estimators broken in one way each."""

import random
import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.exceptions import EstimatorCheckFailedWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from skaernn import (
    AutoencoderTransformer,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skaernn.testing import check_contracts
from skaernn.testing._contract_checks import CHECKS

FLOATS = [np.float64, np.float32]
NAMES = [check.__name__ for check in CHECKS]


class Right(RegressorMixin, BaseEstimator):
    """A line on one feature after the other, by sums that no order can change."""

    def __init__(self, random_state=None, learning_rate=0.1):
        self.random_state = random_state
        self.learning_rate = learning_rate

    def fit(self, X, y, sample_weight=None):
        X, y = self._read(X, y)
        weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight)
        order = np.lexsort(X.T)
        X, y, weight = X[order].astype(float), y[order], weight[order]
        weight = weight / weight.sum()
        self.mean_ = weight @ X
        self.slope_ = (weight * y) @ (X - self.mean_) / 10
        return self

    def _read(self, X, y):
        return validate_data(self, X, y, dtype=FLOATS, y_numeric=True)

    def predict(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        answer = np.zeros(len(X))
        for column, mean, slope in zip(X.T, self.mean_, self.slope_, strict=True):
            answer += (column - mean) * slope
        return answer.astype(X.dtype)


class Dice(Right):
    count = 0

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        Dice.count += 1
        self.slope_ = self.slope_ + Dice.count
        return self


class Drawing(Right):
    def fit(self, X, y, sample_weight=None):
        random.random()
        return super().fit(X, y, sample_weight)


class Seeding(Right):
    def fit(self, X, y, sample_weight=None):
        np.random.seed(3)  # noqa: NPY002
        return super().fit(X, y, sample_weight)


class FirstRow(Right):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.mean_ = self.mean_ + np.asarray(X, dtype=float)[0] / 100
        return self


class Weightless(Right):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X, y)


class Counting(Right):
    """Weights of zero count as rows."""

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        if sample_weight is not None and not np.all(sample_weight):
            self.slope_ = self.slope_ * 1.01
        return self


class BatchMean(Right):
    def predict(self, X):
        return super().predict(X) + np.asarray(X)[:, 0].mean() / 100


class Double(Right):
    def predict(self, X):
        return super().predict(X).astype(float)


class Layout(Right):
    def predict(self, X):
        return super().predict(X) + 0.1 * (not np.asarray(X).flags.c_contiguous)


class Writing(Right):
    def predict(self, X):
        answer = super().predict(X)
        if X.flags.writeable:
            X += 1
        return answer


class Remembering(Right):
    def predict(self, X):
        self.last_ = len(X)
        return super().predict(X)


class Printing(Right):
    def fit(self, X, y, sample_weight=None):
        print("hello")  # noqa: T201
        return super().fit(X, y, sample_weight)


class Warning_(Right):
    def predict(self, X):
        warnings.warn("by the way", stacklevel=2)
        return super().predict(X)


class Sharing(Right):
    """One piece of memory for all answers."""

    def predict(self, X):
        if not hasattr(Sharing, "room") or len(Sharing.room) != len(X):
            Sharing.room = np.zeros(len(X))
        Sharing.room[:] = super().predict(X)
        return Sharing.room if len(X) == 60 and Sharing.asked() else Sharing.room.copy()

    @staticmethod
    def asked():
        Sharing.n = getattr(Sharing, "n", 0) + 1
        if Sharing.n > 40:
            Sharing.room += Sharing.n
        return True


class Diverging(Right):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        if self.learning_rate > 1:
            self.slope_ = self.slope_ * self.learning_rate * 100
        return self


class Infinite(Right):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        if self.learning_rate > 1:
            self.slope_ = self.slope_ * np.inf
        return self


class Hasty(Right):
    def fit(self, X, y, sample_weight=None):
        self.mean_, self.slope_ = np.zeros(6), np.zeros(6)
        return super().fit(X, y, sample_weight)


class Trusting(Right):
    def predict(self, X):
        X = validate_data(self, X, dtype=FLOATS, reset=False, ensure_all_finite=False)
        return super().predict(np.nan_to_num(X))


class Wide(Right):
    def predict(self, X):
        return super().predict(np.c_[np.asarray(X), np.asarray(X)][:, :6])


class Forgetting(Right):
    def __getstate__(self):
        state = super().__getstate__()
        return {**state, "slope_": state["slope_"] + 1} if "slope_" in state else state


class Sticky(Right):
    def __sklearn_clone__(self):
        other = Sticky(self.random_state, self.learning_rate)
        vars(other).update(vars(self))
        return other


class Stamped(Right):
    count = 0

    def __getstate__(self):
        Stamped.count += 1
        return {**super().__getstate__(), "stamp": Stamped.count}


BROKEN = {
    "check_same_seed_same_bits": [Dice],
    "check_global_generators": [Drawing, Seeding],
    "check_row_order": [FirstRow],
    "check_weights_are_repetition": [Weightless],
    "check_weight_zero_is_absence": [Counting],
    "check_batch_mates": [BatchMean],
    "check_dtype": [Double],
    "check_layouts": [Layout],
    "check_inputs_unchanged": [Writing],
    "check_prediction_changes_nothing": [Remembering],
    "check_silence": [Printing, Warning_],
    "check_threads": [Sharing],
    "check_divergence": [Diverging, Infinite],
    "check_failed_fit": [Hasty],
    "check_refuses_nan": [Trusting],
    "check_refuses_other_width": [Wide],
    "check_copies": [Forgetting],
    "check_clone": [Sticky],
    "check_joblib_hash": [Stamped],
}


@pytest.fixture(autouse=True)
def generators():
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    yield
    random.setstate(before[0])
    np.random.set_state(before[1])  # noqa: NPY002


def statuses(estimator, status):
    results = check_contracts(estimator, on_fail=None)
    assert [result["check_name"] for result in results] == NAMES
    return [result["check_name"] for result in results if result["status"] == status]


def test_every_check_has_something_to_see():
    assert BROKEN.keys() == set(NAMES)


@pytest.mark.parametrize(
    ("check", "kind"), [(check, kind) for check, kinds in BROKEN.items() for kind in kinds]
)
def test_what_is_broken_is_seen(check, kind):
    assert check in statuses(kind(), "failed")


def test_what_is_right_passes():
    assert statuses(Right(), "passed") == NAMES


def test_what_does_not_apply_is_said_to():
    class Plain(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            validate_data(self, X, dtype=FLOATS)
            return self

        def transform(self, X):
            return validate_data(self, X, dtype=FLOATS, reset=False) * 2

    assert statuses(Plain(), "not applicable") == [
        "check_global_generators",
        "check_weights_are_repetition",
        "check_weight_zero_is_absence",
        "check_divergence",
    ]


@pytest.mark.parametrize(
    "estimator",
    [
        AutoencoderTransformer(max_iter=2),
        AutoencoderTransformer(2, (8,), architecture="convolutional", max_iter=2),
        VariationalAutoencoderTransformer(max_iter=2),
        SequenceAutoencoderTransformer(2, 4, max_iter=2),
        RNNSequenceRegressor(hidden_size=4, max_iter=2),
        RNNSequenceClassifier("gru", 4, max_iter=2),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_our_own_pass_all(estimator):
    assert statuses(estimator, "passed") == NAMES


def test_ways_to_report():
    with pytest.raises(AssertionError, match="predict of float32 gives float64"):
        check_contracts(Double())
    with pytest.warns(EstimatorCheckFailedWarning, match="check_dtype") as caught:
        check_contracts(Double(), on_fail="warn")
    assert caught[0].filename == __file__
    for wrong, error in ((Right, TypeError), (object(), Exception)):
        with pytest.raises(error):
            check_contracts(wrong)
    with pytest.raises(ValueError, match="on_fail must be"):
        check_contracts(Right(), on_fail="maybe")
