"""Contract 5 for sequences: a weight is a repetition, order is nothing, in one-batch fits.

On arbitrary lists: ties, equal sequences with different answers, both zeros, answers by step,
initial states, which are a part of the row. What is tested is equality of bits.
"""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sequence_variants import (
    COURSE,
    LABELS,
    NETWORK,
    ONE_BATCH,
    PLAIN,
    Variant,
    answers,
    assert_same,
    fitted_bits,
    parametrized,
    ragged,
    variants,
)
from sklearn.exceptions import ConvergenceWarning

from skaernn._rows import content as contents
from skaernn._rows.content import content_hash

# Cells and solvers, whose rounding errors grow in ways of their own.
GROWING = list(
    variants(
        cell=NETWORK["cell"],
        solver=COURSE["solver"],
        dropout=COURSE["dropout"],
        classifier=[False, True],
    )
)


def fitted(variant, X, y, weight=None, state=None, method="fit", **more):
    """All that a fit decides, and what it warned of."""
    estimator = variant.make(**more)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        # on arbitrary data, large learning rates may diverge: alike, whatever the order
        warnings.simplefilter("always", ConvergenceWarning)
        how = {"sample_weight": weight, "initial_state": state}
        if method == "fit":
            estimator.fit(X, y, **how)
        else:
            variant.goes_on(estimator, X, y, **how)
    said = [str(warning.message) for warning in caught]
    return {**fitted_bits(estimator), **answers(estimator, X[:1]), "warnings": said}


def taken(values, index):
    """Rows of a list or of an array."""
    if values is None:
        return None
    return [values[i] for i in index] if isinstance(values, list) else values[index]


def assert_weights_are_repetitions(variant, X, y, weight, state=None, seed=0, **more):
    """Weighted, repeated, repeated and shuffled: one and the same."""
    generator = np.random.default_rng(seed)

    def found(index, weight=None):
        # the first row is asked in the end, so that it stays the first
        rows = [taken(values, index) for values in (X, y)]
        return fitted(variant, *rows, weight, taken(state, index), **more)

    first = int(np.flatnonzero(weight)[0])
    order = np.r_[first, generator.permutation(np.delete(np.arange(len(X)), first))]
    repeated = np.repeat(np.arange(len(X)), weight)
    others = repeated[1:].copy()
    generator.shuffle(others)
    expected = found(np.r_[first, np.delete(np.arange(len(X)), first)],
                     np.r_[weight[first], np.delete(weight, first)].astype(float))  # fmt: skip
    assert_same(found(repeated), expected, "repeated")
    assert_same(found(np.r_[first, others]), expected, "repeated, shuffled")
    assert_same(found(order, weight[order].astype(float)), expected, "weighted, shuffled")


@st.composite
def weighted_sequences(draw, variant):
    """Lists full of ties, with weights that leave at least two different rows."""
    n, n_channels = draw(st.integers(4, 9)), draw(st.integers(1, 2))
    seed = draw(st.integers(0, 2**31 - 1))
    generator = np.random.default_rng(seed)
    few = generator.normal(size=3).round(1)
    values = np.concatenate([few, [0.0, -0.0, 1.0]])
    lengths = generator.integers(1, draw(st.integers(1, 4)) + 1, n)
    X = [generator.choice(values, (length, n_channels)) for length in lengths]
    y = variant.targets(X, seed)
    for i in range(3, n):  # equal sequences, with equal or with other answers
        if generator.random() < 0.4:
            X[i] = X[i - 1].copy()
            if not variant.per_step and generator.random() < 0.5:
                y[i] = y[i - 1]
            if variant.per_step:
                y[i] = y[i - 1].copy()
    X[0][0, 0], X[1][0, 0] = 0.5, 0.25  # two rows differ
    # a class stays one if all its rows have weight zero: no class is left without weight
    weight = generator.integers(variant.classifier and variant.per_step, 4, n)
    weight[:3] = np.maximum(weight[:3], 1)
    return X, y, weight, seed


class TestArbitraryData:
    @parametrized(ONE_BATCH)
    def test_weights_are_repetitions(self, variant):
        @settings(max_examples=3, deadline=None, derandomize=True, database=None)
        @given(
            data=weighted_sequences(variant),
            alpha=st.sampled_from([0.0, 0.1]),
            learning_rate=st.sampled_from([1e-3, 0.1]),
            stated=st.booleans(),
        )
        def check(data, alpha, learning_rate, stated):
            X, y, weight, seed = data
            more = {"learning_rate": learning_rate, "random_state": seed, "max_iter": 4}
            more |= {"alpha": variant.params.get("alpha", alpha)}
            state = None
            if stated and variant.has_state:
                # where a sequence goes on from a state there is no window by itself
                path = {"linear_path": variant.params.get("linear_path", False)}
                width = variant.make(max_iter=1, **path).fit(X, y).state_size_
                state = np.random.default_rng(seed).random((len(X), width)).round(1)
            assert_weights_are_repetitions(variant, X, y, weight, state, seed, **more)

        check()

    @parametrized([Variant(), Variant(True), Variant(False, {"return_sequences": True})])
    def test_one_sequence_and_equal_sequences(self, variant):
        x = np.array([[1.0, -0.0], [3.0, 2.0], [0.0, 1.0]])
        y = [LABELS[:3]] if variant.classifier else [np.arange(3.0)]
        if not variant.per_step:
            X = [x] if not variant.classifier else [x, x + 1]
            y = LABELS[: len(X)] if variant.classifier else np.arange(1.0)
        else:
            X = [x]
        expected = fitted(variant, X, y, np.full(len(X), 7.0))
        assert_same(fitted(variant, X * 7, list(y) * 7), expected, "equal sequences")
        zeros = [x + 0.0 for x in X]
        halves = fitted(variant, (X + zeros) * 7, list(y) * 14, 0.5)  # as many in all
        assert_same(halves, expected, "both zeros")
        both = fitted(variant, (X + zeros) * 2, list(y) * 4, 1.75)
        assert_same(both, expected, "fractions")

    @parametrized([Variant(), Variant(True), Variant(False, {"solver": "sgd", "cell": "gru"})])
    def test_partial_fit(self, variant):
        X, y = variant.data(n=20)
        weight = np.random.default_rng(1).integers(0, 4, 20)
        weight[:3] = 2
        how = {"learning_rate": 0.1, "method": "partial_fit"}
        assert_weights_are_repetitions(variant, X, y, weight, **how)

    @parametrized(GROWING)
    def test_many_epochs(self, variant):
        X, y = variant.data(n=60)
        weight = np.random.default_rng(0).integers(0, 4, 60)
        weight[:3] = 2
        how = {"learning_rate": 0.1, "max_iter": 25, "hidden_size": 16, "batch_size": 60}
        assert_weights_are_repetitions(variant, X, y, weight, **how)


class TestPartsOfARow:
    """What makes two rows different: X, how it is cut, y, and the state it begins with."""

    def rows(self):
        X, y = Variant().data(n=12)
        return X, y, np.random.default_rng(0).random((12, 8))

    def test_each_part_counts(self):
        X, y, state = self.rows()
        variant, twice = Variant(), np.r_[np.arange(12), 0]
        X2, y2, state2 = (taken(part, twice) for part in (X, y, state))
        weight = np.r_[2.0, np.ones(11)]
        merged = fitted(variant, X, y, weight, state)
        assert_same(fitted(variant, X2, y2, None, state2), merged)
        for other in ("X", "y", "state"):
            parts = {"X": list(X2), "y": y2.copy(), "state": state2.copy()}
            parts[other][12] = parts[other][12] + 0.5
            found = fitted(variant, parts["X"], parts["y"], None, parts["state"])
            assert found["t_"] == merged["t_"] + 3  # one row more in each of three epochs

    def test_a_state_of_zeros_is_a_beginning(self):
        X, y, state = self.rows()
        expected = fitted(Variant(), X, y)
        assert_same(fitted(Variant(), X, y, None, np.zeros_like(state)), expected)

    def test_sequences_of_other_lengths_are_not_equal(self):
        X = [np.zeros((length, 1)) for length in (1, 2, 3, 1)]
        y = np.zeros(4) + np.arange(4) // 3
        assert Variant().make().fit(X, y).t_ == 12
        y[3] = 0
        assert Variant().make().fit(X, y).t_ == 9


@parametrized(PLAIN + [v for v in ONE_BATCH if v.classifier])
def test_score(variant):
    X, y = variant.data(n=40)
    weight = np.random.default_rng(0).integers(0, 4, 40)
    estimator = variant.make().fit(X, y)
    index = np.repeat(np.arange(40), weight)
    repeated = estimator.score(taken(X, index), taken(y, index))
    # sums of other terms: a few units in the last place of float64
    weighted = estimator.score(X, y, sample_weight=weight)
    assert weighted == pytest.approx(repeated, rel=1e-12)


@parametrized([Variant(), Variant(True), Variant(False, {"return_sequences": True})])
def test_validation_sequences_given_and_weighted(variant):
    X, y = variant.data()
    X_val, y_val = variant.data(n=15, seed=5)
    weight = np.random.default_rng(0).integers(0, 4, 15)
    order = np.repeat(np.arange(15), weight)[::-1]
    one = variant.make(early_stopping=True, max_iter=8)
    one.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    two = variant.make(early_stopping=True, max_iter=8)
    two.fit(X[::-1], y[::-1], X_val=taken(X_val, order), y_val=taken(y_val, order))
    assert_same(fitted_bits(two), fitted_bits(one))


@parametrized([Variant(), Variant(True), Variant(False, {"early_stopping": True, "dropout": 0.3})])
def test_equal_hashes_of_different_rows(variant, monkeypatch):
    coarse = np.uint64(2**62)
    monkeypatch.setattr(
        contents, "content_hash", lambda *args: content_hash(*args) // coarse * coarse
    )
    X, y = ragged(24, longest=4), variant.targets(range(24))
    X[10:20] = X[:10]
    weight = np.random.default_rng(0).integers(0, 4, 24)
    weight[:3] = 1
    assert_weights_are_repetitions(variant, X, y, weight, learning_rate=0.1, max_iter=5)


class TestClassWeight:
    """Ways to say the same thing; equal up to the rounding of other products."""

    X, y = Variant(True).data(n=40)
    share = dict(zip(*np.unique(y, return_counts=True), strict=True))

    def assert_alike(self, one, two, weight=None, weight_two=None):
        # Adam divides by the size of a gradient, and rounding errors by ones that vanish
        how = {"max_iter": 4, "solver": "sgd", "learning_rate": 0.05, "linear_path": False}
        a = Variant(True).make(class_weight=one, **how).fit(self.X, self.y, weight)
        b = Variant(True).make(class_weight=two, **how).fit(self.X, self.y, weight_two)
        np.testing.assert_allclose(
            b.predict_proba(self.X), a.predict_proba(self.X), rtol=0, atol=1e-12
        )

    def test_a_linear_model_starts_at_the_same_within_what_a_search_finds(self):
        inverse = {label: 1 / self.share[label] for label in LABELS}
        how = {"max_iter": 1, "solver": "sgd", "learning_rate": 1e-300}
        one, two = (
            Variant(True).make(class_weight=w, **how).fit(self.X, self.y).predict_proba(self.X)
            for w in ("balanced", inverse)
        )
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-6)

    def test_balanced_is_inverse_to_the_share(self):
        self.assert_alike("balanced", {label: 1 / self.share[label] for label in LABELS})

    def test_balanced_counts_weighted_answers(self):
        weight = np.random.default_rng(0).integers(1, 4, 40).astype(float)
        sums = {label: weight[self.y == label].sum() for label in LABELS}
        inverse = {label: 1 / total for label, total in sums.items()}
        self.assert_alike("balanced", inverse, weight, weight)

    def test_the_size_does_not_matter(self):
        weights = dict(zip(LABELS.tolist(), [1.0, 2.0, 0.5], strict=True))
        self.assert_alike(weights, {label: 8 * value for label, value in weights.items()})

    def test_missing_classes_count_one(self):
        self.assert_alike({"low": 3.0}, {"high": 1.0, "low": 3.0, "mid": 1.0})

    @pytest.mark.parametrize("how", ["balanced", {"low": 3.0}])
    def test_balanced_with_weights_is_balanced_with_repetitions(self, how):
        variant = Variant(True, {"class_weight": how})
        weight = np.random.default_rng(0).integers(1, 4, 40)
        assert_weights_are_repetitions(variant, self.X, self.y, weight, learning_rate=0.1)

    def test_class_weight_moves_answers_like_sample_weight_does(self):
        """Once units of X and the start, which see only sample weights, are set aside."""
        factors = np.array([{"low": 4.0}.get(label, 1.0) for label in self.y])
        how = {"scaling": None, "solver": "lbfgs", "max_iter": 400, "alpha": 1.0, "tol": 1e-12}
        how |= {"n_iter_no_change": 20, "cell": "rnn", "hidden_size": 1}
        weighted = Variant(True).make(**how).fit(self.X, self.y, factors)
        # alpha is divided by the sum of sample weights, so that it is the larger of the two here
        how["alpha"] = 40 / factors.sum()
        classes = Variant(True).make(class_weight={"low": 4.0}, **how).fit(self.X, self.y)
        assert classes.loss_ == pytest.approx(weighted.loss_, rel=1e-3)
