"""Contract 9 of the recurrent estimators: what is left after divergence, Ctrl-C, refused input."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pytest
from interrupts import interrupt_objective, interrupt_part, interrupt_solver
from sequence_variants import (
    COURSES,
    STRUCTURES,
    VARIANTS,
    Variant,
    answers,
    assert_same,
    parametrized,
)
from sklearn.exceptions import ConvergenceWarning

CAN_GO_ON = [variant for variant in COURSES if variant.can_go_on]
BOTH = [Variant(), Variant(True)]


def assert_usable(estimator, X):
    """Finite, consistent with itself, and ready for whatever comes."""
    for name, value in estimator.module_.state_dict().items():
        assert value.isfinite().all(), name
    assert estimator.n_iter_ == len(estimator.loss_curve_)
    assert np.isfinite(estimator.loss_)
    assert np.isfinite(estimator.loss_curve_).all()
    if estimator.loss_curve_:
        assert estimator.loss_ == estimator.loss_curve_[-1]
    validated = estimator.early_stopping
    assert (estimator.best_loss_ is None) == validated
    assert (estimator.validation_scores_ is None) != validated
    assert (estimator.best_validation_score_ is None) != validated
    if validated:
        assert len(estimator.validation_scores_) == estimator.n_iter_
        scores = [*estimator.validation_scores_, -np.inf]
        assert estimator.best_validation_score_ >= max(scores)
    expected = answers(estimator, X)
    for name, value in expected.items():
        assert value.dtype.kind != "f" or np.isfinite(value).all(), name
    assert_same(answers(pickle.loads(pickle.dumps(estimator)), X), expected)
    assert_same(answers(copy.deepcopy(estimator), X), expected)


def caught_from(call, *args, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args, **kwargs)
    return caught


class TestDivergence:
    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    @parametrized(VARIANTS)
    def test_at_most_one_warning_and_finite_weights(self, variant, solver):
        X, y = variant.data()
        worst = {"solver": solver, "schedule": "constant", "learning_rate": 1e30, "max_iter": 8}
        worst |= {"max_grad_norm": None}
        estimator = variant.make(**{**variant.params, **worst})
        caught = caught_from(estimator.fit, X, y)
        assert_usable(estimator, X)
        for warning in caught:
            assert warning.category is ConvergenceWarning
            assert warning.filename == __file__
            message = str(warning.message)
            ended = {member.n_iter_ for member in estimator.members_}
            overflown = any(f"not finite in epoch {n + 1} " in message for n in ended)
            assert overflown == (min(ended) < 8) or "made the loss worse" in message
            assert "learning_rate=1e+30" in message
        # one that was not wild enough to overflow may have led somewhere by chance
        causes = {str(warning.message)[:24] for warning in caught}
        assert len(caught) == len(causes) <= len(estimator.members_)
        assert caught or estimator.n_iter_ == 8

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
    def test_the_warning_comes(self, cell, dtype):
        variant = Variant(False, {"cell": cell, "solver": "sgd", "max_grad_norm": None})
        X, y = variant.data(dtype=dtype)
        estimator = variant.make(learning_rate=1e30, max_iter=30)
        (warning,) = caught_from(estimator.fit, X, y)
        assert warning.category is ConvergenceWarning
        largest = max(np.abs(x).max() for x in X)
        assert "not finite in epoch" in str(warning.message)
        assert f"largest absolute value of X {largest:.3g}" in str(warning.message)
        assert_usable(estimator, X)

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    @parametrized(CAN_GO_ON)
    def test_partial_fit_recovers_with_a_smaller_rate(self, variant, solver):
        X, y = variant.data()
        # units without a bound: after a step of 1e30 no small rate brings them back
        rate = 30.0 if variant.params.get("cell") == "mingru" else 1e30
        wild = {"solver": solver, "learning_rate": rate, "max_grad_norm": None}
        estimator = variant.make(**{**variant.params, **wild})
        for _ in range(2):
            caught_from(variant.goes_on, estimator, X, y)
        assert_usable(estimator, X)
        epochs = estimator.n_iter_
        estimator.set_params(learning_rate=1e-3)
        variant.goes_on(variant.goes_on(estimator, X, y), X, y)
        assert estimator.n_iter_ == epochs + 2
        assert_usable(estimator, X)

    @pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e150, 1e300])
    @pytest.mark.parametrize("scaling", ["standard", None])
    @parametrized(BOTH)
    def test_any_size_of_values(self, variant, scale, scaling):
        X, y = variant.data()
        X = [x * scale for x in X]
        estimator = variant.make(scaling=scaling)
        for warning in caught_from(estimator.fit, X, y):
            assert warning.category is ConvergenceWarning
        for value in estimator.module_.state_dict().values():
            assert value.isfinite().all()
        if scaling:
            assert_usable(estimator, X)


class TestInterrupt:
    @parametrized(COURSES)
    def test_before_the_first_step_changes_nothing(self, variant):
        X, y = variant.data()
        for method in ("start", "sums"):
            estimator = variant.make()
            with interrupt_objective(method, 1), pytest.raises(KeyboardInterrupt):
                estimator.fit(X, y)
            assert vars(estimator) == vars(variant.make())
        estimator = variant.make().fit(X, y)
        before, expected = dict(vars(estimator)), joblib.hash(estimator)
        for method in ("start", "sums"):
            with interrupt_objective(method, 1), pytest.raises(KeyboardInterrupt):
                estimator.fit([x[:, :1] for x in X[:12]], y[:12])
            assert vars(estimator) == before
            assert joblib.hash(estimator) == expected

    @pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
    @parametrized(CAN_GO_ON)
    def test_before_the_first_step_of_partial_fit(self, variant, late):
        X, y = variant.data()
        estimator = variant.goes_on(variant.make(), X, y)
        expected = joblib.hash(estimator)
        uninterrupted = variant.goes_on(copy.deepcopy(estimator), X, y)
        # late: the step is done, but the loop does not know yet
        with interrupt_solver(1, late=late), pytest.raises(KeyboardInterrupt):
            variant.goes_on(estimator, X, y)
        assert joblib.hash(estimator) == expected
        assert joblib.hash(variant.goes_on(estimator, X, y)) == joblib.hash(uninterrupted)

    @pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
    @parametrized(STRUCTURES + COURSES)
    def test_at_any_step_leaves_a_usable_estimator(self, variant, late):
        """Before the second step and after the third: in between are only these two again."""
        X, y = variant.data()
        estimator = variant.make()
        with interrupt_solver(3 if late else 2, late=late):
            (warning,) = caught_from(estimator.fit, X, y)
        assert warning.category is UserWarning
        assert str(warning.message) == "Training interrupted by user."
        assert warning.filename == __file__
        assert_usable(estimator, X)
        if variant.can_go_on:
            variant.goes_on(estimator, X, y)
        else:
            estimator.fit(X, y)
        assert_usable(estimator, X)

    @pytest.mark.parametrize(("at_part", "late"), [(2, False), (2, True)])
    @parametrized(STRUCTURES + COURSES)
    def test_between_calls_of_the_kernels(self, variant, at_part, late):
        X, y = variant.data()
        estimator = variant.make()
        with interrupt_part(at_part, late=late) as calls:
            caught = caught_from(estimator.fit, X, y)
        if len(calls) == at_part:  # those that go by torch have none
            assert [str(warning.message) for warning in caught] == [
                "Training interrupted by user."
            ]
        assert_usable(estimator, X)

    @pytest.mark.parametrize("at_call", range(2, 8))
    @parametrized([v for v in COURSES if v.params.keys() & {"solver", "batch_size"}] + BOTH)
    def test_while_the_loss_is_evaluated(self, variant, at_call):
        """In a line search, a mini-batch, or between the two."""
        X, y = variant.data()
        estimator = variant.make(max_iter=12)
        try:
            with interrupt_objective("sums", at_call):
                (warning,) = caught_from(estimator.fit, X, y)
        except KeyboardInterrupt:  # the first line search is a part of the first step
            assert estimator.solver == "lbfgs"
            assert vars(estimator) == vars(variant.make(max_iter=12))
            return
        assert str(warning.message) == "Training interrupted by user."
        assert_usable(estimator, X)

    @pytest.mark.parametrize("at_call", [1, 2, 3])
    @parametrized([v for v in COURSES if v.params.get("early_stopping")])
    def test_while_validating(self, variant, at_call):
        X, y = variant.data()
        estimator = variant.make(max_iter=5)
        with interrupt_objective("evaluate", at_call), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Training interrupted by user")
            if at_call == 1:  # the start is evaluated before the first step
                with pytest.raises(KeyboardInterrupt):
                    estimator.fit(X, y)
                assert vars(estimator) == vars(variant.make(max_iter=5))
                return
            estimator.fit(X, y)
        assert_usable(estimator, X)
        assert estimator.n_iter_ < 5

    @parametrized(STRUCTURES)
    def test_interrupted_and_continued_by_warm_start(self, variant):
        X, y = variant.data()
        estimator = variant.make(warm_start=True)
        with interrupt_solver(2), pytest.warns(UserWarning, match="interrupted"):
            estimator.fit(X, y)
        estimator.fit(X, y)
        assert_usable(estimator, X)


def refused(variant):
    X, y = variant.data()
    bad = [*X[:-1], X[-1] * np.nan]
    return {
        "NaN": ((bad, y), {}),
        "text": (([x.astype(str) for x in X], y), {}),
        "no rows": (([], y), {}),
        "y too short": ((X, y[:-1]), {}),
        "other channels": (([*X[:-1], X[-1][:, :1]], y), {}),
        "negative weight": ((X, y), {"sample_weight": -np.ones(len(X))}),
        "zero weights": ((X, y), {"sample_weight": np.zeros(len(X))}),
        "lengths": ((X, y), {"lengths": np.zeros(len(X), int)}),
        "state": ((X, y), {"initial_state": np.zeros((len(X), 1))}),
    }


class TestRefusedInput:
    @parametrized(COURSES)
    def test_changes_nothing(self, variant):
        X, y = variant.data()
        estimator = variant.make().fit(X, y)
        before, expected = dict(vars(estimator)), joblib.hash(estimator)
        for name, (data, how) in refused(variant).items():
            unfitted = variant.make()
            with pytest.raises(ValueError):  # noqa: PT011  which is another file's
                unfitted.fit(*data, **how)
            assert vars(unfitted) == vars(variant.make()), name
            for method in ["fit"] + ["partial_fit"] * variant.can_go_on:
                with pytest.raises(ValueError):  # noqa: PT011
                    getattr(estimator, method)(*data, **how)
                assert vars(estimator) == before, name
                assert joblib.hash(estimator) == expected, name

    @parametrized(BOTH)
    def test_parameters(self, variant):
        X, y = variant.data()
        estimator = variant.make().fit(X, y)
        for name, value in {"cell": "qrnn", "max_iter": 0, "hidden_size": 2.0}.items():
            kept, before = estimator.get_params()[name], joblib.hash(estimator)
            with pytest.raises(ValueError, match=f"The '{name}' parameter of RNNSequence"):
                estimator.set_params(**{name: value}).fit(X, y)
            assert joblib.hash(estimator.set_params(**{name: kept})) == before


def test_changes_between_partial_fits():
    """Another solver, another type: training goes on, with a new memory where it must."""
    for variant in BOTH:
        X, y = variant.data()
        single = [x.astype(np.float32) for x in X]
        for first, second in (("adam", "sgd"), ("sgd", "adam")):
            estimator = variant.goes_on(variant.make(solver=first), X, y)
            variant.goes_on(estimator.set_params(solver=second), X, y)
            assert_usable(estimator, X)
        for first, second in ((X, single), (single, X)):
            estimator = variant.goes_on(variant.make(), first, y)
            variant.goes_on(estimator, second, y)
            assert_usable(estimator, X)
