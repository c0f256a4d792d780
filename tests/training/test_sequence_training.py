"""How sequences are batched, packed and weighted in training, and how gradients are clipped."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skaernn import RNNSequenceRegressor
from skaernn._inputs.sequences import Sequences
from skaernn._losses.reconstruction import LOSSES
from skaernn._rows.batch import Batch
from skaernn._rows.content import JointContent, MatrixContent, RaggedContent
from skaernn._rows.selection import select
from skaernn._rows.sequences import SequenceRows
from skaernn._training.loop import TrainingState, train
from skaernn._training.sequences import RecurrentObjective
from skaernn._training.solvers import SGD
from skaernn.networks import Packing, RecurrentNetwork


def rows_of(lengths, *, weight=None, per_step=False, n_channels=2, keyed=False, padding=0):
    """Random sequences one behind the other, `padding` unread steps between them."""
    rng = np.random.default_rng(0)
    lengths = np.asarray(lengths)
    starts = np.cumsum(lengths + padding) - lengths - padding
    steps = rng.normal(size=(int(starts[-1] + lengths[-1]), n_channels))
    if padding:
        read = np.concatenate([np.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)])
        steps[np.setdiff1d(np.arange(len(steps)), read)] = np.nan
    counts = lengths if per_step else np.ones_like(lengths)
    y = rng.normal(size=(counts.sum(), 1))
    content = RaggedContent(steps, starts, lengths)
    weight = None if weight is None else np.asarray(weight, dtype=float)
    [selection] = select(content, weight, keyed=keyed)
    parts = (steps, starts, lengths, y, np.cumsum(counts) - counts)
    parts = (torch.from_numpy(part) for part in parts)
    return SequenceRows.of(*parts, selection, torch.float64, per_step=per_step)


def objective_on(rows, **more):
    network = RecurrentNetwork(2, 3, 1, cell="gru", pooling=None if rows.per_step else "last")
    return RecurrentObjective(network, LOSSES["squared_error"], rows, **more)


def some_theta(objective):
    theta = objective.start(torch.Generator().manual_seed(0))
    return theta + 0.1


class TestBatches:
    def test_padding_costs_at_most_a_quarter(self):
        """Of what a batch takes in time: as many steps as its longest sequence has."""
        lengths = np.random.default_rng(1).integers(5, 500, size=3000)
        rows = rows_of(lengths, n_channels=1)
        objective = RecurrentObjective(
            RecurrentNetwork(1, 1, 1), LOSSES["squared_error"], rows, batch_size=64
        )
        padded = sum(len(b.index) * rows.packing(b).n_steps for b in objective.batches(3))
        assert padded <= 1.25 * lengths.sum()

    def test_packed_batches_hold_the_steps_and_nothing_else(self):
        rows = rows_of([4, 2, 7, 2, 5, 1], padding=3)
        batch = rows.sorted(Batch(torch.tensor([0, 1, 2, 3, 5]), None, None, 0))
        packing = rows.packing(batch)
        assert packing.size == 4 + 2 + 7 + 2 + 1
        x = torch.empty(packing.size, 2, dtype=torch.float64)
        rows.take(batch, rows.places(packing), x)
        row, t = packing.positions()
        for i in range(5):
            sequence = int(batch.index[i])
            start, length = int(rows.starts[sequence]), int(rows.lengths[sequence])
            assert torch.equal(x[row == i], rows.inputs.X[start : start + length])
            assert torch.equal(t[row == i], torch.arange(length))
        assert bool(x.isfinite().all())

    def test_every_sequence_is_in_one_batch_of_an_epoch(self):
        rows = rows_of(np.arange(1, 24))
        objective = objective_on(rows, batch_size=5)
        batches = list(objective.batches(0))
        assert [len(batch.index) for batch in batches] == [5, 5, 5, 5, 3]
        seen = torch.cat([batch.index for batch in batches])
        assert sorted(seen.tolist()) == list(range(23))
        again = torch.cat([batch.index for batch in objective.batches(1)])
        assert not torch.equal(seen, again)

    def test_batches_are_a_function_of_seed_and_epoch(self):
        rows = rows_of(np.arange(1, 24))
        orders = [
            torch.cat([b.index for b in objective_on(rows, batch_size=5, seed=s).batches(4)])
            for s in (0, 0, 1)
        ]
        assert torch.equal(orders[0], orders[1])
        assert not torch.equal(orders[0], orders[2])

    @given(st.lists(st.integers(1, 9), min_size=1, max_size=12))
    @settings(max_examples=50, deadline=None, derandomize=True, database=None)
    def test_packing_of_any_lengths(self, lengths):
        lengths = torch.tensor(sorted(lengths, reverse=True))
        packing = Packing.of_lengths(lengths)
        assert torch.equal(packing.lengths(), lengths)
        assert packing.size == int(lengths.sum())
        row, t = packing.positions()
        assert torch.equal(t[packing.last()], lengths - 1)
        assert torch.equal(row[packing.last()], torch.arange(len(lengths)))
        turned = packing.reversed()
        assert torch.equal(t[turned], lengths[row] - 1 - t)
        assert torch.equal(row[turned], row)


class TestSums:
    @pytest.mark.parametrize("per_step", [False, True])
    def test_parts_add_up(self, per_step, monkeypatch):
        rows = rows_of([4, 2, 7, 2, 5, 1], weight=[1, 2, 3, 1, 1, 2], per_step=per_step)
        objective = objective_on(rows)
        theta = some_theta(objective)
        [batch] = objective.batches(0)
        grad, grad_of_parts = torch.empty_like(theta), torch.empty_like(theta)
        whole = objective.bound(theta, grad).sums(batch).clone()
        objective.most_rows = 2
        parts = objective.bound(theta, grad_of_parts).sums(batch)
        torch.testing.assert_close(parts, whole, rtol=1e-12, atol=0)
        torch.testing.assert_close(grad_of_parts, grad, rtol=1e-12, atol=1e-14)

    @pytest.mark.parametrize("per_step", [False, True])
    def test_every_valid_step_counts_the_same(self, per_step):
        rows = rows_of([4, 2, 7], weight=[1, 2, 3], per_step=per_step)
        objective = objective_on(rows)
        theta = some_theta(objective)
        module = objective.module(theta[0])
        total, count = 0.0, 0.0
        for i, weight in enumerate([1, 2, 3]):
            start, n = int(rows.starts[i]), int(rows.lengths[i])
            begin, m = int(rows.target_starts[i]), n if per_step else 1
            y = rows.targets.X[begin : begin + m]
            with torch.no_grad():
                output = module(rows.inputs.X[None, start : start + n])[0]
            total += weight * float((output.reshape(y.shape) - y).square().sum()) / 2
            count += weight * m
        assert objective.evaluate(theta) == pytest.approx(total / count, rel=1e-12)
        sums = objective.bound(theta, torch.empty_like(theta)).sums(
            next(iter(objective.batches(0)))
        )
        assert float(sums[0, 0] / sums[0, 1]) == pytest.approx(total / count, rel=1e-12)

    @pytest.mark.parametrize("most_rows", [8192, 2])
    def test_what_becomes_of_sums_is_no_matter_to_the_next(self, most_rows):
        """Processes that share the rows add their sums in place."""
        objective = objective_on(rows_of([5, 3, 3, 1, 1], per_step=True))
        objective.most_rows = most_rows
        theta = some_theta(objective)
        evaluation = objective.bound(theta, torch.empty_like(theta))
        [batch] = objective.batches(0)
        expected = evaluation.sums(batch).clone()
        assert expected[0, 1] == 13
        for _ in range(2):
            sums = evaluation.sums(batch)
            assert torch.equal(sums, expected)
            sums.mul_(2).add_(1)

    def test_decay_is_divided_by_the_weight_of_the_sequences(self):
        """Not by that of their steps: alpha means the same with one output or with many."""
        decays = [
            objective_on(rows_of([3, 3], weight=[2, 2], per_step=per_step), alpha=0.5)
            for per_step in (False, True)
        ]
        pulls = []
        for objective in decays:
            theta = torch.ones_like(objective.zeros())
            grad, sums = torch.zeros_like(theta), theta.new_zeros(1, 3)
            objective.penalty(theta, grad, sums)
            [batch] = objective.batches(0)
            count = objective.bound(theta, torch.empty_like(theta)).sums(batch)[0, 1]
            pulls.append(grad.max() / count)
        assert float(pulls[0]) == pytest.approx(0.5 / 4)
        assert float(pulls[1]) == pytest.approx(0.5 / 4)


class TestClipping:
    @staticmethod
    def step(max_norm):
        objective = objective_on(rows_of([4, 2, 7]))
        state = TrainingState.at(some_theta(objective))
        before = state.theta.clone()
        train(
            objective,
            SGD(momentum=0.0),
            state,
            max_iter=1,
            learning_rate=lambda epoch: 1.0,
            max_norm=max_norm,
        )
        return state.theta - before

    def test_long_gradients_are_shortened_and_keep_their_direction(self):
        free, clipped = self.step(None), self.step(1e-3)
        assert float(clipped.norm()) == pytest.approx(1e-3)
        torch.testing.assert_close(clipped / clipped.norm(), free / free.norm())

    def test_short_ones_stay(self):
        torch.testing.assert_close(self.step(1e3), self.step(None), rtol=0, atol=0)

    def test_a_gradient_of_zero(self):
        X, y = np.ones((5, 3)), np.full(5, 7.0)
        model = RNNSequenceRegressor(hidden_size=2, max_iter=3, tol=0).fit(X, y)
        np.testing.assert_array_equal(model.predict(X), 7.0)

    def test_line_searches_see_the_true_gradient(self):
        X = np.random.default_rng(0).normal(size=(20, 4))
        parameters = {"hidden_size": 2, "solver": "lbfgs", "max_iter": 5, "tol": 0}
        models = [
            RNNSequenceRegressor(**parameters, max_grad_norm=norm, random_state=0).fit(X, X[:, 0])
            for norm in (1e-6, None)
        ]
        assert models[0].loss_curve_ == models[1].loss_curve_


class TestContent:
    def test_content_tells_sequences_apart(self):
        a, b = [[1.0], [2.0]], [[2.0], [1.0]]
        steps = np.array([*a, *b, *a, [1.0], [2.0], [0.0]])
        content = RaggedContent(steps, np.array([0, 2, 4, 6]), np.array([2, 2, 2, 3]))
        hashes = content.hash(np.arange(4))
        assert hashes[0] == hashes[2]
        assert len(set(hashes.tolist())) == 3
        i, j = np.array([0, 0, 0]), np.array([1, 2, 3])
        assert content.same(i, j).tolist() == [False, True, False]

    def test_where_a_sequence_lies_is_nothing(self):
        X = np.random.default_rng(0).normal(size=(6, 5, 2))
        whole = Sequences(X.reshape(30, 2), np.arange(6) * 5, np.full(6, 5), 5).content
        turned = Sequences(X[::-1].reshape(30, 2), np.arange(6) * 5, np.full(6, 5), None).content
        every = np.arange(6)
        np.testing.assert_array_equal(whole.hash(every), turned.hash(every[::-1]))

    def test_targets_and_states_are_part_of_it(self):
        X = MatrixContent(np.ones((4, 2)))
        y = MatrixContent(np.array([[0.0], [0.0], [1.0], [0.0]]))
        state = MatrixContent(np.array([[0.0], [0.0], [0.0], [1.0]]))
        [selection] = select(JointContent((X, y, state)), None)
        assert sorted(selection.weight.tolist()) == [1, 1, 2]

    def test_equal_hashes_of_different_sequences(self, monkeypatch):
        monkeypatch.setattr(
            RaggedContent, "hash", lambda self, index: np.zeros(len(index), dtype=np.uint64)
        )
        lengths = np.array([2, 1, 2, 2])
        steps = np.array([1.0, 2, 1, 2, 1, 1, 2])[:, None]
        content = RaggedContent(steps, np.cumsum(lengths) - lengths, lengths)
        [selection] = select(content, None)
        assert sorted(selection.index.tolist()) == [0, 1, 2]
        assert sorted(selection.weight.tolist()) == [1, 1, 2]
