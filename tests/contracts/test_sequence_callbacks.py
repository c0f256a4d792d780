"""Contract 10 of the recurrent estimators: scikit-learn's callbacks (1.9 and newer)."""

import numpy as np
import pytest
import sequence_autoencoder_variants as codes
from sequence_variants import (
    COURSES,
    PLAIN,
    VARIANTS,
    Variant,
    answers,
    assert_same,
    fitted_bits,
    parametrized,
)
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from test_callbacks import Recorder as AnyRecorder

BOTH = [Variant(), Variant(True)]


class Recorder(AnyRecorder):
    """The same for estimators that predict."""

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None,
                        fitted_estimator=None):  # fmt: skip
        if fitted_estimator is not None:
            self.fitted.append((fitted_estimator, answers(fitted_estimator, X)))
        self.metadata = metadata
        self._note("end", context)
        return self.stop_after == self.calls.count("end epoch")


def scored(estimator, X, y, sample_weight=None):
    return {"score": estimator.score(X, y, sample_weight=sample_weight)}


def hooks_of(lengths):
    """The hooks of a fit of as many epochs, member by member if there are several."""
    epochs = [["begin epoch", "end epoch"] * length for length in lengths]
    if len(lengths) > 1:
        epochs = [["begin member", *part, "end member"] for part in epochs]
    return [hook for part in epochs for hook in part]


def so_far(lengths):
    """How many epochs the members have had whenever callbacks are given an estimator."""
    again = len(lengths) > 1  # at the end of a member
    return [
        [*lengths[:i], epoch]
        for i, length in enumerate(lengths)
        for epoch in [*range(1, length + 1), *[length] * again]
    ]


@parametrized(VARIANTS)
def test_the_course_of_a_fit(variant):
    X, y = variant.data()
    recorder, alone = Recorder(), variant.make().fit(X, y)
    estimator = variant.make().set_callbacks(recorder).fit(X, y)
    lengths = [member.n_iter_ for member in estimator.members_]
    assert recorder.calls == ["setup", "begin fit", *hooks_of(lengths), "end fit", "teardown"]
    # they change nothing
    assert_same(fitted_bits(estimator), fitted_bits(alone))
    assert set(vars(estimator)) - set(vars(alone)) == {"_skl_callbacks"}
    assert_same(recorder.fitted[-1][1], answers(estimator, X))
    counts = [[m.n_iter_ for m in fitted.members_] for fitted, _ in recorder.fitted[:-1]]
    assert counts == so_far(lengths)
    # what a callback was given stays as it was when training went on
    for fitted, said in recorder.fitted:
        assert_same(answers(fitted, X), said)


@parametrized(COURSES)
def test_true_stops_training(variant):
    X, y = variant.data()
    for after in (1, 2):
        recorder = Recorder(stop_after=after)
        estimator = variant.make().set_callbacks(recorder).fit(X, y)
        assert estimator.n_iter_ == len(estimator.loss_curve_) == after
        assert recorder.calls.count("begin epoch") == recorder.calls.count("end epoch") == after
        assert recorder.calls[-2:] == ["end fit", "teardown"]


@parametrized(COURSES)
def test_scoring_monitor_logs_an_epoch_a_line(variant):
    X, y = variant.data()
    monitor = ScoringMonitor(scoring=scored)
    estimator = variant.make().set_callbacks(monitor)
    estimator.fit(X, y, sample_weight=np.arange(len(X), dtype=float))
    rows = monitor.get_logs().data
    n_epochs = sum(member.n_iter_ for member in estimator.members_)
    assert len([row for row in rows if row["task_name"] == "epoch"]) == n_epochs
    (final,) = [row["score"] for row in rows if row["task_name"] == "fit"]
    assert final == estimator.score(X, y, sample_weight=np.arange(len(X), dtype=float))


@parametrized(BOTH)
def test_metadata_and_partial_fit(variant):
    X, y = variant.data()
    array = np.random.default_rng(0).normal(size=(24, 5, 2))
    lengths, weight = np.arange(24) % 5 + 1, np.arange(24, dtype=float)
    state = np.full((24, 8), 0.5)
    recorder = Recorder()
    how = {"sample_weight": weight, "lengths": lengths, "initial_state": state}
    variant.make().set_callbacks(recorder).fit(array, y, **how)
    for name, value in how.items():
        np.testing.assert_array_equal(recorder.metadata[name], value)
    recorder = Recorder()
    estimator = variant.make().set_callbacks(recorder)
    variant.goes_on(variant.goes_on(estimator, X, y), X, y)
    course = ["setup", "begin fit", "begin epoch", "end epoch", "end fit", "teardown"]
    assert recorder.calls == course * 2
    assert estimator.n_iter_ == 2


@parametrized(PLAIN + BOTH)
def test_nested(variant, capfd):
    X = np.random.default_rng(0).random((40, 5))
    y = variant.targets(X)
    monitor = ScoringMonitor(scoring=scored)
    pipeline = make_pipeline(MinMaxScaler(), variant.make().set_callbacks(monitor))
    name = type(variant.make()).__name__.lower()
    search = GridSearchCV(pipeline, {f"{name}__alpha": [0.0, 0.1]}, cv=2)
    search.set_callbacks(ProgressBar()).fit(X, y)
    logs = [row for log in monitor.get_logs(select="all") for row in log.data]
    last = search.best_estimator_[-1]
    assert len([row for row in logs if row["task_name"] == "epoch"]) >= last.n_iter_
    assert not hasattr(last, "_callback_fit_ctx")
    assert not hasattr(last, "_parent_callback_ctx")
    assert capfd.readouterr().err == ""


@parametrized(BOTH)
def test_progress_bar(variant, capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    variant.make().set_callbacks(ProgressBar()).fit(*variant.data())
    said = capfd.readouterr().out
    assert f"{type(variant.make()).__name__} - fit" in said
    assert "100%" in said


class TestThatRaise:
    @pytest.mark.parametrize("where", ["setup", "begin epoch"])
    @parametrized(COURSES)
    def test_before_the_first_step_nothing_changes(self, variant, where):
        X, y = variant.data()
        estimator, recorder = variant.make().fit(X, y), Recorder(raise_in=where)
        before = dict(vars(estimator))
        with pytest.raises(RuntimeError, match=f"raised in {where}"):
            estimator.set_callbacks(recorder).fit(X, y)
        assert vars(estimator) == {**before, "_skl_callbacks": [recorder]}
        assert recorder.calls[-1] == "teardown"
        unfitted = variant.make().set_callbacks(recorder)
        with pytest.raises(RuntimeError, match="raised in"):
            unfitted.fit(X, y)
        assert vars(unfitted) == {**vars(variant.make()), "_skl_callbacks": [recorder]}

    @pytest.mark.parametrize("where", ["end epoch 1", "end epoch 2", "begin epoch 2"])
    @parametrized(COURSES)
    def test_later_is_like_an_interrupt(self, variant, where):
        X, y = variant.data()
        estimator = variant.make()
        with pytest.raises(RuntimeError, match="raised in"):
            estimator.set_callbacks(Recorder(raise_in=where)).fit(X, y)
        epochs = 2 if where == "end epoch 2" else 1
        assert estimator.n_iter_ == len(estimator.loss_curve_) == epochs
        same = variant.make().set_callbacks(Recorder(stop_after=epochs)).fit(X, y)
        assert_same(answers(estimator, X), answers(same, X))
        assert "_callback_fit_ctx" not in vars(estimator)
        estimator.set_callbacks().fit(X, y)

    @pytest.mark.parametrize("where", ["end fit"])
    @parametrized(COURSES)
    def test_at_the_end_all_is_there(self, variant, where):
        X, y = variant.data()
        estimator = variant.make()
        with pytest.raises(RuntimeError, match=f"raised in {where}"):
            estimator.set_callbacks(Recorder(raise_in=where)).fit(X, y)
        assert_same(fitted_bits(estimator), fitted_bits(variant.make().fit(X, y)))

    @parametrized(COURSES)
    def test_keyboard_interrupt_in_a_callback(self, variant):
        X, y = variant.data()
        estimator = variant.make()
        recorder = Recorder(raise_in="end epoch 2", error=KeyboardInterrupt)
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            estimator.set_callbacks(recorder).fit(X, y)
        assert estimator.n_iter_ == len(estimator.loss_curve_) == 2
        assert recorder.calls[-2:] == ["end fit", "teardown"]


class TestCodes:
    """The sequence autoencoder."""

    @pytest.mark.parametrize("params", codes.CELLS_ALONE)
    def test_the_course_of_a_fit(self, params):
        # equally long: the recorder transforms what it is given, and back
        X = np.stack([x[:2] for x in codes.data(params) if len(x) > 1])
        recorder, alone = AnyRecorder(), codes.make(params).fit(X)
        estimator = codes.make(params).set_callbacks(recorder).fit(X)
        epochs = ["begin epoch", "end epoch"] * 3
        assert recorder.calls == ["setup", "begin fit", *epochs, "end fit", "teardown"]
        assert_same(codes.fitted_bits(estimator), codes.fitted_bits(alone))

    def test_true_stops_training(self):
        recorder = AnyRecorder(stop_after=2)
        X = codes.data()
        assert codes.make().set_callbacks(recorder, ProgressBar()).fit(X).n_iter_ == 2
