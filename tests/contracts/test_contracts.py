"""Contracts 2 to 4: types, randomness and global state, batch invariance; for every variant."""

# ruff: noqa: NPY002  (numpy's global generator is part of what is tested)

import copy
import threading

import numpy as np
import pytest
import torch
from interrupts import interrupt_solver
from settings import global_state
from variants import ALL_VARIANTS, EACH_SETTING, make

from skaernn._estimators import fitting

X = np.random.default_rng(0).random((40, 5))  # in [0, 1], as one of the losses needs it
ANSWERS = ("transform", "reconstruction_error", "score_samples")


_FITTED = {}


def fitted(params, dtype=np.float64):
    """The fit of a variant to X, one for all tests, which only ask it (see contract 8)."""
    key = id(params), dtype
    if key not in _FITTED:
        _FITTED[key] = make(params).fit(X.astype(dtype))
    return _FITTED[key]


def bits(estimator):
    """Everything a fit decides, as bytes."""
    weights = [value.numpy().tobytes() for value in estimator.module_.state_dict().values()]
    answers = [estimator.transform(X.astype(np.float64)).tobytes(), repr(estimator.loss_curve_)]
    return weights, answers, estimator.n_iter_


class TestDtype:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("params", ALL_VARIANTS)
    def test_floats_come_back_in_their_own_type(self, params, dtype):
        rows = X.astype(dtype)
        estimator = fitted(params, dtype)
        codes = estimator.transform(rows)
        assert codes.dtype == dtype
        assert estimator.inverse_transform(codes).dtype == dtype
        for name in ANSWERS[1:]:
            assert getattr(estimator, name)(rows).dtype == dtype
        assert estimator.sample(3, random_state=0).dtype == dtype
        assert estimator.module_.dtype == getattr(torch, params.get("dtype", dtype.__name__))

    @pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.float16, ">f8", np.longdouble])
    @pytest.mark.parametrize("computing", [None, "float32", "float64"])
    def test_anything_else_becomes_float64(self, dtype, computing):
        rows = (4 * X).astype(dtype)
        estimator = make(dtype=computing).fit(rows)
        assert estimator.transform(rows).dtype == np.float64
        assert estimator.reconstruction_error(rows).dtype == np.float64
        assert estimator.module_.dtype == getattr(torch, computing or "float64")

    @pytest.mark.parametrize("params", ALL_VARIANTS)
    def test_answers_follow_the_rows_not_the_fit(self, params):
        estimator = fitted(params)
        codes = estimator.transform(X.astype(np.float32))
        assert codes.dtype == np.float32
        assert estimator.inverse_transform(codes).dtype == np.float32
        assert estimator.reconstruction_error(X.astype(np.float32)).dtype == np.float32
        # rounding X and the answer costs a few units in the last place of float32
        np.testing.assert_allclose(codes, estimator.transform(X), rtol=1e-4, atol=1e-5)


class TestRandomness:
    @pytest.mark.parametrize("params", ALL_VARIANTS)
    def test_the_same_seed_gives_the_same_bits(self, params):
        assert bits(make(params).fit(X)) == bits(fitted(params))

    @pytest.mark.parametrize("params", EACH_SETTING)
    def test_a_random_state_is_one_draw_ahead(self, params):
        """Each setting once: what is drawn is a seed, before any two settings could meet."""
        generator = np.random.RandomState(5)
        found = bits(make(params, random_state=generator).fit(X))
        reference = np.random.RandomState(5)
        assert found == bits(make(params, random_state=reference).fit(X))
        reference = np.random.RandomState(5)
        reference.randint(np.iinfo(np.int32).max)
        assert generator.randint(2**31) == reference.randint(2**31)

    def test_other_seeds_give_other_weights(self):
        assert bits(make(random_state=1).fit(X)) != bits(make(random_state=2).fit(X))

    @pytest.mark.parametrize("params", EACH_SETTING)
    def test_threads_do_not_disturb_each_other(self, params):
        """Each setting once: fits share nothing but what one part of them keeps."""
        expected, found = bits(fitted(params)), []
        threads = [
            threading.Thread(target=lambda: found.append(bits(make(params).fit(X))))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [expected, expected]


def interrupted_fit(estimator, rows):
    with interrupt_solver(2), pytest.warns(UserWarning, match="interrupted"):
        estimator.fit(rows)


def failed_fit(estimator, rows):
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(np.where(rows > 0.9, np.nan, rows))


CALLS = {
    "fit": lambda e, rows: e.fit(rows, sample_weight=np.arange(len(rows))),
    "partial_fit": lambda e, rows: hasattr(e, "partial_fit") and e.partial_fit(rows),
    "interrupted fit": interrupted_fit,
    "failed fit": failed_fit,
    "transform": lambda e, rows: e.transform(rows),
    "inverse_transform": lambda e, rows: e.inverse_transform(e.transform(rows)),
    "reconstruction_error": lambda e, rows: e.reconstruction_error(rows),
    "score": lambda e, rows: e.score(rows),
    "sample": lambda e, rows: e.sample(3, random_state=0),
}


class TestGlobalState:
    @pytest.mark.parametrize("params", EACH_SETTING)
    def test_every_call_leaves_it_alone(self, params):
        """Each setting once: global state is touched by one part of a fit or by another."""
        estimator = copy.deepcopy(fitted(params))  # calls fit it again
        for name, call in CALLS.items():
            before = global_state()
            call(estimator, X)
            assert global_state() == before, name

    @pytest.mark.usefixtures("unusual_settings")
    @pytest.mark.parametrize("params", EACH_SETTING)
    def test_under_unusual_settings(self, params):
        """As above."""
        estimator = make(params).fit(X)
        for name, call in CALLS.items():
            before = global_state()
            call(estimator, X)
            assert global_state() == before, name

    @pytest.mark.parametrize("params", ALL_VARIANTS)
    def test_settings_do_not_change_the_answer(self, params, request):
        kinds = [X, X.astype(np.float32)]
        usual = [fitted(params, rows.dtype.type).transform(rows) for rows in kinds]
        request.getfixturevalue("unusual_settings")
        for rows, expected in zip(kinds, usual, strict=True):
            np.testing.assert_array_equal(make(params).fit(rows).transform(rows), expected)

    def test_fitted_in_inference_mode_and_continued_outside(self):
        expected = make().partial_fit(X).partial_fit(X).transform(X)
        with torch.inference_mode():
            estimator = make().partial_fit(X)
            assert torch.is_inference_mode_enabled()
        np.testing.assert_array_equal(estimator.partial_fit(X).transform(X), expected)
        assert all(p.requires_grad for p in estimator.module_.parameters())

    @pytest.mark.parametrize("params", EACH_SETTING)
    def test_no_random_state_takes_one_integer_from_numpy(self, params):
        np.random.seed(7)
        np.random.randint(np.iinfo(np.int32).max)
        expected = repr(np.random.get_state(legacy=False))
        np.random.seed(7)
        estimator = make(params, random_state=None)
        estimator.fit(X)
        assert repr(np.random.get_state(legacy=False)) == expected
        if hasattr(estimator, "partial_fit"):  # it goes on with the seed there is
            estimator.partial_fit(X)
        estimator.transform(X)
        assert repr(np.random.get_state(legacy=False)) == expected

    def test_the_module_constructors_draw_nothing(self):
        estimator = make().fit(X)
        before = global_state()
        module = estimator._fitted.network.module_from(estimator.module_.state_dict())
        assert not module.training
        assert global_state() == before


class TestThreadCount:
    @pytest.mark.parametrize("first_out", [0, 1])
    def test_overlapping_fits_restore_it(self, first_out, monkeypatch):
        before = torch.get_num_threads()
        torch.set_num_threads(3)
        inside, gates, seen = threading.Barrier(3), [threading.Event() for _ in range(2)], {}
        train = fitting.train

        def held(*args, **kwargs):
            which = int(threading.current_thread().name)
            inside.wait(30)
            gates[which].wait(30)
            seen[which, "within"] = torch.get_num_threads()
            train(*args, **kwargs)

        def work():
            make().fit(X)
            seen[int(threading.current_thread().name), "after"] = torch.get_num_threads()

        monkeypatch.setattr(fitting, "train", held)
        threads = [threading.Thread(target=work, name=str(i)) for i in range(2)]
        try:
            for thread in threads:
                thread.start()
            inside.wait(30)
            for which in (first_out, 1 - first_out):
                gates[which].set()
                threads[which].join(30)
            fresh = threading.Thread(target=lambda: seen.update(fresh=torch.get_num_threads()))
            fresh.start()
            fresh.join()
            assert torch.get_num_threads() == 3
        finally:
            torch.set_num_threads(before)
        within = {(which, "within"): 1 for which in range(2)}
        assert seen == within | {(0, "after"): 3, (1, "after"): 3, "fresh": 3}

    def test_prediction_by_torch_runs_on_one_thread_and_leaves_what_there_was(self):
        estimator = make().fit(X)
        within = []
        hook = estimator.module_.encoder.register_forward_pre_hook(
            lambda *_: within.append(torch.get_num_threads())
        )
        before = torch.get_num_threads()
        torch.set_num_threads(3)
        try:
            codes = estimator.transform(X)
            estimator.inverse_transform(codes)
            estimator.reconstruction_error(X)
            hook.remove()
            estimator.score(X)
            estimator.sample(2, random_state=0)
            assert torch.get_num_threads() == 3
        finally:
            torch.set_num_threads(before)
        assert set(within) == {1}


COUNTS = (1, 2, 127, 128, 129, 1000)
WIDTHS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 100, 127, 129, 200,
          255, 257, 300]  # fmt: skip


def assert_rows_are_independent(estimator, rows, counts=COUNTS):
    """Any rows in any company and order give the bits they give among all rows."""
    generator = np.random.default_rng(1)
    codes = estimator.transform(rows)
    calls = {"transform": rows, "reconstruction_error": rows, "inverse_transform": codes}
    for name, data in calls.items():
        call = getattr(estimator, name)
        expected = call(data)
        for count in counts:
            chosen = generator.permutation(len(rows))[:count]
            np.testing.assert_array_equal(call(data[chosen]), expected[chosen], f"{name} {count}")


class TestBatchInvariance:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("width", WIDTHS)
    def test_over_widths(self, width, dtype):
        rows = np.random.default_rng(width).normal(size=(1000, width)).astype(dtype)
        estimator = make(hidden_layer_sizes=(33,), n_components=3, max_iter=1, linear_path=False)
        assert_rows_are_independent(estimator.fit(rows[:30]), rows)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("params", ALL_VARIANTS)
    def test_over_variants(self, params, dtype):
        rows = np.random.default_rng(0).random((300, 19)).astype(dtype)
        estimator = make({"hidden_layer_sizes": (13,), **params}, n_components=5)
        assert_rows_are_independent(estimator.fit(rows[:30]), rows, counts=(1, 2, 129, 300))

    def test_memory_layout_does_not_matter(self):
        rows = np.random.default_rng(0).normal(size=(300, 19))
        estimator = make().fit(rows)
        expected = estimator.transform(rows)
        for other in (np.asfortranarray(rows), rows[::-1][::-1], np.repeat(rows, 2, 1)[:, ::2]):
            np.testing.assert_array_equal(estimator.transform(other), expected)
