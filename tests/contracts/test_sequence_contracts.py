"""Contracts 2 to 4 and 8 of the recurrent estimators, for every variant.

Types, randomness and global state, a sequence's answer in any company, silence.
"""

import logging
import os
import threading
import warnings

import numpy as np
import pytest
import torch
from interrupts import interrupt_solver
from pairwise import all_pairs
from sequence_variants import (
    ALL_VARIANTS,
    COURSES,
    EACH_SETTING,
    PLAIN,
    STRUCTURES,
    VARIANTS,
    Variant,
    answers,
    assert_same,
    fitted_bits,
    flat,
    parametrized,
    ragged,
)
from settings import global_state

from skaernn.networks import CELLS

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
BOTH = [Variant(), Variant(True)]


def everything(variant, X, y, **more):
    """What a fit decides and what it then answers."""
    estimator = variant.make(**more).fit(X, y)
    return {**fitted_bits(estimator), **answers(estimator, X)}


class TestDtype:
    @DTYPES
    @parametrized(VARIANTS)
    def test_floats_come_back_in_their_own_type(self, variant, dtype):
        X, y = variant.data(dtype=dtype)
        estimator = variant.make().fit(X, y)
        computing = variant.params.get("dtype", dtype.__name__)
        for name, answer in answers(estimator, X).items():
            expected = computing if name == "state" else dtype
            if name != "predict" or not variant.classifier:
                assert answer.dtype == expected, name
        assert all(p.dtype == getattr(torch, computing) for p in estimator.module_.parameters())

    @pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.float16, ">f8", np.longdouble])
    @pytest.mark.parametrize("computing", [None, "float32", "float64"])
    def test_anything_else_becomes_float64(self, dtype, computing):
        X = [(4 * np.abs(x)).astype(dtype) for x in ragged(20)]
        expected = getattr(torch, computing or "float64")
        for variant in BOTH:
            estimator = variant.make(dtype=computing).fit(X, variant.targets(X))
            call = estimator.predict_proba if variant.classifier else estimator.predict
            assert call(X).dtype == np.float64
            assert estimator.module_.output.weight.dtype == expected

    @parametrized(STRUCTURES)
    def test_answers_follow_the_sequences_not_the_fit(self, variant):
        X, y = variant.data()
        estimator = variant.make().fit(X, y)
        single = [x.astype(np.float32) for x in X]
        found, expected = flat(estimator.predict(single)), flat(estimator.predict(X))
        assert found.dtype == np.float32
        # rounding X and the answer costs a few units in the last place of float32
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)

    def test_one_sequence_of_float64_among_float32(self):
        X, y = Variant().data(dtype=np.float32)
        X[3] = X[3].astype(np.float64)
        assert Variant().make().fit(X, y).predict(X).dtype == np.float64


class TestRandomness:
    @parametrized(ALL_VARIANTS)
    def test_the_same_seed_gives_the_same_bits(self, variant):
        X, y = variant.data()
        expected = everything(variant, X, y, random_state=3)
        assert_same(everything(variant, X, y, random_state=3), expected)
        other = everything(variant, X, y, random_state=4)
        assert any(not np.array_equal(other[name], value) for name, value in expected.items())

    @parametrized(BOTH)
    def test_a_random_state_is_one_draw_ahead(self, variant):
        X, y = variant.data()
        generator, reference = np.random.RandomState(5), np.random.RandomState(5)
        found = everything(variant, X, y, random_state=generator)
        assert_same(found, everything(variant, X, y, random_state=reference))
        reference = np.random.RandomState(5)
        reference.randint(np.iinfo(np.int32).max)
        assert generator.randint(2**31) == reference.randint(2**31)

    @parametrized([*BOTH, Variant(False, {"cell": "gru", "dropout": 0.3, "batch_size": 7})])
    def test_threads_do_not_disturb_each_other(self, variant):
        X, y = variant.data()
        expected, found = everything(variant, X, y), []
        run_at_once(lambda i: found.append(everything(variant, X, y)), 2)
        assert len(found) == 2
        for one in found:
            assert_same(one, expected)


def run_at_once(work, n_threads):
    threads = [threading.Thread(target=work, args=(i,)) for i in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _fit_weighted(variant, estimator, X, y):
    estimator.fit(X, y, sample_weight=np.arange(len(X)))


def _partial_fit(variant, estimator, X, y):
    if variant.can_go_on:
        variant.goes_on(estimator, X, y)


def _interrupted_fit(variant, estimator, X, y):
    with interrupt_solver(2), pytest.warns(UserWarning, match="interrupted"):
        estimator.fit(X, y)


def _failed_fit(variant, estimator, X, y):
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit([*X[:-1], X[-1] * np.nan], y)


CALLS = {
    "fit": _fit_weighted,
    "partial_fit": _partial_fit,
    "interrupted fit": _interrupted_fit,
    "failed fit": _failed_fit,
    "answers": lambda variant, estimator, X, y: answers(estimator, X),
    "score": lambda variant, estimator, X, y: estimator.score(X, y),
    "forecast": lambda variant, estimator, X, y: (
        variant.classifier or estimator.forecast([x[:, :1] for x in X], 3, horizon=1)
    ),
}


def assert_left_alone(variant):
    X, y = variant.data(n_channels=1)
    estimator = variant.make().fit(X, y)
    for name, call in CALLS.items():
        before = global_state()
        call(variant, estimator, X, y)
        assert global_state() == before, name


class TestGlobalState:
    """torch's layers draw from the global generator when they are made; ours may not."""

    @parametrized(EACH_SETTING)
    def test_every_call_leaves_it_alone(self, variant):
        """Each setting once: global state is touched by one part of a fit or by another."""
        assert_left_alone(variant)

    @pytest.mark.usefixtures("unusual_settings")
    @parametrized(PLAIN)
    def test_under_unusual_settings(self, variant):
        assert_left_alone(variant)

    @parametrized(EACH_SETTING)
    def test_settings_do_not_change_the_answer(self, variant, request):
        """As above."""
        kinds = [variant.data(dtype=dtype) for dtype in (np.float64, np.float32)]
        usual = [everything(variant, *data) for data in kinds]
        request.getfixturevalue("unusual_settings")
        for data, expected in zip(kinds, usual, strict=True):
            assert_same(everything(variant, *data), expected)

    @parametrized([*BOTH, Variant(False, {"loss": "gaussian"})])
    def test_modes_and_devices_of_torch_do_not_leak_in(self, variant):
        X, y = variant.data()
        expected = everything(variant, X, y)
        for mode in (
            torch.inference_mode(),
            torch.device("meta"),
            torch.autocast("cpu", dtype=torch.bfloat16),
        ):
            with mode:
                assert_same(everything(variant, X, y), expected)

    def test_prediction_never_touches_the_thread_count_of_others(self):
        X, y = Variant().data()
        estimator, seen = Variant().make().fit(X, y), []
        before = torch.get_num_threads()
        run_at_once(lambda i: seen.append((answers(estimator, X), torch.get_num_threads())), 4)
        assert torch.get_num_threads() == before
        assert len(seen) == 4


N = 300
COUNTS = (1, 2, 127, 129, N)
SIZES = {
    "cell": list(CELLS),
    "hidden_size": [1, 2, 7, 16, 33, 257, 513],
    "threads": [1, 3],
    "dtype": [np.float32, np.float64],
}


def assert_rows_are_independent(estimator, X, state=None, counts=COUNTS):
    """Any sequences in any company and order give the bits they give among all."""
    generator = np.random.default_rng(1)
    per_step = estimator.return_sequences
    lengths = np.array([len(x) for x in X])
    owner = np.repeat(np.arange(len(X)), lengths)
    expected = answers(estimator, X, initial_state=state)
    for count in counts:
        chosen = generator.permutation(len(X))[:count]
        began = None if state is None else state[chosen]
        found = answers(estimator, [X[i] for i in chosen], initial_state=began)
        for name, value in found.items():
            if per_step and name != "state":
                rows = np.concatenate([np.flatnonzero(owner == i) for i in chosen])
            else:
                rows = chosen
            np.testing.assert_array_equal(value, expected[name][rows], f"{name} {count}")


class TestBatchInvariance:
    @DTYPES
    @parametrized([*STRUCTURES, Variant(True), Variant(False, {"loss": "gaussian"})])
    def test_over_structures(self, variant, dtype):
        X, y = variant.data(n=N, n_channels=3, longest=9, dtype=dtype)
        estimator = variant.make(hidden_size=13, max_iter=1).fit(X[:30], y[:30])
        assert_rows_are_independent(estimator, X)
        if variant.has_state:
            state = np.random.default_rng(2).random((N, estimator.state_size_)).astype(dtype)
            assert_rows_are_independent(estimator, X, state)

    @pytest.mark.filterwarnings("ignore:Training with learning_rate")  # of wide networks
    @pytest.mark.parametrize(
        ("cell", "hidden_size", "threads", "dtype"),
        [tuple(row.values()) for row in all_pairs(SIZES)],
    )
    def test_over_sizes(self, cell, hidden_size, threads, dtype):
        variant = Variant(False, {"cell": cell, "pooling": "attention"})
        X, y = variant.data(n=N, n_channels=hidden_size % 5 + 1, longest=4, dtype=dtype)
        estimator = variant.make(hidden_size=hidden_size, max_iter=1).fit(X[:30], y[:30])
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            assert_rows_are_independent(estimator, X, counts=(1, 127, N))
        finally:
            torch.set_num_threads(before)

    @parametrized(BOTH)
    def test_memory_layout_does_not_matter(self, variant):
        array = np.random.default_rng(0).normal(size=(N, 5, 3))
        y = variant.targets(array)
        estimator = variant.make().fit(array[:30], y[:30])
        expected = answers(estimator, array)
        layouts = [
            np.asfortranarray(array),
            array[::-1][::-1],
            np.repeat(array, 2, 2)[:, :, ::2],
            np.ascontiguousarray(array.transpose(1, 2, 0)).transpose(2, 0, 1),
        ]
        for other in layouts:
            assert_same(answers(estimator, other), expected)


def snapshot(estimator):
    """Names, identities and values of all that an estimator holds."""
    module = estimator.module_
    weights = {name: w.numpy().tobytes() for name, w in module.state_dict().items()}
    modes = [(id(part), part.training, sorted(vars(part))) for part in module.modules()]
    held = {name: (id(value), repr(value)) for name, value in vars(estimator).items()}
    gradients = [(id(p), p.grad, p.requires_grad) for p in module.parameters()]
    return held, weights, modes, gradients


class TestSideEffects:
    @parametrized(VARIANTS)
    def test_answers_change_nothing_and_come_from_any_thread(self, variant):
        X, y = variant.data(n_channels=1)
        estimator = variant.make().fit(X, y)
        before, expected = snapshot(estimator), answers(estimator, X)
        found, started = [], threading.Barrier(6)

        def work(i):
            started.wait(30)
            found.append(answers(estimator, X))
            estimator.score(X, y)
            if not variant.classifier:
                estimator.forecast(X, 2, horizon=1)

        run_at_once(work, 6)
        assert len(found) == 6
        for one in found:
            assert_same(one, expected)
        assert snapshot(estimator) == before

    @parametrized(VARIANTS)
    def test_nothing_is_said_written_or_changed(
        self, variant, capfd, caplog, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        X, y = variant.data()
        kept = [x.copy() for x in X]
        weight = np.arange(len(X), dtype=float)
        for array in (*X, weight, *(y if variant.per_step else [y])):
            array.flags.writeable = False
        with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.DEBUG):
            warnings.simplefilter("always")
            estimator = variant.make().fit(X, y, sample_weight=weight)
            _partial_fit(variant, estimator, X, y)
            answers(estimator, X)
            estimator.score(X, y)
        assert capfd.readouterr() == ("", "")
        assert caplog.records == []
        assert [str(warning.message) for warning in caught] == []
        assert os.listdir() == []
        for x, before in zip(X, kept, strict=True):
            np.testing.assert_array_equal(x, before)

    @parametrized(COURSES)
    def test_verbose_says_the_loss_curve(self, variant, capfd):
        estimator = variant.make(verbose=True).fit(*variant.data())
        said = [x for x in capfd.readouterr().out.splitlines() if x.startswith("Iteration")]
        assert said == [
            f"Iteration {epoch}, loss = {loss:.8f}"
            for member in estimator.members_
            for epoch, loss in enumerate(member.loss_curve_, start=1)
        ]
