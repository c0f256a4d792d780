"""Sequence estimators of nothing but numpy."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted


class Echo(RegressorMixin, BaseEstimator):
    """A network of random weights, h_t = tanh(W h_{t−1} + U x_t), with a ridge regression on h."""

    strength = 1e-3

    def __init__(self, return_sequences=False, n_channels=1, random_state=None):
        self.return_sequences = return_sequences
        self.n_channels = n_channels
        self.random_state = random_state

    def as_array(self, X):
        if X.ndim == 2:
            if X.shape[1] % self.n_channels:
                raise ValueError("columns")
            X = X.reshape(len(X), -1, self.n_channels)
        return X

    def ends_by_nan(self, X):
        return [len(row) - np.isnan(row).all(axis=1)[::-1].cumprod().sum() for row in X]

    def from_array(self, X, lengths):
        X = self.as_array(X)
        lengths = self.ends_by_nan(X) if lengths is None else lengths
        if np.max(lengths) > X.shape[1] or np.min(lengths) < 0:
            raise ValueError("lengths")
        return [row[:length] for row, length in zip(X, lengths, strict=True)]

    def from_list(self, X):
        return X

    def check(self, parts, reset):
        if not all(map(len, parts)):
            raise ValueError("zero length")
        return self.check_channels(parts, reset)

    def check_channels(self, parts, reset):
        n_channels = parts[0].shape[1] if reset else len(self.U_)
        if any(part.shape[1] != n_channels for part in parts):
            raise ValueError("channels")
        return parts

    def read(self, X, lengths, reset):
        parts = self.from_list(X) if isinstance(X, list) else self.from_array(X, lengths)
        parts = self.check(parts, reset)
        if not all(np.isfinite(part).all() for part in parts):
            raise ValueError("not finite")
        return parts

    def draw(self, n_channels):
        rng = np.random.RandomState(self.random_state)
        self.U_, self.W_ = rng.normal(size=(n_channels, 4)), 0.4 * rng.normal(size=(4, 4))

    def run(self, part, h):
        states = []
        for x in part:
            h = np.tanh(h @ self.W_ + x @ self.U_)
            states.append(h)
        return np.array(states)

    def run_all(self, parts, state):
        state = np.zeros((len(parts), 4)) if state is None else state
        return [self.run(part, h) for part, h in zip(parts, state, strict=True)]

    def features(self, parts):
        states = self.run_all(parts, None)
        return (
            np.concatenate(states) if self.return_sequences else np.array([h[-1] for h in states])
        )

    def targets(self, y, parts):
        if not self.return_sequences:
            return y
        return np.concatenate([row[: len(part)] for row, part in zip(y, parts, strict=True)])

    def ridge(self, H, y):
        self.offset_ = y.mean(axis=0)
        A = H.T @ H + self.strength * np.eye(4)
        self.coef_ = np.linalg.solve(A, H.T @ (y - self.offset_))

    def fit(self, X, y, *, lengths=None):
        parts = self.read(X, lengths, reset=True)
        self.draw(parts[0].shape[1])
        self.ridge(self.features(parts), self.targets(y, parts))
        return self

    def output(self, h):
        return h @ self.coef_ + self.offset_

    def answer(self, X, values):
        values = [np.array([self.output(h) for h in states]) for states in values]
        if not self.return_sequences:
            return np.array([value[-1] for value in values])
        if isinstance(X, list):
            answer = np.empty(len(values), dtype=object)
            answer[:] = values
            return answer
        answer = np.zeros((len(values), self.as_array(X).shape[1], *values[0].shape[1:]))
        for row, value in zip(answer, values, strict=True):
            row[: len(value)] = value
        return answer

    def both(self, X, lengths, initial_state):
        check_is_fitted(self)
        states = self.run_all(self.read(X, lengths, reset=False), initial_state)
        return self.answer(X, states), np.array([h[-1] for h in states])

    def predict(self, X, *, lengths=None, initial_state=None, return_state=False):
        answer, state = self.both(X, lengths, initial_state)
        return (answer, state) if return_state else answer


class EchoClassifier(ClassifierMixin, Echo):
    """The same for classes."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier"
        return tags

    def ridge(self, H, y):
        self.classes_ = np.unique(y)
        super().ridge(H, (y[:, None] == self.classes_).astype(float))

    def decision_function(self, X, *, lengths=None, initial_state=None):
        return self.both(X, lengths, initial_state)[0]

    def predict(self, X, *, lengths=None, initial_state=None, return_state=False):
        scores, state = self.both(X, lengths, initial_state)
        if scores.dtype == object:
            labels = np.empty(len(scores), dtype=object)
            labels[:] = [self.classes_[row.argmax(axis=-1)] for row in scores]
        else:
            labels = self.classes_[scores.argmax(axis=-1)]
        return (labels, state) if return_state else labels


class Stateless(Echo):
    def predict(self, X, *, lengths=None):
        return super().predict(X, lengths=lengths)


class WithoutLengths(Echo):
    def fit(self, X, y):
        return super().fit(X, y)

    def predict(self, X, *, initial_state=None, return_state=False):
        return super().predict(X, initial_state=initial_state, return_state=return_state)


class RefusesNaN(Echo):
    def ends_by_nan(self, X):
        return [X.shape[1]] * len(X)


class MissesNothing(Echo):
    """NaN is a missing value, which counts as zero."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def from_array(self, X, lengths):
        return super().from_array(np.nan_to_num(X) if lengths is None else X, lengths)


class WithoutChannels(Echo):
    def __init__(self, return_sequences=False, random_state=None):
        super().__init__(return_sequences, random_state=random_state)

    def as_array(self, X):
        if X.ndim == 2:
            raise ValueError("2-D")
        return X


class BothWays(Echo):
    """The state of both directions, of which that of one is of no use."""

    def __init__(self, return_sequences=False, n_channels=1, bidirectional=True):
        super().__init__(return_sequences, n_channels, random_state=0)
        self.bidirectional = bidirectional

    def run(self, part, h):
        return super().run(part, h) + super().run(part[::-1], 0 * h)[::-1]


class BothWaysWithoutState(BothWays):
    def predict(self, X, *, lengths=None, initial_state=None, return_state=False):
        if return_state or initial_state is not None:
            raise ValueError("bidirectional")
        return super().predict(X, lengths=lengths)


class EchoTransformer(TransformerMixin, BaseEstimator):
    """The states that sequences end in."""

    def __init__(self, n_channels=1, random_state=None):
        self.n_channels = n_channels
        self.random_state = random_state

    def fit(self, X, y=None, *, lengths=None):
        self.echo_ = Echo(n_channels=self.n_channels, random_state=self.random_state)
        self.echo_.draw(self.echo_.read(X, lengths, reset=True)[0].shape[1])
        return self

    def transform(self, X, *, lengths=None):
        check_is_fitted(self)
        return self.echo_.features(self.echo_.read(X, lengths, reset=False))
