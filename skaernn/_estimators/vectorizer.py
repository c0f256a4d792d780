"""SequenceVectorizer: texts to sequences of the numbers of their tokens, and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from numbers import Integral
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from .._core.compat import Interval, RealNotInt, Self, StrOptions, fit_context
from .._core.constraints import Pattern, Terms
from .._core.suggestions import knows_its_parameters
from .._core.warn import warn_user
from .._inputs.texts import (
    ANALYZERS,
    TOKEN_PATTERN,
    Split,
    check_documents,
    check_numbers,
    split_by,
)
from .._inputs.vocabulary import UNKNOWN, given, learnt, looked_up


class SequenceVectorizer(
    TransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,  # type: ignore[call-arg]  # scikit-learn's, which has no types
):
    r"""Texts, or lists of tokens, as sequences of numbers: what a network of sequences reads.

    As scikit-learn's `CountVectorizer`, but tokens are not counted: a text becomes an array with
    the number of each of its tokens, in their order. Known tokens have the numbers from 1 on,
    those that `fit` has not seen or not kept have the number 0, whose name is ``"<unknown>"``.

    Parameters
    ----------
    analyzer : {"word", "char"} or callable, default="word"
        What tokens of a text are:

        - "word": whatever `token_pattern` fits
        - "char": each character, white space included. `CountVectorizer` makes one blank of
          several, and so would lose the ends of lines.
        - a callable: ``analyzer(text)`` returns a list of hashable tokens. `lowercase` and
          `token_pattern` are not read. Lists of tokens are passed through it, too.
    lowercase : bool, default=True
        Whether texts are put into lower case before. Tokens that come in lists are not.
    token_pattern : str, default=r"\w+|[^\w\s]"
        Regular expression for a token of the analyzer "word"; of one with a group, what is in
        the group. The default is words of any length and single punctuation marks, for in a
        sequence both say something: that of `CountVectorizer`, ``r"(?u)\b\w\w+\b"``, drops
        "I" and "?".
    min_df : int or float, default=1
        Keep only tokens that are in at least so many texts; a float: in such a share of them.
        With 1 all tokens of `fit` are known, and a network that learns from them never meets an
        unknown one; with 2 it learns what to make of them.
    max_features : int or None, default=None
        Keep only so many tokens, the most frequent in all texts together; of equally frequent
        ones the first in order. None: all.
    vocabulary : mapping, collection or None, default=None
        Tokens to keep: with their numbers, 1, 2 and so on, as in `vocabulary_`, or in the order
        of their numbers (of a set: sorted). `min_df` and `max_features` are not read. None: those
        that are found in `fit`.

    Attributes
    ----------
    vocabulary_ : dict
        Tokens and their numbers, from 1 on. Tokens are sorted; such as cannot be, of mixed types
        say, are in the order of their first appearance. A network needs room for
        ``len(vocabulary_) + 1`` numbers.

    See Also
    --------
    RNNSequenceClassifier, RNNSequenceRegressor : Learn from sequences.

    Notes
    -----
    `fit` remembers whether it has seen texts or lists of tokens, and `transform` takes the same.

    A text without tokens becomes one unknown token, for a sequence has at least one step.

    A token that is called ``"<unknown>"`` has the number 0, too, and is never in `vocabulary_`:
    so what `inverse_transform` makes of lists of tokens can be transformed again.

    Sequences differ in length and are no table: a `ColumnTransformer` cannot put them beside
    other columns. In a `Pipeline` this is the first step.

    Examples
    --------
    >>> from skaernn import SequenceVectorizer
    >>> vectorizer = SequenceVectorizer()
    >>> vectorizer.fit_transform(["To be, or not to be?", "Be!"])
    [array([7, 4, 2, 6, 5, 7, 4, 3]), array([4, 1])]
    >>> vectorizer.transform(["To see or not to see"])
    [array([7, 0, 6, 5, 7, 0])]
    >>> vectorizer.inverse_transform([[7, 0, 6, 5, 7, 0]])
    ['to <unknown> or not to <unknown>']
    >>> vectorizer.get_feature_names_out()
    array(['<unknown>', '!', ',', '?', 'be', 'not', 'or', 'to'], dtype=object)

    Lists of tokens, which may be anything hashable:

    >>> SequenceVectorizer(min_df=2).fit_transform([[30, 10, 30], [10, 20], []])
    [array([0, 1, 0]), array([1, 0]), array([0])]
    """

    __module__ = "skaernn"  # public names: pickles outlive a move of this file

    vocabulary_: dict[Any, int]

    _parameter_constraints: dict = {
        "analyzer": [StrOptions(set(ANALYZERS)), callable],
        "lowercase": ["boolean"],
        "token_pattern": [Pattern()],
        "min_df": [
            Interval(RealNotInt, 0, 1, closed="both"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "vocabulary": [Terms(), None],
    }

    @knows_its_parameters
    def __init__(
        self,
        *,
        analyzer: Literal["word", "char"] | Callable[[Any], Iterable[Hashable]] = "word",
        lowercase: bool = True,
        token_pattern: str = TOKEN_PATTERN,
        min_df: float = 1,
        max_features: int | None = None,
        vocabulary: Mapping[Any, int] | Collection[Any] | None = None,
    ) -> None:
        self.analyzer = analyzer
        self.lowercase = lowercase
        self.token_pattern = token_pattern
        self.min_df = min_df
        self.max_features = max_features
        self.vocabulary = vocabulary

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn which tokens there are.

        Parameters
        ----------
        X : list, array or Series of str, or of lists of tokens, of length n_samples
        y : None
            Not used.

        Returns
        -------
        self : SequenceVectorizer

        Raises
        ------
        ValueError
            If a text or token is missing, if texts and lists of tokens are mixed, if no token
            remains, or if `vocabulary` is none.
        TypeError
            If X, or what it holds, is of another kind, or a token is not hashable.
        """
        self.fit_transform(X)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X: Any, y: Any = None) -> list[np.ndarray]:
        """`fit` and `transform`, for which texts are split once.

        Parameters
        ----------
        X : list, array or Series of str, or of lists of tokens, of length n_samples
        y : None
            Not used.

        Returns
        -------
        numbers : list of ndarray of shape (n_tokens,), int64
            One array for each text.

        Raises
        ------
        ValueError, TypeError
            As `fit`.
        """
        documents = check_documents(X)
        split, between = self._split(documents.of_tokens), self._between(documents.of_tokens)
        rows = map(split, documents.items)
        if self.vocabulary is None:
            vocabulary, numbers = learnt(rows, self.min_df, self.max_features)
        else:
            vocabulary = given(self.vocabulary, of_texts=between is not None)
            self._warn_of_upper_case(vocabulary, between)
            numbers = looked_up(rows, vocabulary)
        self.vocabulary_ = vocabulary
        self._of_tokens, self._joined_by = documents.of_tokens, between
        return numbers

    def transform(self, X: Any) -> list[np.ndarray]:
        """Numbers of the tokens of each text.

        Parameters
        ----------
        X : list, array or Series of str, or of lists of tokens, of length n_samples
            What `fit` has seen, texts or lists of tokens.

        Returns
        -------
        numbers : list of ndarray of shape (n_tokens,), int64
            One array for each text, in which 0 is an unknown token. That of a text without tokens
            is ``[0]``.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            As `fit`, and if it has seen lists of tokens, and these are texts, or the reverse.
        """
        check_is_fitted(self)
        documents = check_documents(X)
        if documents.of_tokens != self._of_tokens:
            kinds = ["texts", "lists of tokens"]
            raise ValueError(
                f"X holds {kinds[documents.of_tokens]}, but {type(self).__name__} was fitted with "
                f"{kinds[self._of_tokens]}; pass the same."
            )
        rows = map(self._split(documents.of_tokens), documents.items)
        return looked_up(rows, self.vocabulary_)

    def inverse_transform(self, X: Any) -> list[Any]:
        """Tokens that numbers stand for.

        Parameters
        ----------
        X : list, object array or Series of sequences of int, or array of int of two dimensions
            What `transform` gives, or what a network predicts. Floats may be whole numbers.

        Returns
        -------
        texts : list of str, or list of list
            Tokens of words with a blank between them and characters without one, whatever was
            between them in the text. Lists of tokens, if `fit` has seen such or `analyzer` is a
            callable. An unknown token is ``"<unknown>"``.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If a number is negative, too large or not whole.
        TypeError
            If X is of another kind.
        """
        check_is_fitted(self)
        names = self.get_feature_names_out()
        tokens = [names[numbers].tolist() for numbers in check_numbers(X, len(names))]
        between = self._joined_by
        return tokens if between is None else [between.join(row) for row in tokens]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Tokens in the order of their numbers.

        Parameters
        ----------
        input_features : None
            Not used.

        Returns
        -------
        names : ndarray of shape (1 + n_known,), object
            So that ``names[number]`` is the token; the first is ``"<unknown>"``.
        """
        check_is_fitted(self)
        names = [UNKNOWN, *self.vocabulary_]
        return np.fromiter(names, dtype=object, count=len(names))

    def set_output(
        self, *, transform: Literal["default", "pandas", "polars"] | None = None
    ) -> Self:
        """Nothing: sequences of unequal lengths are no table, and stay a list.

        It is here because a `Pipeline` asks all its steps, and others may make tables.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            Not used.

        Returns
        -------
        self : SequenceVectorizer
        """
        return self

    def _split(self, of_tokens: bool) -> Split:
        """How tokens come out of an item of X."""
        if not isinstance(self.analyzer, str):
            return split_by(self.analyzer)
        if not of_tokens:
            vectorizer = CountVectorizer(
                lowercase=self.lowercase, token_pattern=self.token_pattern
            )
            return ANALYZERS[self.analyzer].build(vectorizer)
        if self.analyzer != "word":  # the default, which says nothing
            raise ValueError(
                f"analyzer={self.analyzer!r} splits texts, and X holds lists of tokens; join them "
                "to texts before."
            )
        return lambda tokens: tokens

    def _between(self, of_tokens: bool) -> str | None:
        """What stands between tokens where they are a text again; None: they stay a list."""
        if of_tokens or not isinstance(self.analyzer, str):
            return None
        return ANALYZERS[self.analyzer].between

    def _warn_of_upper_case(self, vocabulary: dict, between: str | None) -> None:
        if between is None or not self.lowercase:
            return
        if any(term != term.lower() for term in vocabulary):
            warn_user(
                "Upper case characters found in vocabulary while 'lowercase' is True. These "
                "entries will not be matched with any documents"
            )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []  # numbers of tokens, whatever X is
        return tags
