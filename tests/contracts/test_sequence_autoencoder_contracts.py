"""Contracts 1 to 9 of the sequence autoencoder, over every variant where they can differ.

Contract 10, callbacks, is in test_sequence_callbacks.py.
"""

import copy
import threading
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from common_checks import LEFT_OUT, statuses
from copies import COPIES
from interrupts import interrupt_solver
from sequence_autoencoder_variants import (
    CELLS_ALONE,
    STRUCTURES,
    VARIANTS,
    answers,
    assert_same_model,
    data,
    fitted_bits,
    make,
    unscaled,
)
from sequence_variants import assert_same
from settings import global_state
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import estimator_checks

from skaernn import SequenceAutoencoderTransformer
from skaernn._estimators import sequence_base
from skaernn._losses.reconstruction import LOSSES
from skaernn._training import sequences as objectives
from skaernn.networks import CELLS

of_variants = pytest.mark.parametrize("params", VARIANTS)
of_structures = pytest.mark.parametrize("params", STRUCTURES)
of_cells = pytest.mark.parametrize("params", CELLS_ALONE)

# Each loss, cell and shape; more of them beside each other fit and answer alike for the checks.
CHECKED = [
    {
        "cell": list(CELLS)[i % len(CELLS)],
        "loss": list(LOSSES)[i % len(LOSSES)],
        "n_layers": 1 + i % 2,
        "bidirectional": i % 4 in (0, 3),
        "scaling": None if unscaled(list(LOSSES)[i % len(LOSSES)]) else "standard",
    }
    for i in range(max(len(CELLS), len(LOSSES)))
]


@pytest.fixture
def legal_values(monkeypatch):
    """Bring the checks' data into [0, 1], behind validation, for losses that need it there.

    The checks know no tag for such a loss; all else about it is then checked as it is.
    """
    check_sequences = sequence_base.check_sequences

    def squashed(*args, **kwargs):
        found = check_sequences(*args, **kwargs)
        steps = 0.5 + 0.5 * (found.steps / (1 + np.abs(found.steps)))
        return replace(found, steps=steps.astype(found.steps.dtype))

    def use(estimator):
        if unscaled(estimator.loss):
            monkeypatch.setattr(sequence_base, "check_sequences", squashed)
        return estimator

    return use


class TestCommonChecks:
    @pytest.mark.parametrize("params", CHECKED, ids=lambda p: f"{p['cell']}-{p['loss']}")
    def test_check_estimator(self, params, legal_values):
        estimator = legal_values(make(params, max_iter=2))
        expected = list(estimator_checks.estimator_checks_generator(estimator))
        n_run, not_passed = statuses(estimator)
        assert not_passed == {}
        assert n_run == len(expected)
        assert n_run >= 50

    @pytest.mark.parametrize("check", LEFT_OUT, ids=lambda check: check.__name__)
    def test_checks_left_out(self, check):
        with warnings.catch_warnings():
            # arrays after frames and frames after arrays: the warning is scikit-learn's own
            warnings.filterwarnings("ignore", "X (does not have valid|has) feature names")
            check("SequenceAutoencoderTransformer", make())

    def test_tags_hide_nothing(self):
        tags = make().__sklearn_tags__()
        assert not tags.non_deterministic
        assert not tags.no_validation
        assert not tags._skip_test
        assert tags.requires_fit
        assert tags.input_tags.two_d_array
        assert tags.input_tags.three_d_array
        assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@of_variants
def test_floats_come_back_in_their_own_type(params, dtype):
    X = data(params, dtype=dtype)
    estimator = make(params).fit(X)
    assert {answer.dtype for answer in answers(estimator, X).values()} == {np.dtype(dtype)}
    assert estimator.sample(2, 0, lengths=[3, 4])[0].dtype == dtype
    computing = getattr(torch, params.get("dtype", np.dtype(dtype).name))
    assert {p.dtype for p in estimator.module_.parameters()} == {computing}


@of_variants
def test_the_same_seed_gives_the_same_bits_and_touches_nothing_global(params):
    X = data(params)
    before = global_state()
    one, two = make(params).fit(X), make(params).fit(X)
    assert_same_model(one, two, X)
    other = fitted_bits(make(params, random_state=1).fit(X))
    one.score(X)
    assert global_state() == before
    assert any(not np.array_equal(other[name], bits) for name, bits in fitted_bits(one).items())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@of_structures
def test_a_sequence_has_its_answers_in_any_company(params, dtype):
    X = data(params, n=150, dtype=dtype)
    estimator = make(params, max_iter=1).fit(X[:30])
    expected = answers(estimator, X)
    begins = np.cumsum([0, *map(len, X)])
    order = np.random.default_rng(1).permutation(len(X))
    for chosen in (order[:1], order[1:130], order):
        found = answers(estimator, [X[i] for i in chosen])
        steps = np.concatenate([np.arange(begins[i], begins[i + 1]) for i in chosen])
        for name, value in expected.items():
            where = steps if name == "inverse_transform" else chosen
            np.testing.assert_array_equal(found[name], value[where], name)


def zero_padded(X, n_steps):
    return np.stack([np.pad(x, [(0, n_steps - len(x)), (0, 0)]) for x in X])


@of_structures
def test_padding_and_form_do_not_matter(params):
    X = data(params)
    lengths = np.array([len(x) for x in X])
    model = make(params).fit(X)
    expected = answers(model, X)
    for n_steps, fill in ((6, 0.0), (9, np.inf)):
        array = zero_padded(X, n_steps)
        array[np.arange(n_steps) >= lengths[:, None]] = fill
        padded = make(params).fit(array, lengths=lengths)
        assert_same(fitted_bits(padded), fitted_bits(model))
        assert_same({"codes": padded.transform(array, lengths=lengths)},
                    {"codes": expected["transform"]})  # fmt: skip
        errors = padded.reconstruction_error(array, lengths=lengths)
        assert_same({"errors": errors}, {"errors": expected["reconstruction_error"]})
        decoded = padded.inverse_transform(expected["transform"], lengths=lengths)
        found = np.concatenate([row[:n] for row, n in zip(decoded, lengths, strict=True)])
        np.testing.assert_array_equal(found, expected["inverse_transform"])
        assert not decoded[np.arange(6) >= lengths[:, None]].any()
        assert padded.score(array, lengths=lengths) == model.score(X)


@of_variants
def test_weights_are_repetitions_and_order_is_nothing(params):
    if "batch_size" in params:  # several batches are not one set
        params = {**params, "batch_size": "auto"}
    X = data(params)
    X[5] = X[4].copy()
    weight = np.random.default_rng(2).integers(0, 3, len(X))
    weight[:3] = 1
    repeated = np.random.default_rng(3).permutation(np.repeat(np.arange(len(X)), weight))
    one = make(params).fit(X, sample_weight=weight.astype(float))
    two = make(params).fit([X[i] for i in repeated])
    assert_same_model(one, two, X)
    # sums over the sequences in another order
    assert one.score(X, sample_weight=weight) == pytest.approx(
        one.score([X[i] for i in repeated]), rel=1e-12
    )


@of_variants
def test_copies_answer_and_go_on_alike(params, tmp_path):
    X = data(params)
    estimator = make(params).fit(X)
    copies = [through(estimator, tmp_path / name) for name, through in COPIES.items()]
    go_on = "partial_fit" if hasattr(estimator, "partial_fit") else "fit"
    for other in copies:
        assert_same_model(estimator, other, X)
        np.testing.assert_array_equal(
            other.sample(2, 0, lengths=[2, 2])[1], estimator.sample(2, 0, lengths=[2, 2])[1]
        )
    getattr(estimator, go_on)(X)
    for other in copies:
        getattr(other, go_on)(X)
        assert_same_model(estimator, other, X)
    assert_same_model(make(params).fit(X), clone(estimator).fit(X), X)


@of_structures
def test_answers_change_nothing_and_come_from_any_thread(params, capfd):
    X = data(params)
    estimator = make(params).fit(X)
    before = {name: (id(value), repr(value)) for name, value in vars(estimator).items()}
    expected, found = answers(estimator, X), []
    threads = [
        threading.Thread(target=lambda: found.append(answers(estimator, X))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    for one in found:
        assert_same(one, expected)
    assert {name: (id(value), repr(value)) for name, value in vars(estimator).items()} == before
    assert capfd.readouterr() == ("", "")


class TestFailure:
    @of_cells
    def test_divergence_leaves_finite_weights_and_one_warning(self, params):
        X = data()
        how = {"learning_rate": 1e30, "max_grad_norm": None, "solver": "sgd", "max_iter": 8}
        estimator = make(params, activation="relu", **how)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            estimator.fit(X)
        assert {warning.category for warning in caught} <= {ConvergenceWarning}
        assert len(caught) <= 1
        assert all(value.isfinite().all() for value in estimator.module_.state_dict().values())
        assert all(np.isfinite(answer).all() for answer in answers(estimator, X).values())

    @of_cells
    def test_ctrl_c_leaves_a_usable_estimator(self, params):
        X = data()
        with interrupt_solver(2), pytest.warns(UserWarning, match="Training interrupted by user"):
            estimator = make(params).fit(X)
        assert estimator.n_iter_ == len(estimator.loss_curve_)
        assert_same_model(estimator, copy.deepcopy(estimator), X)

    @of_cells
    def test_a_refused_fit_changes_nothing(self, params):
        X = data()
        estimator = make(params).fit(X)
        before = dict(vars(estimator))
        for bad in ([x * np.nan for x in X], [x[:, :1] for x in X][:1] + X, [x[:0] for x in X]):
            with pytest.raises(ValueError, match=r"NaN|channels|step"):
                estimator.fit(bad)
            assert vars(estimator) == before


class TestCourses:
    """Stopping, resuming, warm starts: that of all estimators, over sequences of their own."""

    def test_partial_fit_is_an_epoch_of_fit(self):
        X = data()
        whole = make(schedule="constant").fit(X)
        parts = make()
        for _ in range(3):
            parts.partial_fit(X)
        np.testing.assert_allclose(parts.loss_curve_, whole.loss_curve_, rtol=1e-12)
        np.testing.assert_allclose(parts.transform(X), whole.transform(X), rtol=1e-9)

    def test_warm_start_goes_on(self):
        X = data()
        model = make(warm_start=True, max_iter=5).fit(X)
        first = model.loss_
        assert model.fit(X).n_iter_ == 10
        assert model.loss_ < first
        with pytest.raises(ValueError, match="n_components changed from 2 to 3"):
            model.set_params(n_components=3).fit(X)

    def test_early_stopping_restores_the_best(self):
        X = data(n=40)
        held_out = data(n=20, seed=1)
        model = make(early_stopping=True, max_iter=30).fit(X, X_val=held_out)
        assert model.best_validation_score_ >= max(model.validation_scores_)
        weight = np.arange(20)
        other = make(early_stopping=True, max_iter=30)
        other.fit(X, X_val=held_out, sample_weight_val=weight)
        assert other.validation_scores_ != model.validation_scores_

    def test_targets_are_the_inputs_and_no_copy_of_them(self, monkeypatch):
        seen = []
        attributes = SequenceAutoencoderTransformer._attributes

        def spy(self, plan, form, objective, state):
            seen.extend([objective.rows, objective._loaded])
            return attributes(self, plan, form, objective, state)

        monkeypatch.setattr(SequenceAutoencoderTransformer, "_attributes", spy)
        make().fit(data())
        assert len(seen) == 2
        for rows in seen:
            assert rows.reconstructs
            assert rows.targets is rows.inputs

    def test_a_batch_of_many_steps_goes_through_in_parts(self, monkeypatch):
        X = data(n=60)
        whole = make(max_iter=5).fit(X)
        monkeypatch.setattr(objectives, "_MOST_TRAINED", 400)
        parts = make(max_iter=5).fit(X)
        np.testing.assert_allclose(parts.loss_curve_, whole.loss_curve_, rtol=1e-9)
