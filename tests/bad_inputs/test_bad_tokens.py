"""What a user gets for numbers that are no tokens, or none that are known."""

import numpy as np
import pandas as pd
import pytest
import torch
from sequence_refusal import refuse

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor

X = [[1, 2, 3], [4], [2, 5], [1, 1, 1, 6]]
Y = [0.0, 1.0, 2.0, 3.0]


def make(**more):
    how = {"embedding_size": 3, "hidden_size": 3, "max_iter": 2, "tol": 0, "random_state": 0}
    return RNNSequenceRegressor(**{**how, **more})


def at(value):
    """X with `value` in sequence 2, step 1."""
    return [*X[:2], [2, value], X[3]]


WHOLE = "sequence 2, step 1.*whole and not negative.*SequenceVectorizer"
BAD = {
    "negative": (lambda: at(-1), ValueError, f"X\\w* has -1 in {WHOLE}"),
    "fractional": (lambda: at(1.5), ValueError, f"X\\w* has 1.5 in {WHOLE}"),
    "NaN": (lambda: at(np.nan), ValueError, "NaN.*sequence 2, step 1"),
    "infinite": (lambda: at(np.inf), ValueError, "infinity.*sequence 2, step 1"),
    "text": (lambda: at("b"), ValueError, "numeric|strings|number"),
    "texts": (lambda: ["a b", "c", "d", "e"], ValueError, "numeric|strings|dimension|text"),
    "words": (lambda: [["a", "b"], ["c"], ["d"], ["e"]], ValueError, "numeric|strings|number"),
    "two channels": (
        lambda: [np.ones((3, 2))] * 4,
        ValueError,
        "X\\w* has 2 channels.*embedding_size.*1-D",
    ),
    "two channels of an array": (lambda: np.ones((4, 3, 2)), ValueError, "X has 2 channels"),
    "an array": (
        lambda: np.array([[1, 2, 3], [4, 1, 1], [2, -1, 1], [1, 1, 1]]),
        ValueError,
        f"X has -1 in {WHOLE}",
    ),
    "a frame": (
        lambda: pd.DataFrame([[1, 2, 3], [4, 1, 1], [2, 0.25, 1], [1, 1, 1]]),
        ValueError,
        f"X has 0.25 in {WHOLE}",
    ),
    "a tensor": (
        lambda: torch.tensor([[1, 2], [4, 1], [2, -1], [1, 1]])[..., None],
        ValueError,
        f"X has -1 in {WHOLE}",
    ),
    "complex": (lambda: at(1j), ValueError, "[Cc]omplex"),
    "a bag of words": (lambda: np.eye(4)[:, None], ValueError, "X has 4 channels"),
}


@pytest.mark.parametrize(("data", "error", "words"), BAD.values(), ids=BAD)
def test_no_tokens_in_fit(data, error, words):
    model = make()
    refuse(model, lambda: model.fit(data(), Y), error, words)


LISTS = {name: case for name, case in BAD.items() if name not in ("an array", "a frame")}


@pytest.mark.parametrize(("data", "error", "words"), LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("method", ["predict", "score", "partial_fit"])
def test_no_tokens_later(method, data, error, words):
    model = make().fit(X, Y)
    rest = [] if method == "predict" else [Y]
    words = words.replace("embedding_size.*1-D", "") if "channels" in words else words
    refuse(model, lambda: getattr(model, method)(data(), *rest), error, words, known=X)


@pytest.mark.parametrize("value", [7, 8, 10**6, 10**12, 1e300], ids=str)
def test_tokens_that_fit_has_not_seen(value):
    model = make().fit(X, Y)
    words = r"X has the token .* in sequence 2, step 1, which was not there in fit. Put 0 for"
    refuse(model, lambda: model.predict(at(value)), ValueError, words, known=X)


def test_gaps_are_no_tokens():
    model = make().fit([[1, 2], [5]], [0.0, 1.0])
    with pytest.raises(ValueError, match=r"the token 3 in sequence 0, step 1,.*not there in fit"):
        model.predict([[1, 3]])
    assert np.isfinite(model.predict([[0, 1, 5]])).all()


@pytest.mark.parametrize("value", [10**9, 2**40, 2**63 - 1, 1e300], ids=str)
def test_hashes_are_to_be_numbered(value):
    model = make()
    words = r"has the token .* in sequence 2, step 1, and there are 6 .*SequenceVectorizer"
    refuse(model, lambda: model.fit(at(value), Y), ValueError, words)


def test_what_cannot_be_had_with_tokens():
    with pytest.raises(ValueError, match="linear_path='window' reads the numbers of X"):
        make(linear_path="window").fit(X, Y)
    with pytest.raises(ValueError, match="linear_path='pooled' is what the output reads of x"):
        make(linear_path="pooled", input_skip=False).fit(X, Y)
    with pytest.raises(ValueError, match="n_channels=2 is not possible with embedding_size=3"):
        make(n_channels=2).fit(X, Y)
    with pytest.raises(ValueError, match="forecast feeds predictions back"):
        make().fit(X, Y).forecast(X, 2)


@pytest.mark.parametrize("value", [0, -1, 2.0, "4", True], ids=repr)
def test_sizes_that_are_none(value):
    if value is True:
        return
    with pytest.raises(ValueError, match="The 'embedding_size' parameter of"):
        make(embedding_size=value).fit(X, Y)


def test_a_table_that_no_memory_holds():
    with pytest.raises(MemoryError, match="layer sizes"):
        make(embedding_size=10**12).fit(X, Y)


def test_nothing_is_said_of_tokens_and_the_way_is_shown_without():
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 50, (20, 12))
    y = rng.integers(0, 2, 20)
    RNNSequenceClassifier(embedding_size=3, max_iter=1).fit(tokens, y)
    with pytest.warns(UserWarning, match="set embedding_size, 16 say"):
        RNNSequenceClassifier(max_iter=1).fit(tokens, y)


def test_zeros_at_the_end_may_be_padding():
    tokens = np.ones((20, 6, 1), dtype=int)
    for i, row in enumerate(tokens[:10]):
        row[i % 4 + 1 :] = 0
    with pytest.warns(UserWarning, match="10 of 20 sequences of X end in zeros"):
        make().fit(tokens, np.arange(20.0))
