"""Members side by side: the same bits on any number of threads, all of them or none."""

import copy
import os
import pickle
import signal
import threading
import time
import warnings

import numpy as np
import pytest
import torch
from interrupts import interrupt_solver
from sequence_variants import (
    COURSES,
    SMALL,
    answers,
    assert_same,
    fitted_bits,
    parametrized,
)
from settings import global_state
from sklearn.exceptions import ConvergenceWarning

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor
from skaernn._core.crew import run_together
from skaernn._core.interrupts import check_interrupts, interrupts_deferred
from skaernn._estimators import members

X = np.random.default_rng(0).normal(size=(40, 6, 2))
Y = X.sum(axis=(1, 2))


@pytest.fixture
def threads(monkeypatch):
    """Sets how many members are trained at a time; gives the threads that trained some."""
    used = set()
    train_on = members.train_on

    def noting(*args):
        used.add(threading.get_ident())
        return train_on(*args)

    monkeypatch.setattr(members, "train_on", noting)
    monkeypatch.setattr(members, "_PAYS", 0)
    before = torch.get_num_threads()

    def use(n):
        used.clear()
        torch.set_num_threads(n)
        return used

    yield use
    torch.set_num_threads(before)


def regressor(n_members=4, **params):
    return RNNSequenceRegressor(**{**SMALL, "n_members": n_members, **params})


def everything(estimator):
    return {**fitted_bits(estimator), **answers(estimator, X)}


class TestThreads:
    @parametrized(COURSES)
    def test_bits_do_not_depend_on_them(self, variant, threads):
        data = variant.data()
        found = []
        for n in (1, 2, 3):
            used = threads(n)
            found.append(fitted_bits(variant.make(n_members=4).fit(*data)))
            assert 1 <= len(used) <= n
            assert torch.get_num_threads() == n
        assert_same(found[1], found[0])
        assert_same(found[2], found[0])

    def test_there_are_others_than_the_caller(self, threads):
        used = threads(2)
        for _ in range(20):  # the caller may have done all before the other one was awake
            regressor(batch_size=7, max_iter=20).fit(X, Y)
            if len(used) > 1:
                return
        pytest.fail("No other thread has trained a member.")

    @pytest.mark.parametrize("params", [{"verbose": True}, {"cell": "own"}])
    def test_one_after_another_where_somebody_sees_the_order(self, params, threads, capsys):
        if "cell" in params:
            params = {"cell": lambda n_inputs, hidden_size: _Linear(n_inputs, hidden_size)}
        used = threads(3)
        regressor(**params).fit(X, Y)
        assert used == {threading.get_ident()}
        said = [line for line in capsys.readouterr().out.splitlines() if "Member" in line]
        assert said == [f"Member {i} of 4" for i in (1, 2, 3, 4)] * ("verbose" in params)

    def test_small_fits_stay_on_one(self, threads, monkeypatch):
        monkeypatch.setattr(members, "_PAYS", 1 << 27)
        used = threads(3)
        regressor().fit(X, Y)
        assert used == {threading.get_ident()}

    def test_inside_a_thread_of_the_user(self, threads):
        threads(2)
        expected, found = everything(regressor().fit(X, Y)), []
        several = [
            threading.Thread(target=lambda: found.append(everything(regressor().fit(X, Y))))
            for _ in range(2)
        ]
        for thread in several:
            thread.start()
        for thread in several:
            thread.join()
        assert len(found) == 2
        for one in found:
            assert_same(one, expected)
        assert torch.get_num_threads() == 2

    @pytest.mark.usefixtures("unusual_settings")
    def test_no_setting_is_changed(self, threads):
        threads(2)
        before, n_active = global_state(), threading.active_count()
        regressor(early_stopping=True, dropout=0.2).fit(X, Y).predict(X, return_std=True)
        assert global_state() == before
        assert threading.active_count() == n_active


class _Linear(torch.nn.Module):
    def __init__(self, n_inputs, hidden_size):
        super().__init__()
        self.linear = torch.nn.Linear(n_inputs, hidden_size)

    def forward(self, x, lengths):
        return self.linear(x)


class TestFailure:
    @pytest.mark.parametrize("n_threads", [1, 2])
    @pytest.mark.parametrize("failing", [0, 1, 3])
    @pytest.mark.parametrize("fitted", [False, True])
    def test_all_or_none(self, failing, n_threads, fitted, threads, monkeypatch):
        threads(n_threads)
        model = regressor()
        if fitted:
            model.fit(X, Y)
        before = dict(vars(model))
        bits = everything(model) if fitted else None
        train_on = members.train_on

        def failing_one(member, *args):
            found = train_on(member, *args)
            if member.random_state == members.seed_of(0, failing):
                raise ZeroDivisionError("no more")
            return found

        monkeypatch.setattr(members, "train_on", failing_one)
        with pytest.raises(ZeroDivisionError, match="no more"):
            model.fit(X, Y)
        assert vars(model) == before
        if fitted:
            assert_same(everything(model), bits)

    def test_of_a_cell_of_ones_own(self):
        model = regressor(2, cell=lambda n, h: _Linear(n, h)).fit(X, Y)
        expected, before = model.predict(X), dict(vars(model))
        broken = lambda n, h: _Broken(n, h)  # noqa: E731
        with pytest.raises(ZeroDivisionError):
            model.set_params(cell=broken).fit(X, Y)
        assert {**vars(model), "cell": before["cell"]} == before
        np.testing.assert_array_equal(model.predict(X), expected)

    def test_refused_before_any(self, threads):
        used = threads(2)
        model = regressor()
        with pytest.raises(ValueError, match="NaN"):
            model.fit(X * np.nan, Y)
        with pytest.raises(ValueError, match="early_stopping"):
            regressor(solver="lbfgs", early_stopping=True).fit(X, Y)
        assert used == set()
        assert vars(model) == vars(regressor())


class _Broken(_Linear):
    """Fails on more sequences than it is tried with."""

    def forward(self, x, lengths):
        if len(x) > 2:
            raise ZeroDivisionError("no more")
        return super().forward(x, lengths)


class TestWarnings:
    @pytest.mark.parametrize("n_threads", [1, 2])
    def test_one_a_cause_at_the_line_of_the_caller(self, n_threads, threads):
        threads(n_threads)
        model = regressor(schedule="constant", tol=1e-4)
        with pytest.warns(ConvergenceWarning) as caught:
            model.fit(X, Y)
        (warning,) = caught
        assert warning.filename == __file__
        assert "Maximum iterations (3) reached" in str(warning.message)
        assert "In 4 of 4 members" in str(warning.message)

    def test_of_some_members(self):
        # after the first epoch of one and not of others, by their seeds
        model = regressor(solver="sgd", learning_rate=1e30, max_grad_norm=None, linear_path=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(X, Y)
        causes = {str(warning.message)[:20] for warning in caught}
        assert 1 <= len(caught) == len(causes)

    def test_what_is_said_of_the_input_is_said_once(self):
        rows = np.random.default_rng(0).normal(size=(40, 12))
        windows = np.lib.stride_tricks.sliding_window_view(rows.ravel(), 12)[::3][:60]
        windows = np.random.default_rng(0).permutation(windows)
        with pytest.warns(UserWarning, match="not in the order of time") as caught:
            regressor(early_stopping=True).fit(windows, windows[:, -1])
        assert len(caught) == 1

    @pytest.mark.parametrize("n_threads", [1, 2])
    def test_as_errors_they_come_when_all_are_there(self, n_threads, threads):
        threads(n_threads)
        model = regressor(schedule="constant", tol=1e-4)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ConvergenceWarning):
                model.fit(X, Y)
        assert len(model.members_) == 4


class TestInterrupts:
    @pytest.mark.parametrize("at", [1, 2, 4, 7, 10])
    def test_those_that_have_begun_stay(self, at):
        model = regressor(max_iter=3)
        if at == 1:
            with interrupt_solver(1), pytest.raises(KeyboardInterrupt):
                model.fit(X, Y)
            assert vars(model) == vars(regressor(max_iter=3))
            return
        with interrupt_solver(at), pytest.warns(UserWarning, match="interrupted") as caught:
            model.fit(X, Y)
        assert len(caught) == 1
        # three steps each; the one that was to make its first is not there
        trained = (at - 1 + 2) // 3
        assert len(model.members_) == trained
        members_said = [member.predict(X) for member in model.members_]
        np.testing.assert_array_equal(model.predict(X), np.mean(members_said, axis=0))
        for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            assert_same(everything(copied), everything(model))

    @pytest.mark.parametrize("incremental", [False, True])
    def test_the_missing_ones_begin_later(self, incremental):
        model = regressor(warm_start=True)
        with interrupt_solver(5), pytest.warns(UserWarning, match="interrupted"):
            model.fit(X, Y)
        assert len(model.members_) == 2
        model.partial_fit(X, Y) if incremental else model.fit(X, Y)
        assert len(model.members_) == 4
        begun = 1 if incremental else 3
        assert [member.n_iter_ for member in model.members_] == [
            3 + begun,
            1 + begun,
            begun,
            begun,
        ]
        seeds = [member.random_state for member in regressor().fit(X, Y).members_]
        assert [member.random_state for member in model.members_] == seeds

    def test_of_a_fit_that_goes_on(self):
        model = regressor(warm_start=True).fit(X, Y)
        before = everything(model)
        with interrupt_solver(1), pytest.raises(KeyboardInterrupt):
            model.fit(X, Y)
        assert_same(everything(model), before)
        with interrupt_solver(5), pytest.warns(UserWarning, match="interrupted"):
            model.fit(X, Y)
        assert [member.n_iter_ for member in model.members_] == [6, 4, 3, 3]

    @pytest.mark.parametrize("n_members", [2, 3])
    def test_all_threads_stop(self, n_members, threads):
        # a signal to the process, while two train for what would be minutes
        used = threads(2)
        regressor(n_members).fit(X, Y)  # so that imports and caches are there
        used.clear()
        model = regressor(n_members, max_iter=10**6, batch_size=7)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)

        def press():
            while len(used) < 2:
                time.sleep(0.01)
            time.sleep(0.5)  # a step takes a thousandth of that
            os.kill(os.getpid(), signal.SIGINT)

        presses = threading.Thread(target=press)
        presses.start()
        try:
            with pytest.warns(UserWarning, match="Training interrupted by user") as caught:
                model.fit(X, Y)
        finally:
            signal.signal(signal.SIGINT, before)
            presses.join()
        assert len(caught) == 1
        assert len(used) == 2
        assert len(model.members_) == 2
        assert all(1 < member.n_iter_ < 10**6 for member in model.members_)

    def test_while_the_caller_waits_for_others(self, threads):
        threads(2)
        stop_of_first = threading.Event()

        def long():
            stop_of_first.set()
            while True:
                check_interrupts()

        def short():
            stop_of_first.wait()
            return True

        tasks = [short, long] if threading.current_thread() is threading.main_thread() else []
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with interrupts_deferred():
                timer = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT])
                timer.start()
                assert not run_together(tasks, 2)
                timer.join()
        finally:
            signal.signal(signal.SIGINT, before)


class TestCrew:
    def test_all_are_run_in_their_order(self):
        done = []
        assert run_together([lambda i=i: done.append(i) is None for i in range(9)], 1)
        assert done == list(range(9))
        done.clear()
        assert run_together([lambda i=i: done.append(i) is None for i in range(9)], 4)
        assert sorted(done) == list(range(9))

    @pytest.mark.parametrize("n_threads", [1, 2])
    def test_one_that_says_no_is_the_last(self, n_threads):
        done = []
        assert not run_together(
            [lambda i=i: done.append(i) or i < 2 for i in range(50)], n_threads
        )
        assert len(done) < 50

    def test_who_raises_interrupts_the_others(self):
        begun, ended = threading.Event(), []

        def waits():
            begun.set()
            try:
                while True:
                    check_interrupts()
            except KeyboardInterrupt:
                ended.append(True)
                check_interrupts()  # once is enough
                raise

        def raises():
            begun.wait()
            raise ZeroDivisionError("no more")

        for tasks in ([waits, raises], [raises, waits]):
            begun.clear()
            ended.clear()
            with pytest.raises(ZeroDivisionError):
                run_together([*tasks, waits], 2)
            assert ended == [True]

    def test_context_goes_along(self):
        with np.errstate(all="raise"):
            found = []
            run_together([lambda: found.append(np.geterr()) is None] * 8, 4)
        assert found == [{**found[0], "over": "raise", "divide": "raise"}] * 8


class TestCallbacks:
    def test_what_they_raise_is_like_an_interrupt(self):
        pytest.importorskip("sklearn.callback")

        class Raises:
            def setup(self, estimator, context):
                pass

            teardown = setup

            def on_fit_task_begin(self, estimator, context):
                pass

            def on_fit_task_end(self, estimator, context):
                path = context.task_name, context.task_id
                if path == ("epoch", 1) and context.parent.task_id == 2:
                    raise ZeroDivisionError("no more")

        model = regressor().set_callbacks(Raises())
        with pytest.raises(ZeroDivisionError):
            model.fit(X, Y)
        assert [member.n_iter_ for member in model.members_] == [3, 3, 2]
        assert model.n_iter_ == len(model.loss_curve_) == 3

    @pytest.mark.parametrize("estimator", [RNNSequenceRegressor, RNNSequenceClassifier])
    def test_at_the_end_of_a_member_they_stop_the_next(self, estimator):
        pytest.importorskip("sklearn.callback")

        class Stops:
            def setup(self, estimator, context):
                pass

            teardown = on_fit_task_begin = setup

            def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
                return context.task_name == "member" and len(fitted_estimator.members_) == 2

        model = estimator(**SMALL, n_members=4).set_callbacks(Stops()).fit(X, Y > 0)
        assert [member.n_iter_ for member in model.members_] == [3, 3]
