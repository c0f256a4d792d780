"""Sequences that can be read, but were probably meant otherwise: a warning, or another reading."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import BaggingRegressor
from sklearn.model_selection import cross_val_score

from skaernn import (
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
    channels_last,
)

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(3, 9, 20)
RAGGED = [RNG.normal(size=(n, 2)) for n in LENGTHS]
Y = RNG.normal(size=20)


def padded(parts, with_what=0.0):
    X = np.full((len(parts), max(map(len, parts)), parts[0].shape[1]), with_what)
    for row, part in zip(X, parts, strict=True):
        row[: len(part)] = part
    return X


def make(**params):
    return RNNSequenceRegressor(**{"hidden_size": 3, "max_iter": 2, "random_state": 0, **params})


def caught(function, *arguments, **more):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        function(*arguments, **more)
    return [str(w.message) for w in found]


class TestPadding:
    def test_zeros_behind_the_end_are_told_of_once(self):
        (message,) = caught(make().fit, padded(RAGGED), Y)
        n_padded = sum(LENGTHS.max() > LENGTHS)
        assert message.startswith(f"{n_padded} of 20 sequences of X end in zeros")
        assert all(way in message for way in ("lengths", "NaN", "list"))

    def test_so_they_are_by_the_others(self):
        model = SequenceAutoencoderTransformer(2, 3, max_iter=1)
        assert "end in zeros" in caught(model.fit, padded(RAGGED))[0]
        model = RNNSequenceClassifier(hidden_size=3, max_iter=1)
        assert "end in zeros" in caught(model.fit, padded(RAGGED), Y > 0)[0]

    def test_nothing_is_said_of_what_says_it_all(self):
        assert not caught(make().fit, padded(RAGGED), Y, lengths=LENGTHS)
        assert not caught(make().fit, padded(RAGGED, np.nan), Y)
        assert not caught(make().fit, RAGGED, Y)
        assert not caught(make().fit, RNG.normal(size=(20, 8, 2)), Y)

    def test_nothing_is_said_of_zeros_everywhere(self):
        rare = RNG.normal(size=(20, 8, 2)) * (RNG.random((20, 8, 1)) < 0.5)
        images = np.zeros((20, 8, 4))
        images[:, 2:7] = RNG.random((20, 5, 4))
        for X in (rare, images, np.zeros((20, 8, 2))):
            assert not caught(make().fit, X, Y)


class TestTokens:
    def test_numbers_of_words_are_told_of(self):
        tokens = RNG.integers(0, 50, (20, 12))
        for X in (tokens, tokens.astype(float), tokens[..., None], list(tokens)):
            (message,) = caught(make().fit, X, Y)
            assert "one channel of whole numbers" in message
            assert "np.eye(n_tokens)" in message

    def test_the_way_that_is_named_works(self):
        tokens = RNG.integers(0, 30, (20, 12))
        assert not caught(make().fit, [np.eye(30)[x] for x in tokens], Y)

    @pytest.mark.parametrize(
        "X",
        [
            RNG.integers(-3, 4, (20, 60)).cumsum(axis=1) + 1000,  # whole numbers that go along
            RNG.integers(0, 5, (20, 12)),  # few values
            RNG.integers(-50, 50, (20, 12)),
            RNG.integers(0, 50, (20, 12)) + 0.5,
            RNG.normal(size=(20, 12)) * 1e30,  # every float of this size is a whole number
        ],
        ids=["walk", "few", "negative", "halves", "huge"],
    )
    def test_quantities_are_not(self, X):
        assert not caught(make().fit, X, Y)

    def test_nor_is_anything_that_is_not_scaled(self):
        model = make(scaling=None, learning_rate=1e-3)  # a higher one is told of for itself
        assert not caught(model.fit, RNG.integers(0, 50, (20, 12)), Y)


class TestAxes:
    def test_one_step_of_many_channels_is_doubted(self):
        (message,) = caught(make().fit, RNG.normal(size=(20, 1, 24)), Y)
        assert "(20, 1, 24)" in message
        assert "skaernn.channels_last(X)" in message

    def test_a_list_on_its_side_is_refused(self):
        with pytest.raises(ValueError, match=r"All have 2 rows.*channels_last\(X\)"):
            make().fit([x.T for x in RAGGED], Y)

    def test_channels_last_puts_it_right(self):
        expected = make().fit(RAGGED, Y).predict(RAGGED)
        turned = channels_last([x.T for x in RAGGED])
        np.testing.assert_array_equal(make().fit(turned, Y).predict(RAGGED), expected)
        even = RNG.normal(size=(20, 5, 3))
        np.testing.assert_array_equal(channels_last(even.swapaxes(1, 2)), even)

    def test_channels_last_of_frames_whose_cells_are_series(self):
        frame = pd.DataFrame({"a": [pd.Series(x[:, 0]) for x in RAGGED],
                              "b": [x[:, 1] for x in RAGGED]})  # fmt: skip
        for found, expected in zip(channels_last(frame), RAGGED, strict=True):
            np.testing.assert_array_equal(found, expected)

    def test_channels_last_refuses_what_is_no_such_thing(self):
        with pytest.raises(ValueError, match="2 dimensions; expected"):
            channels_last(np.zeros((3, 4)))
        with pytest.raises(ValueError, match=r"X\[0\] has 1 dimensions"):
            channels_last([np.zeros(3)])
        with pytest.raises(ValueError, match="series of equal length"):
            channels_last(pd.DataFrame({"a": [[1.0, 2.0]], "b": [[1.0]]}))


class TestRowsWithoutAnEnd:
    X = padded(RAGGED, np.nan).reshape(20, -1)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_they_are_ragged_sequences(self, dtype):
        rows, parts = self.X.astype(dtype), [x.astype(dtype) for x in RAGGED]
        expected = make(max_iter=5).fit(parts, Y).predict(parts)
        model = make(max_iter=5, n_channels=2).fit(rows, Y)
        np.testing.assert_array_equal(model.predict(rows), expected)
        frame = pd.DataFrame(rows).add_prefix("x")
        np.testing.assert_array_equal(make(max_iter=5, n_channels=2).fit(frame, Y).predict(frame),
                                      expected)  # fmt: skip

    def test_they_pass_through_others(self):
        model = make(n_channels=2)
        bagged = BaggingRegressor(model, n_estimators=2, random_state=0).fit(self.X, Y)
        assert np.isfinite(bagged.predict(self.X)).all()
        assert np.isfinite(cross_val_score(model, self.X, Y, cv=3)).all()

    def test_autoencoders_read_them_so_too(self):
        model = SequenceAutoencoderTransformer(2, 3, max_iter=2, n_channels=2, random_state=0)
        codes = model.fit(self.X).transform(self.X)
        again = SequenceAutoencoderTransformer(2, 3, max_iter=2, random_state=0).fit(RAGGED)
        np.testing.assert_array_equal(codes, again.transform(RAGGED))

    def test_other_gaps_are_refused(self):
        for t, channel in ((0, 0), (LENGTHS[1] - 1, 1)):
            X = self.X.copy()
            X[1, 2 * t + channel] = np.nan
            with pytest.raises(ValueError, match=r"NaN.*sequence 1, step"):
                make(n_channels=2).fit(X, Y)
        with pytest.raises(ValueError, match="NaN in all steps of sequence 2"):
            make(n_channels=2).fit(np.where(np.arange(20)[:, None] == 2, np.nan, self.X), Y)


class TestLongTables:
    LONG = pd.concat(
        [pd.DataFrame(x, columns=["u", "v"]) for x in RAGGED],
        keys=range(20), names=["id", "time"],
    )  # fmt: skip

    def test_an_index_of_two_levels_is_refused_with_the_line_that_helps(self):
        with pytest.raises(ValueError, match=r"groupby\(level=0\)\]") as refused:
            make().fit(self.LONG, Y)
        line = str(refused.value).split("pass ")[1].split(" (and y")[0]
        X = self.LONG.sample(frac=1, random_state=0)
        parts = eval(line, {"X": X})
        expected = make().fit(RAGGED, Y).predict(RAGGED)
        np.testing.assert_array_equal(make().fit(parts, Y).predict(parts), expected)
        with pytest.raises(ValueError, match="index of 2 levels"):
            make().fit(RAGGED, Y).predict(self.LONG)

    def test_groups_are_refused_with_the_line_that_helps(self):
        groups = self.LONG.groupby(level=0)
        with pytest.raises(ValueError, match=r"\[part for _, part in X\]"):
            make().fit(groups, Y)
        parts = [part for _, part in groups]
        assert make().fit(parts, Y).predict(parts).shape == (20,)
