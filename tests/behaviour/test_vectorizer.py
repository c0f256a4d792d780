"""Texts as numbers of tokens, and back: the right numbers, whatever the texts."""

import collections
import contextlib
import copy
import pickle
import re
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline

from skaernn import RNNSequenceClassifier, SequenceAutoencoderTransformer, SequenceVectorizer

TEXTS = ["To be, or not to be?", "Be!", "that is the question", "to to the the the"]
PATTERN = r"\w+|[^\w\s]"
UNKNOWN = "<unknown>"
NOTHING = r"empty vocabulary|no terms remain"

texts = st.lists(st.text("abAB ,.!\n", max_size=12), min_size=1, max_size=8)
tokens = st.one_of(st.integers(-3, 3), st.text("ab", max_size=2), st.tuples(st.integers(0, 2)))
token_lists = st.lists(st.lists(tokens, max_size=8), min_size=1, max_size=8)


def same(found, expected):
    """Whether these are the same lists of arrays of int64."""
    assert isinstance(found, list)
    assert [array.tolist() for array in found] == [list(row) for row in expected]
    for array in found:
        assert type(array) is np.ndarray
        assert array.dtype == np.int64
        assert array.ndim == 1


def plain_tokens(text, analyzer="word", pattern=PATTERN):
    return re.findall(pattern, text.lower()) if analyzer == "word" else list(text.lower())


def plain_fit(rows, min_df=1, max_features=None):
    """Numbers of tokens by the definition."""
    n_texts = collections.Counter(token for row in rows for token in set(row))
    n_times = collections.Counter(token for row in rows for token in row)
    least = min_df * len(rows) if isinstance(min_df, float) else min_df
    kept = [token for token in sorted(n_times) if n_texts[token] >= least]
    kept = sorted(kept, key=lambda token: (-n_times[token], token))[:max_features]
    return {token: number for number, token in enumerate(sorted(kept), 1)}


def plain_numbers(rows, vocabulary):
    return [[vocabulary.get(token, 0) for token in row] or [0] for row in rows]


# Numbers


@given(
    X=texts,
    others=texts,
    analyzer=st.sampled_from(["word", "char"]),
    min_df=st.sampled_from([1, 2, 3, 0.0, 0.3, 0.5, 1.0]),
    max_features=st.sampled_from([None, 1, 2, 5]),
)
def test_numbers_are_those_of_the_definition(X, others, analyzer, min_df, max_features):
    how = {"min_df": min_df, "max_features": max_features}
    vectorizer = SequenceVectorizer(analyzer=analyzer, **how)
    rows, new_rows = ([plain_tokens(text, analyzer) for text in part] for part in (X, others))
    vocabulary = plain_fit(rows, **how)
    if not vocabulary:
        with pytest.raises(ValueError, match=NOTHING):
            vectorizer.fit(X)
        return
    same(vectorizer.fit_transform(X), plain_numbers(rows, vocabulary))
    assert list(vectorizer.vocabulary_.items()) == list(vocabulary.items())
    same(vectorizer.transform(X), plain_numbers(rows, vocabulary))
    same(vectorizer.transform(others), plain_numbers(new_rows, vocabulary))


@given(
    X=texts,
    pattern=st.sampled_from([PATTERN, r"(?u)\b\w\w+\b", r"\S+", r"\w(\w)?"]),
    min_df=st.sampled_from([1, 2, 0.0, 0.5, 1.0]),
    max_features=st.sampled_from([None, 1, 2, 5]),
    lowercase=st.booleans(),
)
def test_vocabulary_and_counts_are_those_of_count_vectorizer(
    X, pattern, min_df, max_features, lowercase
):
    how = {
        "token_pattern": pattern,
        "min_df": min_df,
        "max_features": max_features,
        "lowercase": lowercase,
    }
    peer, vectorizer = CountVectorizer(**how), SequenceVectorizer(**how)
    try:
        counts = peer.fit_transform(X).toarray()
    except ValueError:
        with pytest.raises(ValueError, match=NOTHING):
            vectorizer.fit(X)
        return
    n_terms = counts.shape[1]
    found = [np.bincount(row, minlength=n_terms + 1)[1:] for row in vectorizer.fit_transform(X)]
    if max_features is None:
        assert vectorizer.vocabulary_ == {t: int(i) + 1 for t, i in peer.vocabulary_.items()}
        np.testing.assert_array_equal(found, counts)
    else:  # of equally frequent terms, it keeps whichever an unstable sort puts first
        totals = counts.sum(axis=0)
        assert sorted(np.sum(found, axis=0)) == sorted(totals)


def test_max_features_keeps_the_first_of_equally_frequent_tokens():
    words = [f"w{i:02}" for i in range(40)]
    X = [" ".join(reversed(words)), "w39 w39 w20"]
    vectorizer = SequenceVectorizer(max_features=4).fit(X)
    assert list(vectorizer.vocabulary_) == ["w00", "w01", "w20", "w39"]


def test_characters_keep_all_white_space():
    text = "A\n\nb  c\t"
    vectorizer = SequenceVectorizer(analyzer="char")
    assert vectorizer.inverse_transform(vectorizer.fit_transform([text])) == [text.lower()]


def test_lower_case_is_a_choice():
    assert list(SequenceVectorizer().fit(["A a"]).vocabulary_) == ["a"]
    assert list(SequenceVectorizer(lowercase=False).fit(["A a"]).vocabulary_) == ["A", "a"]


def test_a_token_in_many_texts_counts_once_in_each():
    assert list(SequenceVectorizer(min_df=2).fit(["a a a", "b", "b"]).vocabulary_) == ["b"]


def test_texts_without_tokens_are_one_unknown_token():
    vectorizer = SequenceVectorizer()
    same(vectorizer.fit_transform(["", "a", " \n"]), [[0], [1], [0]])
    same(vectorizer.transform(["", "b"]), [[0], [0]])
    same(SequenceVectorizer().fit_transform([[], ["a"], ()]), [[0], [1], [0]])


# Lists of tokens, analyzers of one's own


@given(X=token_lists, others=token_lists)
def test_lists_of_tokens_of_any_types(X, others):
    if not any(X):
        return
    vectorizer = SequenceVectorizer().fit(X)
    known = dict.fromkeys(token for row in X for token in row)
    with contextlib.suppress(TypeError):  # of mixed types: in the order of first appearance
        known = dict.fromkeys(sorted(known))
    vocabulary = {token: number for number, token in enumerate(known, 1)}
    assert list(vectorizer.vocabulary_.items()) == list(vocabulary.items())
    same(vectorizer.transform(others), plain_numbers(others, vocabulary))


@given(X=token_lists)
def test_tokens_come_back(X):
    if not any(X):
        return
    vectorizer = SequenceVectorizer()
    assert vectorizer.inverse_transform(vectorizer.fit_transform(X)) == [
        row or [UNKNOWN] for row in X
    ]


@given(X=texts, analyzer=st.sampled_from(["word", "char"]))
def test_texts_come_back_as_their_tokens(X, analyzer):
    rows = [plain_tokens(text, analyzer) for text in X]
    if not any(rows):
        return
    vectorizer = SequenceVectorizer(analyzer=analyzer)
    between = " " if analyzer == "word" else ""
    expected = [between.join(row or [UNKNOWN]) for row in rows]
    assert vectorizer.inverse_transform(vectorizer.fit_transform(X)) == expected


@given(X=texts, some=st.data())
def test_a_part_is_transformed_as_in_the_whole(X, some):
    vectorizer = SequenceVectorizer().fit([*X, "a"])
    whole = vectorizer.transform(X)
    rows = some.draw(st.lists(st.integers(0, len(X) - 1), min_size=1))
    same(vectorizer.transform([X[i] for i in rows]), [whole[i].tolist() for i in rows])


def test_tokens_in_lists_are_taken_as_they_are():
    same(SequenceVectorizer().fit_transform([["B", "a b", "b"], ["."]]), [[2, 3, 4], [1]])


def test_equal_frequencies_of_tokens_without_an_order():
    X = [["b", 2], ["a", 1], ["a", 1]]
    assert list(SequenceVectorizer(max_features=3).fit(X).vocabulary_) == ["b", "a", 1]


def test_an_analyzer_of_ones_own_splits_texts():
    vectorizer = SequenceVectorizer(analyzer=str.split)
    same(vectorizer.fit_transform(["B, a", "a"]), [[1, 2], [2]])
    assert vectorizer.inverse_transform([[1, 2, 0]]) == [["B,", "a", UNKNOWN]]
    generating = SequenceVectorizer(analyzer=lambda text: (len(word) for word in text.split()))
    same(generating.fit_transform(["a bb", "", "bb"]), [[1, 2], [0], [2]])


def test_an_analyzer_of_ones_own_is_asked_about_lists_of_tokens_too():
    vectorizer = SequenceVectorizer(analyzer=lambda row: [token.lower() for token in row])
    same(vectorizer.fit_transform([["B", "a"], ("b",)]), [[2, 1], [2]])


def test_texts_are_split_once():
    seen = []
    vectorizer = SequenceVectorizer(analyzer=lambda text: seen.append(text) or text.split())
    vectorizer.fit_transform(TEXTS)
    vectorizer.fit(TEXTS)
    vectorizer.transform(TEXTS[:1])
    assert seen == [*TEXTS, *TEXTS, TEXTS[0]]


def test_a_token_called_unknown_has_the_number_of_unknown_ones():
    vectorizer = SequenceVectorizer()
    X = [["a", UNKNOWN], ["b", "a"]]
    same(vectorizer.fit_transform(X), [[1, 0], [2, 1]])
    same(vectorizer.transform(X), [[1, 0], [2, 1]])
    assert vectorizer.vocabulary_ == {"a": 1, "b": 2}
    assert vectorizer.inverse_transform([[0, 2]]) == [[UNKNOWN, "b"]]
    same(vectorizer.transform(vectorizer.inverse_transform([[0, 2]])), [[0, 2]])


# Kinds of data

WORDS = ["b a", "c"]
KINDS_OF_TEXTS = {
    "list": WORDS,
    "tuple": tuple(WORDS),
    "deque": collections.deque(WORDS),
    "array": np.array(WORDS),
    "array of objects": np.array(WORDS, dtype=object),
    "array of StringDType": np.array(WORDS, dtype=np.dtypes.StringDType()),
    "list of numpy's": list(np.array(WORDS)),
    "reversed": np.array(WORDS[::-1])[::-1],
    "Series": pd.Series(WORDS, index=[5, 3]),
    "Series of string": pd.Series(WORDS, dtype="string"),
    "Series of object": pd.Series(WORDS, dtype=object),
    "Series of category": pd.Series(WORDS, dtype="category"),
    "Index": pd.Index(WORDS),
    "polars": pl.Series(WORDS),
    "polars category": pl.Series(WORDS, dtype=pl.Categorical),
}
ROWS = [["b", "a"], ["c"]]
KINDS_OF_LISTS = {
    "lists": ROWS,
    "tuples": tuple(map(tuple, ROWS)),
    "arrays": [np.array(row) for row in ROWS],
    "Series": [pd.Series(ROWS[0]), pl.Series(ROWS[1])],
    "Series of lists": pd.Series(ROWS),
    "Series of arrays": pd.Series([np.array(row) for row in ROWS]),
    "polars of lists": pl.Series(ROWS),
    "deques": collections.deque(map(collections.deque, ROWS)),
}


@pytest.mark.parametrize("kind", KINDS_OF_TEXTS)
def test_kinds_of_texts_agree(kind):
    X = KINDS_OF_TEXTS[kind]
    vectorizer = SequenceVectorizer()
    same(vectorizer.fit_transform(X), [[2, 1], [3]])
    same(vectorizer.transform(X), [[2, 1], [3]])
    assert {type(term) for term in vectorizer.vocabulary_} == {str}
    assert {type(number) for number in vectorizer.vocabulary_.values()} == {int}


@pytest.mark.parametrize("kind", KINDS_OF_LISTS)
def test_kinds_of_lists_of_tokens_agree(kind):
    X = KINDS_OF_LISTS[kind]
    vectorizer = SequenceVectorizer()
    same(vectorizer.fit_transform(X), [[2, 1], [3]])
    assert vectorizer.inverse_transform(vectorizer.transform(X)) == ROWS


def test_tokens_of_arrays_are_the_same_as_those_of_lists():
    vectorizer = SequenceVectorizer().fit([[7, 9]])
    for row in (np.array([9, 8, 7]), np.array([9.0, 8, 7]), torch.tensor([9, 8, 7])):
        same(vectorizer.transform([row]), [[2, 0, 1]])


def test_what_was_passed_is_left_as_it_was():
    X = [["b", "a"], ["c"]]
    array = np.array(WORDS, dtype=object)
    SequenceVectorizer().fit_transform(X)
    SequenceVectorizer().fit_transform(array)
    assert X == [["b", "a"], ["c"]]
    assert array.tolist() == WORDS


def test_neither_pandas_nor_polars_is_needed():
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['pandas', 'polars', 'pyarrow'])); "
        "from skaernn import SequenceVectorizer as V; v = V(); "
        "assert v.inverse_transform(v.fit_transform(['a b'])) == ['a b']"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# There and back

NUMBERS = [[1, 0, 2], [2]]
OBJECTS = np.empty(2, dtype=object)
OBJECTS[:] = [np.array(row) for row in NUMBERS]
KINDS_OF_NUMBERS = {
    "lists": NUMBERS,
    "tuples": tuple(map(tuple, NUMBERS)),
    "arrays": list(OBJECTS),
    "array of objects": OBJECTS,
    "small": [np.array(row, dtype=np.uint8) for row in NUMBERS],
    "floats": [np.array(row, dtype=np.float32) for row in NUMBERS],
    "objects in objects": [np.array(row, dtype=object) for row in NUMBERS],
    "tensors": [torch.tensor(row) for row in NUMBERS],
    "Series": pd.Series(NUMBERS),
    "polars": pl.Series(NUMBERS),
}


@pytest.mark.parametrize("kind", KINDS_OF_NUMBERS)
def test_kinds_of_numbers_agree(kind):
    vectorizer = SequenceVectorizer().fit(["a b"])
    assert vectorizer.inverse_transform(KINDS_OF_NUMBERS[kind]) == ["a <unknown> b", "b"]


@pytest.mark.parametrize("dtype", [int, float, np.int8, object])
def test_rows_of_an_array_are_sequences(dtype):
    X = np.array([[1, 2], [0, 1]], dtype=dtype)
    assert SequenceVectorizer(analyzer="char").fit(["ab"]).inverse_transform(X) == [
        "ab",
        "<unknown>a",
    ]
    assert SequenceVectorizer().fit(["a b"]).inverse_transform(torch.tensor([[2, 1]])) == ["b a"]


def test_a_sequence_of_nothing_is_an_empty_text():
    assert SequenceVectorizer().fit(["a"]).inverse_transform([[], [1]]) == ["", "a"]
    assert SequenceVectorizer().fit([["a"]]).inverse_transform([[]]) == [[]]


def test_names_are_found_by_their_numbers():
    vectorizer = SequenceVectorizer()
    [row] = vectorizer.fit_transform(["to be or not to be"])
    names = vectorizer.get_feature_names_out()
    assert names.dtype == object
    assert names[0] == UNKNOWN
    assert names[row].tolist() == ["to", "be", "or", "not", "to", "be"]
    assert len(names) == len(vectorizer.vocabulary_) + 1


def test_names_may_be_tuples():
    vectorizer = SequenceVectorizer().fit([[(1, 2), (0, 3)]])
    assert vectorizer.get_feature_names_out().tolist() == [UNKNOWN, (0, 3), (1, 2)]
    assert vectorizer.inverse_transform([[2]]) == [[(1, 2)]]


def test_answers_are_those_of_the_fit_whatever_analyzer_is_set_later():
    vectorizer = SequenceVectorizer().fit(["a b"])
    vectorizer.set_params(analyzer="char")
    assert vectorizer.inverse_transform([[1, 2]]) == ["a b"]


# A vocabulary of one's own


@pytest.mark.parametrize(
    "vocabulary",
    [
        ["b", "a"],
        ("b", "a"),
        np.array(["b", "a"]),
        pd.Series(["b", "a"]),
        {"a": 2, "b": 1},
        {"a": np.int64(2), "b": np.uint8(1)},
        dict.fromkeys(["b", "a"]).keys(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_given_vocabulary_is_kept(vocabulary):
    vectorizer = SequenceVectorizer(vocabulary=vocabulary, min_df=5, max_features=1)
    same(vectorizer.fit_transform(["a b c", ""]), [[2, 1, 0], [0]])
    assert list(vectorizer.vocabulary_.items()) == [("b", 1), ("a", 2)]
    assert {type(number) for number in vectorizer.vocabulary_.values()} == {int}
    assert {type(term) for term in vectorizer.vocabulary_} == {str}
    assert vectorizer.get_feature_names_out().tolist() == [UNKNOWN, "b", "a"]


def test_a_set_is_sorted():
    vectorizer = SequenceVectorizer(vocabulary=set("hgfedcba")).fit(["x"])
    assert list(vectorizer.vocabulary_) == list("abcdefgh")
    assert list(vectorizer.vocabulary_.values()) == list(range(1, 9))


def test_what_one_fit_has_learnt_another_can_be_given():
    first = SequenceVectorizer().fit(TEXTS)
    for vocabulary in (first.vocabulary_, first.get_feature_names_out()[1:]):
        second = SequenceVectorizer(vocabulary=vocabulary).fit(["of other texts"])
        assert second.vocabulary_ == first.vocabulary_
        assert second.vocabulary_ is not vocabulary


def test_terms_that_are_never_found_are_warned_of():
    words = "Upper case characters found in vocabulary"
    with pytest.warns(UserWarning, match=words) as caught:
        SequenceVectorizer(vocabulary=["a", "B"]).fit(["a B"])
    assert caught[0].filename == __file__
    SequenceVectorizer(vocabulary=["a", "B"], lowercase=False).fit(["a B"])
    SequenceVectorizer(vocabulary=["a", "B"]).fit([["a", "B"]])
    SequenceVectorizer(vocabulary=["a", "B"], analyzer=str.split).fit(["a B"])


# As an estimator


def test_nothing_is_known_before_fit():
    for call in ("transform", "inverse_transform"):
        with pytest.raises(NotFittedError):
            getattr(SequenceVectorizer(vocabulary=["a"]), call)([[1]])
    with pytest.raises(NotFittedError):
        SequenceVectorizer().get_feature_names_out()


def test_a_fit_forgets_the_one_before():
    vectorizer = SequenceVectorizer()
    assert vectorizer.fit(["a b"]) is vectorizer
    vectorizer.fit([["c"], ["d"]])
    assert vectorizer.vocabulary_ == {"c": 1, "d": 2}
    assert vectorizer.inverse_transform([[1]]) == [["c"]]
    before = pickle.dumps(vectorizer)
    assert pickle.dumps(vectorizer.fit([["c"], ["d"]])) == before


def test_a_fit_that_fails_leaves_all_as_it_was():
    vectorizer = SequenceVectorizer().fit(["a b"])
    before = dict(vars(vectorizer))
    for X in ([""], ["a", None], [["a"], [[]]]):
        with pytest.raises((ValueError, TypeError)):
            vectorizer.fit(X)
        assert vars(vectorizer) == before
    same(vectorizer.transform(["b"]), [[2]])


def test_answers_change_nothing():
    vectorizer = SequenceVectorizer().fit(TEXTS)
    before = pickle.dumps(vars(vectorizer))
    vectorizer.transform(["new words"])
    vectorizer.inverse_transform([[1]])
    vectorizer.get_feature_names_out()[:] = "x"
    assert pickle.dumps(vars(vectorizer)) == before


def test_copies_answer_the_same(tmp_path):
    vectorizer = SequenceVectorizer(min_df=2, analyzer="char").fit(TEXTS)
    joblib.dump(vectorizer, tmp_path / "model")
    expected = [row.tolist() for row in vectorizer.transform(TEXTS)]
    for other in (
        pickle.loads(pickle.dumps(vectorizer)),
        copy.deepcopy(vectorizer),
        joblib.load(tmp_path / "model"),
        clone(vectorizer).fit(TEXTS),
    ):
        same(other.transform(TEXTS), expected)
        assert other.inverse_transform(expected) == vectorizer.inverse_transform(expected)
        assert other.get_params() == vectorizer.get_params()


LABELS = ["question" in text for text in TEXTS]


def model():
    return make_pipeline(
        SequenceVectorizer(), RNNSequenceClassifier("gru", hidden_size=3, max_iter=2)
    )


def test_it_is_the_first_step_of_a_pipeline():
    X, y = TEXTS * 3, LABELS * 3
    assert model().fit(X, y).predict(["", "what is it?"]).shape == (2,)
    assert cross_val_predict(model(), X, y, cv=2).shape == (12,)
    grid = {
        "sequencevectorizer__analyzer": ["word", "char"],
        "sequencevectorizer__min_df": [1, 0.2],
        "sequencevectorizer__vocabulary": [None, ["to", "t"]],
    }
    search = GridSearchCV(model(), grid, cv=2, error_score="raise").fit(np.array(X), y)
    assert search.predict(pd.Series(X)).shape == (12,)


@pytest.mark.parametrize(
    ("library", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)]
)
def test_steps_after_it_make_tables(library, frame):
    steps = SequenceVectorizer(), SequenceAutoencoderTransformer(2, max_iter=2)
    pipeline = make_pipeline(*steps).set_output(transform=library)
    assert isinstance(pipeline.fit_transform(TEXTS), frame)
    assert isinstance(pipeline[0].transform(pd.Series(TEXTS)), list)
    with config_context(transform_output=library):
        assert isinstance(SequenceVectorizer().fit_transform(TEXTS), list)
        assert isinstance(make_pipeline(*steps).fit_transform(TEXTS), frame)
