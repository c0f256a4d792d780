"""Does training stop, restore, continue and anneal as it says?"""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from torch_only import by_torch

from skaernn import AutoencoderTransformer
from skaernn._rows.vectors import make_rows

IRIS = load_iris().data
SEED_PROGRAM = {
    "linear_path": False,
    "scaling": None,
    "hidden_layer_sizes": (),
    "n_components": 5,
    "code_activation": "relu",
    "output_activation": "logistic",
    "batch_size": 32,
    "learning_rate": 1e-3,
    "max_iter": 100,
    "schedule": "constant",
    "alpha": 0,
    "tol": 0,
}


def test_autoencoder_program_equals_a_plain_torch_loop():
    """The same weights after 100 epochs as the program written by hand, on the same batches."""
    X = np.random.default_rng(0).random((100, 10))
    estimator = AutoencoderTransformer(**SEED_PROGRAM, random_state=0)
    start = AutoencoderTransformer(
        **{**SEED_PROGRAM, "max_iter": 1, "learning_rate": 1e-300}, random_state=0
    ).fit(X)
    batches = []
    _record_batches(estimator, X, batches)
    module = start.module_.train().requires_grad_()
    optimizer = torch.optim.Adam(module.parameters())
    losses = []
    for epoch in batches:
        total = 0.0
        for rows in epoch:
            x = torch.from_numpy(X[rows])
            loss = 0.5 * ((module(x) - x) ** 2).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        losses.append(total / len(X))
    np.testing.assert_allclose(estimator.loss_curve_, losses, rtol=1e-10)
    with torch.no_grad():
        expected = module(torch.from_numpy(X)).numpy()
    found = estimator.inverse_transform(estimator.transform(X))
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def _record_batches(estimator, X, batches):
    from skaernn._training.vectors import ReconstructionObjective

    original = ReconstructionObjective.shuffled

    def recording(self, epoch):
        found = original(self, epoch)
        batches.append([batch.index.numpy() for batch in found.split(self.batch_size)])
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReconstructionObjective, "shuffled", recording)
        estimator.fit(X)


def test_every_epoch_sees_every_row_once_in_new_batches():
    X = np.random.default_rng(0).random((45, 3))
    batches = []
    estimator = AutoencoderTransformer(batch_size=10, max_iter=3, random_state=0)
    _record_batches(estimator, X, batches)
    assert [[len(rows) for rows in epoch] for epoch in batches] == [[10, 10, 10, 10, 5]] * 3
    orders = [np.concatenate(epoch) for epoch in batches]
    assert all((np.sort(order) == np.arange(45)).all() for order in orders)
    assert not (orders[0] == orders[1]).all()


def test_without_shuffling_batches_follow_the_rows():
    X = np.random.default_rng(0).random((45, 3))
    X[7] = X[3]
    batches = []
    estimator = AutoencoderTransformer(batch_size=10, max_iter=2, shuffle=False, random_state=0)
    _record_batches(estimator, X, batches)
    expected = np.delete(np.arange(45), 7)
    assert all((np.concatenate(epoch) == expected).all() for epoch in batches)


def test_cosine_schedule_runs_its_epochs_without_a_warning():
    estimator = AutoencoderTransformer(max_iter=30, tol=10.0, n_iter_no_change=1, random_state=0)
    assert estimator.fit(IRIS).n_iter_ == 30


@pytest.mark.parametrize("tol", [1e-1, 1e-2, 1e-3])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_constant_schedule_stops_at_a_plateau(solver, tol):
    estimator = AutoencoderTransformer(
        solver=solver, schedule="constant", max_iter=2000, tol=tol, n_iter_no_change=4,
        learning_rate=1e-2, random_state=0,
    ).fit(IRIS)  # fmt: skip
    lowest, stale, seen = np.inf, 0, 0
    for loss in estimator.loss_curve_:
        seen += 1
        stale = stale + 1 if np.isfinite(lowest) and loss >= lowest - tol * lowest else 0
        lowest = min(lowest, loss)
        if stale > 4:
            break
    assert estimator.n_iter_ == seen < 2000
    assert stale > 4


def test_constant_schedule_warns_when_it_runs_out_and_tol_zero_does_not():
    params = {"schedule": "constant", "max_iter": 3, "random_state": 0}
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\) reached"):
        AutoencoderTransformer(**params).fit(IRIS)
    assert AutoencoderTransformer(**params, tol=0).fit(IRIS).n_iter_ == 3


@pytest.mark.parametrize("linear_path", [False, True])
def test_early_stopping_restores_the_best_weights(linear_path):
    X = load_digits().data[:300]
    estimator = AutoencoderTransformer(
        8, early_stopping=True, schedule="constant", learning_rate=0.02, max_iter=300,
        n_iter_no_change=5, linear_path=linear_path, output_range=None, random_state=0,
    ).fit(X)  # fmt: skip
    scores = estimator.validation_scores_
    assert estimator.n_iter_ == len(scores) < 300
    assert estimator.best_validation_score_ >= max(scores)
    assert estimator.best_loss_ is None
    _, held_out = make_rows(
        X,
        torch.from_numpy(X),
        None,
        torch.float64,
        validation=(0.1, estimator._fitted.seed, None),
    )
    assert len(held_out) == 30
    rows = X[held_out.index.numpy()]
    error = estimator.reconstruction_error(rows).mean() * X.shape[1]
    score = -0.5 * error / float(estimator.module_.scale) ** 2
    assert score == pytest.approx(estimator.best_validation_score_, rel=1e-9)


def test_validation_rows_are_chosen_by_content():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 4, (400, 2)).astype(float)  # at most 16 distinct rows
    weight = rng.random(400)
    order = rng.permutation(400)
    split = {"validation": (0.25, 7, None)}
    train, held_out = make_rows(X, torch.from_numpy(X), weight, torch.float64, **split)
    moved = X[order]
    again, _ = make_rows(moved, torch.from_numpy(moved), weight[order], torch.float64, **split)
    rows = [set(map(tuple, x)) for x in (X[train.index], X[held_out.index], moved[again.index])]
    assert not rows[0] & rows[1]
    assert rows[0] == rows[2]
    share = weight[[tuple(x) in rows[1] for x in X]].sum() / weight.sum()
    heaviest = max(weight[(x == X).all(1)].sum() for x in rows[1]) / weight.sum()
    assert 0.25 <= share <= 0.25 + heaviest


def test_given_validation_rows_decide():
    rng = np.random.default_rng(0)
    X, X_val = rng.normal(size=(80, 5)), rng.normal(size=(40, 5)) + 3
    estimator = AutoencoderTransformer(
        early_stopping=True, max_iter=60, learning_rate=0.02, n_iter_no_change=3, random_state=0
    ).fit(X, X_val=X_val, sample_weight_val=np.r_[np.ones(20), np.zeros(20)])
    error = estimator.reconstruction_error(X_val[:20]).mean() * 5
    score = -0.5 * error / float(estimator.module_.scale) ** 2
    assert score == pytest.approx(estimator.best_validation_score_, rel=1e-9)


def test_warm_start_continues_and_never_gets_worse():
    first = AutoencoderTransformer(max_iter=40, warm_start=True, random_state=0).fit(IRIS)
    before = first.reconstruction_error(IRIS).mean()
    first.fit(IRIS)
    assert first.reconstruction_error(IRIS).mean() < before
    assert first.n_iter_ == len(first.loss_curve_) == 80
    with pytest.warns(ConvergenceWarning, match="learning_rate=100 made the loss worse"):
        first.set_params(learning_rate=100.0).fit(IRIS)
    assert first.reconstruction_error(IRIS).mean() < before


def test_without_warm_start_a_fit_forgets():
    estimator = AutoencoderTransformer(max_iter=10, random_state=0)
    codes = estimator.fit(IRIS).transform(IRIS)
    estimator.fit(IRIS[:70])
    np.testing.assert_array_equal(estimator.fit(IRIS).transform(IRIS), codes)
    assert estimator.n_iter_ == 10


def test_partial_fit_after_fit_improves_on_it():
    estimator = AutoencoderTransformer(max_iter=20, random_state=0).fit(IRIS)
    before = estimator.loss_
    for _ in range(50):
        estimator.partial_fit(IRIS)
    assert estimator.loss_ < before
    assert estimator.n_iter_ == 70
    assert estimator.t_ == 70 * len(np.unique(IRIS, axis=0))


def test_partial_fit_over_chunks_learns_the_whole():
    X = load_digits().data
    estimator = AutoencoderTransformer(8, random_state=0)
    for _ in range(5):
        for chunk in np.array_split(X, 6):
            estimator.partial_fit(chunk)
    assert estimator.score(X) > 1.02 * PCA(8).fit(X).explained_variance_ratio_.sum()


def test_training_lowers_the_loss_for_every_solver():
    for solver, rate in (("adam", 1e-3), ("sgd", 0.03), ("lbfgs", 1.0)):
        estimator = AutoencoderTransformer(
            solver=solver, learning_rate=rate, tol=0, max_iter=100, random_state=0
        ).fit(IRIS)
        assert estimator.loss_ < 0.999 * estimator.loss_curve_[0], solver


def test_alpha_shrinks_the_weights_of_the_network():
    norms = []
    for alpha in (0.0, 1.0, 100.0):
        estimator = AutoencoderTransformer(alpha=alpha, linear_path=False, random_state=0)
        network = estimator.fit(IRIS).module_.encoder.network
        norms.append(sum(float((p.detach() ** 2).sum()) for p in network.parameters()))
    assert norms[0] > norms[1] > norms[2]


def test_no_plateau_is_seen_in_a_falling_loss():
    estimator = AutoencoderTransformer(
        schedule="constant", tol=0, max_iter=60, learning_rate=1e-4, random_state=0
    ).fit(IRIS)
    assert np.all(np.diff(estimator.loss_curve_) < 0)


def test_too_large_a_learning_rate_gives_pca_and_says_so():
    estimator = AutoencoderTransformer(
        learning_rate=30.0, max_iter=20, output_range=None, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match="made the loss worse") as caught:
        estimator.fit(IRIS)
    assert caught[0].filename == __file__
    pca = PCA(2).fit(IRIS)
    assert estimator.score(IRIS) == pytest.approx(pca.explained_variance_ratio_.sum())


@pytest.mark.parametrize("evaluation", [3, 4, 5, 8, 13, 21])
def test_interrupted_line_search_keeps_a_point_that_was_accepted(evaluation, monkeypatch):
    from skaernn._training.objective import Evaluation

    X = np.random.default_rng(0).normal(size=(60, 6))
    original, calls = Evaluation.sums, []

    def sums(self, batch):
        calls.append(None)
        if len(calls) == evaluation:
            raise KeyboardInterrupt
        return original(self, batch)

    monkeypatch.setattr(Evaluation, "sums", sums)
    estimator = AutoencoderTransformer(
        solver="lbfgs", linear_path=False, alpha=0, tol=0, random_state=0
    )
    with by_torch(), pytest.warns(UserWarning, match="interrupted by user"):
        estimator.fit(X)
    error = 0.5 * 6 * estimator.reconstruction_error(X).mean()
    kept = error / float(estimator.module_.scale) ** 2
    assert kept <= estimator.loss_ * (1 + 1e-12)
    assert len(estimator.loss_curve_) == estimator.n_iter_


@pytest.mark.parametrize("linear_path", [False, True])
def test_an_interrupt_is_said_whatever_else_went_wrong(linear_path, monkeypatch):
    """Also where the weights that Ctrl-C left are worse than the start, or not finite."""
    from skaernn._training.solvers import SGD

    original, calls = SGD.step, []

    def step(self, state, evaluate, learning_rate):
        sums = original(self, state, evaluate, learning_rate)
        calls.append(None)
        state.theta.mul_(1.2)  # every step is for the worse
        if len(calls) == 15:
            state.theta.mul_(1.0 if linear_path else np.inf)
            raise KeyboardInterrupt
        return sums

    monkeypatch.setattr(SGD, "step", step)
    estimator = AutoencoderTransformer(
        solver="sgd", linear_path=linear_path, learning_rate=1e-6, random_state=0
    )
    with by_torch(), pytest.warns(UserWarning, match="interrupted by user") as caught:
        estimator.fit(IRIS)
    assert [str(warning.message) for warning in caught] == ["Training interrupted by user."]
    assert np.isfinite(estimator.transform(IRIS)).all()


def test_an_interrupted_partial_fit_keeps_no_poisoned_memory(monkeypatch):
    from skaernn._training.solvers import SGD

    original, calls = SGD.step, []

    def step(self, state, evaluate, learning_rate):
        sums = original(self, state, evaluate, learning_rate)
        calls.append(None)
        if len(calls) == 3:
            state.theta.fill_(np.nan)
            state.slots["velocity"].fill_(np.nan)
            raise KeyboardInterrupt
        return sums

    estimator = AutoencoderTransformer(solver="sgd", batch_size=16, random_state=0)
    monkeypatch.setattr(SGD, "step", step)
    with by_torch(), pytest.warns(UserWarning, match="interrupted by user"):
        estimator.partial_fit(IRIS)
    monkeypatch.undo()
    for _ in range(3):
        estimator.partial_fit(IRIS)
    assert np.isfinite(estimator.transform(IRIS)).all()
    assert np.isfinite(estimator.loss_)


def test_parameters_are_judged_once(monkeypatch):
    """The best are the last ones, where every epoch was better than the one before."""
    from skaernn._training.vectors import ReconstructionObjective

    original, judged = ReconstructionObjective.evaluate, []

    def evaluate(self, theta, n_rows=None):
        judged.append(theta)
        return original(self, theta, n_rows)

    monkeypatch.setattr(ReconstructionObjective, "evaluate", evaluate)
    model = AutoencoderTransformer(2, batch_size=50, max_iter=15, random_state=0).fit(IRIS)
    assert np.argmin(model.loss_curve_) == 14
    assert len(judged) == 1  # and the start's loss is known
