"""Contract 10: scikit-learn's callbacks (1.9 and newer), alone and nested."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from variants import COURSES, EACH_SETTING, make

X = np.random.default_rng(0).random((40, 5))
course_of = pytest.mark.parametrize("params", COURSES)


class Recorder:
    """Notes what it is called with; says stop, or raises, when told to."""

    def __init__(self, stop_after=None, raise_in=None, error=RuntimeError):
        self.stop_after, self.raise_in, self.error = stop_after, raise_in, error
        self.calls, self.fitted, self.contexts = [], [], []

    def _note(self, name, context=None):
        name = name if context is None else f"{name} {context.task_name}"
        self.calls.append(name)
        if self.raise_in in (name, f"{name} {self.calls.count(name)}"):
            raise self.error(f"raised in {name}")

    def setup(self, estimator, context):
        self._note("setup")

    def teardown(self, estimator, context):
        self._note("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None):
        self._note("begin", context)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None,
                        fitted_estimator=None):  # fmt: skip
        if fitted_estimator is not None:
            self.fitted.append((fitted_estimator, fitted_estimator.transform(X)))
        self.contexts.append(context)
        self.metadata = metadata
        self._note("end", context)
        return self.stop_after == self.calls.count("end epoch")


def explained(estimator, X, y, sample_weight=None):
    assert y is X
    return {"score": estimator.score(X, sample_weight=sample_weight)}


def fit_with(params, *callbacks, **fit_params):
    return make(params).set_callbacks(*callbacks).fit(X, **fit_params)


_WATCHED = {}


def watched_by(params):
    """A recorder and the fit it has seen, the same for all tests, which only look at them."""
    if id(params) not in _WATCHED:
        recorder = Recorder()
        _WATCHED[id(params)] = recorder, fit_with(params, recorder)
    return _WATCHED[id(params)]


@course_of
def test_the_course_of_a_fit(params):
    recorder, estimator = watched_by(params)
    epochs = ["begin epoch", "end epoch"] * estimator.n_iter_
    assert recorder.calls == ["setup", "begin fit", *epochs, "end fit", "teardown"]
    assert len(recorder.fitted) == estimator.n_iter_ + 1
    final, codes = recorder.fitted[-1]
    np.testing.assert_array_equal(codes, estimator.transform(X))
    assert final.n_iter_ == estimator.n_iter_
    counts = [fitted.n_iter_ for fitted, _ in recorder.fitted[:-1]]
    assert counts == list(range(1, estimator.n_iter_ + 1))
    # what a callback was given stays as it was when training went on
    for fitted, codes in recorder.fitted:
        np.testing.assert_array_equal(fitted.transform(X), codes)


@course_of
def test_callbacks_change_nothing(params):
    watched, alone = watched_by(params)[1], make(params).fit(X)
    np.testing.assert_array_equal(watched.transform(X), alone.transform(X))
    assert watched.loss_curve_ == alone.loss_curve_
    assert set(vars(watched)) - set(vars(alone)) == {"_skl_callbacks"}


@course_of
def test_true_stops_training(params):
    for after in (1, 2):
        recorder = Recorder(stop_after=after)
        estimator = fit_with(params, recorder)
        assert estimator.n_iter_ == len(estimator.loss_curve_) == after
        assert recorder.calls.count("begin epoch") == recorder.calls.count("end epoch") == after
        assert recorder.calls[-2:] == ["end fit", "teardown"]


@course_of
def test_scoring_monitor_logs_an_epoch_a_line(params):
    monitor = ScoringMonitor(scoring=explained)
    estimator = fit_with(params, monitor)
    rows = monitor.get_logs().data
    scores = [row["score"] for row in rows if row["task_name"] == "epoch"]
    assert len(scores) == estimator.n_iter_
    (final,) = [row["score"] for row in rows if row["task_name"] == "fit"]
    assert final == estimator.score(X)


def test_scoring_monitor_takes_sample_weights():
    monitor = ScoringMonitor(scoring=explained)
    weight = np.arange(len(X), dtype=float)
    estimator = fit_with({}, monitor, sample_weight=weight)
    (final,) = [row["score"] for row in monitor.get_logs().data if row["task_name"] == "fit"]
    assert final == estimator.score(X, sample_weight=weight)


def test_metadata_and_partial_fit():
    recorder = Recorder()
    weight = np.arange(len(X), dtype=float)
    fit_with({}, recorder, sample_weight=weight)
    np.testing.assert_array_equal(recorder.metadata["sample_weight"], weight)
    recorder = Recorder()
    estimator = make().set_callbacks(recorder).partial_fit(X).partial_fit(X)
    course = ["setup", "begin fit", "begin epoch", "end epoch", "end fit", "teardown"]
    assert recorder.calls == course * 2
    assert estimator.n_iter_ == 2


@course_of
def test_nested(params, capfd):
    monitor = ScoringMonitor(scoring=explained)
    pipeline = make_pipeline(MinMaxScaler(), make(params).set_callbacks(monitor))
    search = GridSearchCV(pipeline, {f"{pipeline.steps[-1][0]}__alpha": [0.0, 0.1]}, cv=2)
    search.set_callbacks(ProgressBar())
    search.fit(X)
    assert len(monitor.get_logs(select="all")) >= 1
    epochs = [
        row
        for log in monitor.get_logs(select="all")
        for row in log.data
        if row["task_name"] == "epoch"
    ]
    last = search.best_estimator_[-1]
    assert len(epochs) >= last.n_iter_
    assert not hasattr(last, "_callback_fit_ctx")
    assert not hasattr(last, "_parent_callback_ctx")
    assert capfd.readouterr().err == ""


def test_progress_bar(capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    pipeline = make_pipeline(MinMaxScaler(), make()).set_callbacks(ProgressBar())
    with pytest.warns(UserWarning, match="MinMaxScaler does not support callbacks"):
        pipeline.fit(X)
    assert "AutoencoderTransformer - fit" in capfd.readouterr().out
    fit_with({}, ProgressBar())
    said = capfd.readouterr().out
    assert "AutoencoderTransformer - fit" in said
    assert "100%" in said


@pytest.mark.parametrize("params", EACH_SETTING)
def test_clone_keeps_callbacks(params):
    recorder = Recorder()
    estimator = make(params).set_callbacks(recorder)
    clone(estimator).fit(X)
    assert len(estimator._skl_callbacks) == 1
    (kept,) = clone(estimator)._skl_callbacks
    assert isinstance(kept, Recorder)
    assert not hasattr(clone(estimator), "module_")


class TestThatRaise:
    @pytest.mark.parametrize("where", ["setup", "begin fit", "begin epoch"])
    @course_of
    def test_before_the_first_step_nothing_changes(self, params, where):
        estimator = make(params).fit(X)
        codes, before = estimator.transform(X), dict(vars(estimator))
        recorder = Recorder(raise_in=where)
        with pytest.raises(RuntimeError, match=f"raised in {where}"):
            estimator.set_callbacks(recorder).fit(X)
        assert vars(estimator) == {**before, "_skl_callbacks": [recorder]}
        assert recorder.calls[-1] == "teardown"
        np.testing.assert_array_equal(estimator.set_callbacks().transform(X), codes)
        unfitted = make(params).set_callbacks(recorder)
        with pytest.raises(RuntimeError, match="raised in"):
            unfitted.fit(X)
        assert vars(unfitted) == {**vars(make(params)), "_skl_callbacks": [recorder]}

    @pytest.mark.parametrize("where", ["end epoch 1", "end epoch 2", "begin epoch 2"])
    @course_of
    def test_later_is_like_an_interrupt(self, params, where):
        estimator = make(params)
        with pytest.raises(RuntimeError, match="raised in"):
            estimator.set_callbacks(Recorder(raise_in=where)).fit(X)
        epochs = 2 if where == "end epoch 2" else 1
        assert estimator.n_iter_ == len(estimator.loss_curve_) == epochs
        same = fit_with(params, Recorder(stop_after=epochs))
        np.testing.assert_array_equal(estimator.transform(X), same.transform(X))
        assert "_callback_fit_ctx" not in vars(estimator)
        estimator.set_callbacks().fit(X)

    @pytest.mark.parametrize("where", ["end fit", "teardown"])
    @course_of
    def test_at_the_end_all_is_there(self, params, where):
        estimator = make(params)
        with pytest.raises(RuntimeError, match=f"raised in {where}"):
            estimator.set_callbacks(Recorder(raise_in=where)).fit(X)
        np.testing.assert_array_equal(estimator.transform(X), make(params).fit(X).transform(X))

    @course_of
    def test_keyboard_interrupt_in_a_callback(self, params):
        estimator = make(params)
        recorder = Recorder(raise_in="end epoch 2", error=KeyboardInterrupt)
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            estimator.set_callbacks(recorder).fit(X)
        assert estimator.n_iter_ == len(estimator.loss_curve_) == 2
        assert recorder.calls[-2:] == ["end fit", "teardown"]
