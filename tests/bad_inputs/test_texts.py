"""What a user gets for wrong texts, lists of tokens, numbers of tokens and vocabularies."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.utils._param_validation import InvalidParameterError

from skaernn import SequenceVectorizer

TEXTS = ["a b", "b c"]
FRAME = pd.DataFrame({"title": TEXTS, "n": [1, 2]})
ONE, NO_LIST = "Expected X of one dimension, got shape", "pass a list, an array of one dimension"
MISSING = r"Input X contains NaN: X\[1\]"
NEITHER = r"neither a text \(str\) nor a list of tokens"
UNHASHABLE = "tokens must be hashable"

BAD_X = {
    # not a list
    "str": ("a text", ValueError, "Iterable over raw text documents expected, .*pass .X. for one"),
    "bytes": (b"a text", TypeError, f"X is a bytes; {NO_LIST}"),
    "None": (None, TypeError, f"X is a NoneType; {NO_LIST}"),
    "number": (3, TypeError, f"X is a int; {NO_LIST}"),
    "0-d": (np.array("a"), TypeError, f"X is a ndarray; {NO_LIST}"),
    "dict": ({"a": "b"}, TypeError, r"X is a dict; .*list\(X.values\(\)\) perhaps"),
    "set": ({"a"}, TypeError, "X is a set; .*a set has no order"),
    "generator": ((x for x in TEXTS), TypeError, r"generator; .*; list\(X\) holds what it yields"),
    "frame": (FRAME, TypeError, r"X is a DataFrame; pass one column of it, such as X\['title'\]"),
    "polars frame": (pl.DataFrame({"t": TEXTS}), TypeError, r"one column of it, such as X\['t'\]"),
    "lazy": (pl.LazyFrame({"t": TEXTS}), TypeError, r"collect\(\) first"),
    "sparse": (sparse.csr_array(np.eye(2)), TypeError, r"X is sparse \(csr_array\); pass a list"),
    "column": (np.array([["a"], ["b"]]), ValueError, rf"{ONE} \(2, 1\); pass texts as X.ravel"),
    "table": (np.array([["a", "b"]]), ValueError, rf"{ONE} \(1, 2\); pass rows .*list\(X\)"),
    "tensor": (torch.ones(2, 3), ValueError, rf"{ONE} \(2, 3\)"),
    "empty": ([], ValueError, r"0 sample\(s\)"),
    "empty array": (np.array([], dtype=str), ValueError, r"0 sample\(s\)"),
    # an item of another kind
    "None for a text": (["a", None], ValueError, f"{MISSING} is None, an invalid document"),
    "NaN for a text": (["a", float("nan")], ValueError, f"{MISSING} is nan, an invalid document"),
    "numpy's NaN": (["a", np.float64("nan")], ValueError, MISSING),
    "NaN among objects": (np.array(["a", np.nan], dtype=object), ValueError, MISSING),
    "NA": (pd.Series(["a", None], dtype="string"), ValueError, f"{MISSING} is <NA>"),
    "NaN in a Series": (pd.Series(["a", None, "b"]), ValueError, MISSING),
    "null": (pl.Series(["a", None]), ValueError, f"{MISSING} is None"),
    "masked": (np.ma.array(TEXTS, mask=[False, True]), ValueError, MISSING),
    "bytes for a text": (["a", b"b"], TypeError, r"X\[1\] is bytes; decode it"),
    "array of bytes": (np.array([b"b"]), TypeError, r"X\[0\] is bytes; decode it"),
    "number for a text": (["a", 3], TypeError, rf"X\[1\] is a int, {NEITHER}"),
    "one list of numbers": ([3, 4], TypeError, rf"X\[0\] is a int, {NEITHER}. For one .*\[X\]"),
    "array of numbers": (np.arange(2.0), TypeError, rf"X\[0\] is a float, {NEITHER}"),
    "dict for a text": (["a", {"b": 1}], TypeError, rf"X\[1\] is a dict, {NEITHER}"),
    "set for a list": ([["a"], {"b"}], TypeError, rf"X\[1\] is a set, {NEITHER}"),
    "generator for a list": ([(x for x in "ab")], TypeError, rf"X\[0\] is a generator, {NEITHER}"),
    "list among texts": (["a", ["b"]], ValueError, r"X\[0\] is a text and X\[1\] is a list of"),
    "text among lists": (
        [["a"], "b"],
        ValueError,
        r"X\[0\] is a list of tokens and X\[1\] is a t",
    ),
    "table for a list": ([["a"], np.ones((2, 2))], ValueError, r"X\[1\] has shape \(2, 2\)"),
    # tokens
    "list for a token": (
        [["a"], ["b", ["c"]]],
        TypeError,
        rf"X\[1\] has a list at .* 1; {UNHASHABLE}",
    ),
    "dict for a token": (
        [["a", {}]],
        TypeError,
        rf"X\[0\] has a dict at position 1; {UNHASHABLE}",
    ),
    "list in a tuple": ([["a", ("b", [])]], TypeError, rf"a tuple at position 1; {UNHASHABLE}"),
    "None for a token": ([["a"], ["b", None]], ValueError, f"{MISSING} has None at position 1"),
    "NaN for a token": ([["a"], [float("nan")]], ValueError, f"{MISSING} has nan at position 0"),
    "NA for a token": ([["a"], ["b", pd.NA]], ValueError, f"{MISSING} has <NA> at position 1"),
    "null for a token": (pl.Series([["a"], [None]]), ValueError, f"{MISSING} has None"),
}
# what only `fit` can find: nothing to be known by
EMPTY = {
    "empty texts": ["", " "],
    "empty lists": [[], ()],
    "nothing but unknown": [["<unknown>"], []],
}


@pytest.mark.parametrize("case", BAD_X)
def test_bad_texts_are_refused_with_words(case):
    X, error, words = BAD_X[case]
    for call in (SequenceVectorizer().fit, SequenceVectorizer().fit_transform):
        if case == "generator":
            X = (x for x in TEXTS)
        with pytest.raises(error, match=words) as caught:
            call(X)
        assert type(caught.value) is error


@pytest.mark.parametrize("case", BAD_X)
def test_so_they_are_after_fit(case):
    X, error, words = BAD_X[case]
    of_tokens = isinstance(X, (list, pl.Series)) and len(X) and not isinstance(X[0], str)
    known = SequenceVectorizer().fit([["a", "b"]] if of_tokens else TEXTS)
    before = dict(vars(known))
    with pytest.raises(error, match=words) as caught:
        known.transform(X)
    assert type(caught.value) is error
    assert vars(known) == before


@pytest.mark.parametrize("case", EMPTY)
def test_a_vocabulary_of_nothing_is_refused(case):
    with pytest.raises(ValueError, match=r"^empty vocabulary; perhaps the documents are empty"):
        SequenceVectorizer().fit(EMPTY[case])


def test_nothing_left_is_refused():
    with pytest.raises(ValueError, match=r"no terms remain\. Try a lower min_df"):
        SequenceVectorizer(min_df=3).fit(TEXTS)
    with pytest.raises(ValueError, match="no terms remain"):
        SequenceVectorizer(min_df=1.0).fit([["a"], []])


def test_other_kinds_than_those_of_fit_are_refused():
    with pytest.raises(
        ValueError, match="X holds lists of tokens, but SequenceVectorizer was fitted with texts"
    ):
        SequenceVectorizer().fit(TEXTS).transform([["a"]])
    with pytest.raises(ValueError, match=r"X holds texts, but .* fitted with lists of tokens"):
        SequenceVectorizer().fit([["a"]]).transform(["a"])


def test_lists_of_tokens_have_no_characters():
    with pytest.raises(ValueError, match="analyzer='char' splits texts, and X holds lists of tok"):
        SequenceVectorizer(analyzer="char").fit([["a"]])


@pytest.mark.parametrize("answer", ["a b", b"a", None, 3])
def test_an_analyzer_returns_a_list(answer):
    with pytest.raises(TypeError, match=r"analyzer returned .* for 'a b'; it must return a list"):
        SequenceVectorizer(analyzer=lambda text: answer).fit(TEXTS)


def test_tokens_of_an_analyzer_are_looked_at():
    with pytest.raises(TypeError, match=rf"X\[0\] has a list at position 0; {UNHASHABLE}"):
        SequenceVectorizer(analyzer=lambda text: [[text]]).fit(TEXTS)
    with pytest.raises(ValueError, match=r"X\[0\] has None at position 0, where a token"):
        SequenceVectorizer(analyzer=lambda text: [None]).fit(TEXTS)


def test_sequences_are_no_columns():
    columns = ColumnTransformer([("texts", SequenceVectorizer(), "title")])
    with pytest.raises(ValueError, match="output of the 'texts' transformer should be 2D"):
        columns.fit_transform(FRAME)
    columns = ColumnTransformer([("texts", SequenceVectorizer(), ["title"])])
    with pytest.raises(TypeError, match=r"one column of it, such as X\['title'\]"):
        columns.fit_transform(FRAME)


WHOLE = "numbers of tokens are whole and go from 0 to 3"
NO_SEQUENCE = "is no sequence of numbers: a list, or an array of one dimension"
BAD_NUMBERS = {
    "too large": ([[1], [2, 4]], ValueError, rf"X\[1\] has 4 at position 1; {WHOLE}"),
    "negative": ([[1, -1]], ValueError, rf"X\[0\] has -1 at position 1; {WHOLE}"),
    "fraction": ([[1, 0.5]], ValueError, rf"X\[0\] has 0.5 at position 1; {WHOLE}"),
    "fraction in an array": (np.array([[1, 2], [1, 2.5]]), ValueError, r"X\[1\] has 2.5 at .* 1"),
    "large object": (
        [np.array([3, 4], dtype=object)],
        ValueError,
        rf"X\[0\] has 4 at .* 1; {WHOLE}",
    ),
    "fraction of an object": ([np.array([0.5], dtype=object)], ValueError, r"X\[0\] has 0.5"),
    "NaN": (np.array([[1, np.nan]]), ValueError, rf"X\[0\] has nan at position 1; {WHOLE}"),
    "infinite": ([[np.inf]], ValueError, rf"X\[0\] has inf at position 0; {WHOLE}"),
    "huge": ([[10**30]], ValueError, rf"X\[0\] has 10{{30}} at position 0; {WHOLE}"),
    "None": ([[1, None]], ValueError, rf"X\[0\] has None at position 1; {WHOLE}"),
    "text": ([["a"]], ValueError, rf"X\[0\] has 'a' at position 0; {WHOLE}"),
    "bool": ([[True]], ValueError, rf"X\[0\] has True at position 0; {WHOLE}"),
    "complex": ([[1j]], ValueError, rf"X\[0\] has 1j at position 0; {WHOLE}"),
    "one sequence": ([1, 2], ValueError, rf"X\[0\] {NO_SEQUENCE}. For one sequence, pass \[X\]"),
    "one array": (np.array([1, 2]), ValueError, rf"X\[0\] {NO_SEQUENCE}. For one sequence"),
    "texts": (TEXTS, ValueError, rf"X\[0\] {NO_SEQUENCE}"),
    "None for one": ([[1], None], ValueError, rf"X\[1\] {NO_SEQUENCE}"),
    "3-D": (np.ones((2, 2, 1), dtype=int), ValueError, rf"X\[0\] {NO_SEQUENCE}"),
    "nested": ([[1], [[1], [2]]], ValueError, rf"X\[1\] {NO_SEQUENCE}"),
    "ragged": ([[1], [[1], [2, 3]]], ValueError, rf"X\[1\] {NO_SEQUENCE}"),
    "masked": (np.ma.array([[1, 2]], mask=[[0, 1]]), ValueError, "mask of X would be lost"),
    "masked one": ([np.ma.array([1, 2], mask=[0, 1])], ValueError, r"mask of X\[0\] would be lo"),
    "empty": ([], ValueError, r"0 sample\(s\)"),
    "no rows": (np.ones((0, 2), dtype=int), ValueError, r"0 sample\(s\)"),
    "str": ("12", TypeError, f"X is a str; {NO_LIST}"),
    "None for all": (None, TypeError, f"X is a NoneType; {NO_LIST}"),
    "dict": ({"a": [1]}, TypeError, r"list\(X.values\(\)\)"),
    "frame": (pd.DataFrame([[1, 2]]), TypeError, "X is a DataFrame; pass its numbers as an array"),
    "sparse": (sparse.csr_array(np.eye(2)), TypeError, "X is sparse"),
}


@pytest.mark.parametrize("fitted_on", [["a b c"], [["a", "b", "c"]]], ids=["texts", "tokens"])
@pytest.mark.parametrize("case", BAD_NUMBERS)
def test_bad_numbers_are_refused_with_words(case, fitted_on):
    X, error, words = BAD_NUMBERS[case]
    vectorizer = SequenceVectorizer().fit(fitted_on)
    with pytest.raises(error, match=words) as caught:
        vectorizer.inverse_transform(X)
    assert type(caught.value) is error


BAD_VOCABULARIES = {
    "empty": ([], ValueError, "empty vocabulary passed to fit"),
    "empty dict": ({}, ValueError, "empty vocabulary passed to fit"),
    "twice": (["a", "b", "a"], ValueError, "Duplicate term in vocabulary: 'a'"),
    "same number": ({"a": 1, "b": 1}, ValueError, "Vocabulary contains repeated indices"),
    "gap": ({"a": 1, "b": 3}, ValueError, "of size 2 doesn't contain index 2; .*without a gap"),
    "from 0": ({"a": 0, "b": 1}, ValueError, "gives 'a' the number 0; numbers are ints from 1 on"),
    "negative": ({"a": -1}, ValueError, "gives 'a' the number -1"),
    "fraction": ({"a": 1.0}, ValueError, "gives 'a' the number 1.0"),
    "bool": ({"a": True}, ValueError, "gives 'a' the number True"),
    "text as number": ({"a": "1"}, ValueError, "gives 'a' the number '1'"),
    "unknown": (["<unknown>", "a"], ValueError, r"name of number 0; leave it out, as .*\[1:\]"),
    "unknown of a number": ({"<unknown>": 1}, ValueError, "name of number 0"),
    "numbers": ([1, 2], ValueError, "has the term 1 at position 0; terms of texts are str"),
    "list": ([["a"]], TypeError, "has a list at position 0; terms must be hashable"),
    "missing": (["a", None], ValueError, "has None at position 1, where a term should be"),
}


@pytest.mark.parametrize("case", BAD_VOCABULARIES)
def test_bad_vocabularies_are_refused_with_words(case):
    vocabulary, error, words = BAD_VOCABULARIES[case]
    vectorizer = SequenceVectorizer(vocabulary=vocabulary)
    with pytest.raises(error, match=words) as caught:
        vectorizer.fit(TEXTS)
    assert type(caught.value) is error
    assert not hasattr(vectorizer, "vocabulary_")


def test_a_set_without_an_order_is_refused():
    with pytest.raises(ValueError, match="a set of terms that cannot be sorted; pass them as a l"):
        SequenceVectorizer(vocabulary={"a", 1}).fit([["a", 1]])


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"analyzer": "words"}, "'analyzer' .* must be a str among .*or a callable"),
        ({"analyzer": None}, "'analyzer'"),
        ({"lowercase": "yes"}, "'lowercase'"),
        ({"token_pattern": "("}, "'token_pattern' .* a regular expression with at most one"),
        ({"token_pattern": "(a)(b)"}, "'token_pattern' .* at most one capturing group"),
        ({"token_pattern": None}, "'token_pattern'"),
        ({"token_pattern": b"a"}, "'token_pattern'"),
        ({"min_df": 0}, "'min_df'"),
        ({"min_df": -0.1}, "'min_df'"),
        ({"min_df": 1.5}, "'min_df'"),
        ({"min_df": "2"}, "'min_df'"),
        ({"max_features": 0}, "'max_features'"),
        ({"max_features": 2.0}, "'max_features'"),
        ({"vocabulary": "ab"}, "'vocabulary' .* a mapping of terms to numbers, a list or another"),
        ({"vocabulary": b"ab"}, "'vocabulary'"),
        ({"vocabulary": 3}, "'vocabulary'"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused_in_fit(params, words):
    for call in ("fit", "fit_transform"):
        with pytest.raises(InvalidParameterError, match=f"The {words}"):
            getattr(SequenceVectorizer(**params), call)(TEXTS)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("vocab", "vocabulary"), ("max_tokens", "max_features"), ("min_freq", "min_df")],
)
def test_a_parameter_under_another_name(name, meant):
    with pytest.raises(TypeError, match=rf"argument {name!r}.*Did you mean {meant}\?"):
        SequenceVectorizer(**{name: 1})
    with pytest.raises(ValueError, match=f"Invalid parameter {name!r}"):
        SequenceVectorizer().set_params(**{name: 1})


def test_parameters_are_named():
    with pytest.raises(TypeError, match="positional"):
        SequenceVectorizer("char")
