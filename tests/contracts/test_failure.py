"""Contract 9: what is left after divergence, Ctrl-C and refused input; for every variant."""

import copy
import pickle
import warnings
from itertools import cycle

import joblib
import numpy as np
import pytest
from interrupts import interrupt_objective, interrupt_part, interrupt_solver
from sklearn.exceptions import ConvergenceWarning
from variants import ALL_VARIANTS, COURSES, make

X = np.random.default_rng(0).random((40, 5))
CAN_GO_ON = [v for v in ALL_VARIANTS if hasattr(make(*v.values), "partial_fit")]
params_of = pytest.mark.parametrize("params", ALL_VARIANTS)
course_of = pytest.mark.parametrize("params", COURSES)
only_incremental = pytest.mark.parametrize("params", CAN_GO_ON)


def by_turns(variants, others):
    """Variants and something else that is not a matter of any two settings, one after another."""
    return [
        pytest.param(*variant.values, other, id=f"{variant.id}-{other}")
        for variant, other in zip(variants, cycle(others), strict=False)
    ]


def assert_usable(estimator):
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
        assert estimator.best_validation_score_ >= max(
            estimator.validation_scores_, default=-np.inf
        )
    codes = estimator.transform(X)
    assert np.isfinite(estimator.inverse_transform(codes)).all()
    assert np.isfinite(estimator.sample(2, random_state=0)).all()
    other = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(other.transform(X), codes)
    np.testing.assert_array_equal(copy.deepcopy(estimator).transform(X), codes)


def caught_from(call, *args, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args, **kwargs)
    return caught


class TestDivergence:
    @pytest.mark.parametrize(("params", "batch_size"), by_turns(ALL_VARIANTS, [7, 200]))
    def test_one_warning_and_finite_weights(self, params, batch_size):
        """The largest rate there is: only solvers with a rate of their own survive it."""
        worst = {"solver": "sgd", "schedule": "constant", "learning_rate": 1e300}
        worst |= {"max_iter": 8, "tol": 0, "batch_size": batch_size}
        estimator = make({**params, **worst})
        caught = caught_from(estimator.fit, X)
        assert_usable(estimator)
        if not caught:  # saturated activations have no gradient left to diverge by
            assert estimator.n_iter_ == 8
            return
        (warning,) = caught
        assert warning.category is ConvergenceWarning
        assert warning.filename == __file__
        message = str(warning.message)
        assert "learning_rate=1e+300" in message
        if "made the loss worse" not in message:
            assert f"not finite in epoch {estimator.n_iter_ + 1} " in message
            assert f"{np.abs(X).max():.3g}" in message

    def test_the_warning_comes(self):
        estimator = make(solver="sgd", learning_rate=1e300)
        (warning,) = caught_from(estimator.fit, X)
        assert issubclass(warning.category, ConvergenceWarning)
        assert "not finite in epoch" in str(warning.message)

    @pytest.mark.parametrize(("params", "how"), by_turns(CAN_GO_ON, [(7, "adam"), (200, "sgd")]))
    def test_partial_fit_recovers_with_a_smaller_rate(self, params, how):
        batch_size, solver = how
        wild = {"solver": solver, "learning_rate": 1e300, "batch_size": batch_size}
        estimator = make({**params, **wild})
        caught_from(estimator.partial_fit, X)
        caught_from(estimator.partial_fit, X)
        assert_usable(estimator)
        estimator.set_params(learning_rate=1e-3)
        epochs = estimator.n_iter_
        estimator.partial_fit(X).partial_fit(X)
        assert estimator.n_iter_ == epochs + 2
        assert_usable(estimator)

    @pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e150, 1e200, 1e300])
    @pytest.mark.parametrize("linear_path", [True, False])
    @pytest.mark.parametrize("scaling", ["global", "standard", None])
    def test_any_size_of_values(self, scale, linear_path, scaling):
        estimator = make(linear_path=linear_path, scaling=scaling)
        rows = X * scale
        for warning in caught_from(estimator.fit, rows):
            assert warning.category is ConvergenceWarning
            assert f"{np.abs(rows).max():.3g}" in str(warning.message)
        for value in estimator.module_.state_dict().values():
            assert value.isfinite().all()
        assert np.isfinite(estimator.transform(rows)).all()


class TestInterrupt:
    @params_of
    def test_before_the_first_step_changes_nothing(self, params):
        for method in ("start", "sums"):
            estimator = make(params)
            with interrupt_objective(method, 1), pytest.raises(KeyboardInterrupt):
                estimator.fit(X)
            assert vars(estimator) == make(params).__dict__
        estimator = make({**params, "warm_start": False}).fit(X)
        before, expected = dict(vars(estimator)), joblib.hash(estimator)
        for method in ("start", "sums"):
            with interrupt_objective(method, 1), pytest.raises(KeyboardInterrupt):
                estimator.fit(X[:20, :3])
            assert vars(estimator) == before
            assert joblib.hash(estimator) == expected

    @only_incremental
    @pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
    def test_before_the_first_step_of_partial_fit(self, params, late):
        estimator = make(params).partial_fit(X)
        expected = joblib.hash(estimator)
        uninterrupted = copy.deepcopy(estimator).partial_fit(X)
        # late: the step is done, but the loop does not know yet
        with interrupt_solver(1, late=late), pytest.raises(KeyboardInterrupt):
            estimator.partial_fit(X)
        assert joblib.hash(estimator) == expected
        estimator.partial_fit(X)
        assert joblib.hash(estimator) == joblib.hash(uninterrupted)

    @pytest.mark.parametrize(("params", "late"), by_turns(ALL_VARIANTS, [False, True]))
    def test_later_leaves_a_usable_estimator(self, params, late):
        """Before the second step and after the third: in between are only these two again."""
        estimator = make(params)
        with interrupt_solver(3 if late else 2, late=late):
            (warning,) = caught_from(estimator.fit, X)
        assert warning.category is UserWarning
        assert str(warning.message) == "Training interrupted by user."
        assert warning.filename == __file__
        assert_usable(estimator)
        if hasattr(estimator, "partial_fit"):
            assert_usable(estimator.partial_fit(X))
        else:
            assert_usable(estimator.fit(X))

    @pytest.mark.parametrize(("at_part", "late"), [(2, False), (2, True), (3, False)])
    @params_of
    def test_between_calls_of_the_kernels(self, params, at_part, late):
        estimator = make({**params, "batch_size": 9})
        with interrupt_part(at_part, late=late) as calls:
            caught = caught_from(estimator.fit, X)
        if calls:  # those that go by torch have none
            assert [str(warning.message) for warning in caught] == [
                "Training interrupted by user."
            ]
        assert_usable(estimator)

    @pytest.mark.parametrize("at_call", [2, 3, 4, 5])
    @course_of
    def test_while_the_loss_is_evaluated(self, params, at_call):
        """In a line search, a mini-batch, or between the two."""
        estimator = make({**params, "max_iter": 12, "n_iter_no_change": 10})
        unfitted = dict(vars(estimator))
        try:
            with interrupt_objective("sums", at_call):
                (warning,) = caught_from(estimator.fit, X)
        except KeyboardInterrupt:  # the first line search is a part of the first step
            assert estimator.solver == "lbfgs"
            assert vars(estimator) == unfitted
            return
        assert str(warning.message) == "Training interrupted by user."
        assert_usable(estimator)

    @pytest.mark.parametrize("at_call", [1, 2, 3])
    @pytest.mark.parametrize("linear_path", [False, True])
    def test_while_validating(self, at_call, linear_path):
        estimator = make(early_stopping=True, linear_path=linear_path, max_iter=5)
        with interrupt_objective("evaluate", at_call), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Training interrupted by user")
            try:
                estimator.fit(X)
            except KeyboardInterrupt:  # the start is evaluated before the first step
                assert vars(estimator) == vars(make(**estimator.get_params()))
                return
        assert_usable(estimator)
        assert estimator.n_iter_ < 5

    @pytest.mark.parametrize("at_call", range(2, 12))
    def test_in_a_line_search_keeps_the_last_good_point(self, at_call):
        options = {"solver": "lbfgs", "linear_path": False, "max_iter": 50}
        start = make(options, max_iter=1).fit(X)
        estimator = make(options)
        with interrupt_objective("sums", at_call), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Training interrupted by user")
            try:
                estimator.fit(X)
            except KeyboardInterrupt:
                return
        # what is left is at least as good as the first point of the search that was broken off
        assert estimator.score(X) >= min(start.score(X), 0) - 1e-9

    @params_of
    def test_interrupted_and_continued_by_warm_start(self, params):
        estimator = make(params, warm_start=True)
        with interrupt_solver(2), pytest.warns(UserWarning, match="interrupted"):
            estimator.fit(X)
        assert_usable(estimator.fit(X))


REFUSED = {
    "NaN": (np.where(X > 0.9, np.nan, X), None),
    "text": (X.astype(str), None),
    "no rows": (X[:0], None),
    "negative weight": (X, -np.ones(len(X))),
    "zero weights": (X, np.zeros(len(X))),
    "short weights": (X, np.ones(3)),
}


class TestRefusedInput:
    @params_of
    def test_leaves_the_earlier_fit_untouched(self, params):
        estimator = make(params).fit(X)
        before, expected = dict(vars(estimator)), joblib.hash(estimator)
        codes = estimator.transform(X)
        for name, (rows, weight) in REFUSED.items():
            for method in ("fit", "partial_fit", "fit_transform"):
                if hasattr(estimator, method):
                    with pytest.raises(ValueError):  # noqa: PT011  which is another file's
                        getattr(estimator, method)(rows, sample_weight=weight)
                    assert vars(estimator) == before, name
                    assert joblib.hash(estimator) == expected, name
        np.testing.assert_array_equal(estimator.transform(X), codes)

    @params_of
    def test_leaves_an_unfitted_estimator_unfitted(self, params):
        for rows, weight in REFUSED.values():
            estimator = make(params)
            with pytest.raises(ValueError):  # noqa: PT011
                estimator.fit(rows, sample_weight=weight)
            assert vars(estimator) == vars(make(params))

    def test_refused_parameters(self):
        estimator = make().fit(X)
        for name, value in {"solver": "newton", "max_iter": 0, "n_components": 2.0}.items():
            kept = estimator.get_params()[name]
            before = joblib.hash(estimator)
            with pytest.raises(ValueError, match=f"The '{name}' parameter of AutoencoderTr"):
                estimator.set_params(**{name: value}).fit(X)
            assert joblib.hash(estimator.set_params(**{name: kept})) == before


def test_changes_between_partial_fits():
    """Another solver, another type: training goes on, with a new memory where it must."""
    for first, second in (("adam", "sgd"), ("sgd", "adam")):
        estimator = make(solver=first).partial_fit(X)
        assert_usable(estimator.set_params(solver=second).partial_fit(X).partial_fit(X))
    for first, second in ((np.float32, np.float64), (np.float64, np.float32)):
        estimator = make().partial_fit(X.astype(first))
        assert_usable(estimator.partial_fit(X.astype(second)).partial_fit(X))
