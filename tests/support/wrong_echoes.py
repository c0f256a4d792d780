"""Sequence estimators that are each wrong in one way; its name says in which."""

from itertools import pairwise

import numpy as np
from echoes import BothWays, Echo, EchoClassifier, EchoTransformer
from sklearn.utils.validation import check_is_fitted


class IsNotReturned(Echo):
    def fit(self, X, y, *, lengths=None):
        super().fit(X, y, lengths=lengths)


class LearnsNothing(Echo):
    def output(self, h):
        return self.offset_


class LosesOne(Echo):
    def answer(self, X, values):
        return super().answer(X, values)[1:]


class LosesSteps(Echo):
    def answer(self, X, values):
        return super().answer(X, values)[:, :3]


class Counts(Echo):
    def both(self, X, lengths, initial_state):
        self._n_predictions = getattr(self, "_n_predictions", 0) + 1
        return super().both(X, lengths, initial_state)


class GoesOnByItself(Echo):
    """Begins where the last call ended."""

    def fit(self, X, y, *, lengths=None):
        self.h_ = np.zeros(4)
        return super().fit(X, y, lengths=lengths)

    def run_all(self, parts, state):
        states = super().run_all(parts, [self.h_] * len(parts) if state is None else state)
        self.h_[:] = states[-1][-1]
        return states


class CleansPadding(Echo):
    def from_array(self, X, lengths):
        parts = super().from_array(X, lengths)
        for row, part in zip(X, parts, strict=True):
            if X.ndim == 3:
                row[len(part) :] = 0
        return parts


class OverwritesState(Echo):
    def run_all(self, parts, state):
        states = super().run_all(parts, state)
        if state is not None:
            state[:] = [h[-1] for h in states]
        return states


class OverwritesTargets(Echo):
    def targets(self, y, parts):
        y[0] = y[1]
        return super().targets(y, parts)


class DrawsFromGlobal(Echo):
    def draw(self, n_channels):
        super().draw(n_channels)
        self.U_ = np.random.normal(size=self.U_.shape)  # noqa: NPY002  what is wrong here


class RemembersFits(Echo):
    def ridge(self, H, y):
        before = getattr(self, "coef_", 0)
        super().ridge(H, y)
        self.coef_ = self.coef_ + before


class ReadsListsBackwards(Echo):
    def from_list(self, X):
        return [part[::-1] for part in X]


class PadsLists(Echo):
    def from_list(self, X):
        n_steps = max(map(len, X))
        return [np.pad(part, [(0, n_steps - len(part)), (0, 0)]) for part in X]

    def answer(self, X, values):
        if self.return_sequences and isinstance(X, list):
            values = [value[: len(part)] for value, part in zip(values, X, strict=True)]
        return super().answer(X, values)


class IgnoresLengths(Echo):
    def from_array(self, X, lengths):
        return super().from_array(X, None)


class FillsNaN(Echo):
    def from_array(self, X, lengths):
        return super().from_array(np.nan_to_num(X) if lengths is None else X, lengths)


class ReadsChannelsFirst(Echo):
    def as_array(self, X):
        if X.ndim == 2 and X.shape[1] % self.n_channels == 0:
            return X.reshape(len(X), self.n_channels, -1).transpose(0, 2, 1)
        return super().as_array(X)


class PadsAnswers(Echo):
    """Divides by the steps there are, padding included."""

    def both(self, X, lengths, initial_state):
        answer, state = super().both(X, lengths, initial_state)
        if lengths is not None:
            answer = answer * np.max(lengths) / X.shape[1]
        return answer, state


class StateOfPadding(Echo):
    """The state after the last step of the array, if a row goes on from one."""

    def both(self, X, lengths, initial_state):
        answer, state = super().both(X, lengths, initial_state)
        if lengths is not None and initial_state is not None:
            state = state + X[:, -1, :1] * (np.asarray(lengths) < X.shape[1])[:, None]
        return answer, state


class CountsPadding(Echo):
    def fit(self, X, y, *, lengths=None):
        self.strength = 1e-3 * (1 if lengths is None else X.shape[1] / np.max(lengths))
        return super().fit(X, y, lengths=lengths)


class LearnsFromPadding(Echo):
    def fit(self, X, y, *, lengths=None):
        most = 0.0
        if lengths is not None:
            most = max(np.abs(x[n:]).max(initial=0) for x, n in zip(X, lengths, strict=True))
        self.strength = 1e-3 * (1 + most)
        return super().fit(X, y, lengths=lengths)


class LearnsFromTargetPadding(Echo):
    def fit(self, X, y, *, lengths=None):
        super().fit(X, y, lengths=lengths)
        if lengths is not None:
            beyond = [row[n:] for row, n in zip(y, lengths, strict=True)]
            self.offset_ += np.ptp(np.concatenate(beyond))
        return self


class KnowsClassesOfPadding(EchoClassifier):
    def fit(self, X, y, *, lengths=None):
        super().fit(X, y, lengths=lengths)
        more = np.setdiff1d(np.concatenate(list(y)), self.classes_)
        self.classes_ = np.concatenate([more, self.classes_])
        self.coef_ = np.pad(self.coef_, [(0, 0), (len(more), 0)])
        self.offset_ = np.pad(self.offset_, (len(more), 0))
        return self


class ScalesByBatch(Echo):
    def read(self, X, lengths, reset):
        parts = super().read(X, lengths, reset)
        scale = 1.0 if reset else np.concatenate(parts).std()
        return [part / scale for part in parts]


class PullsTowardsBatch(Echo):
    def output(self, h):
        return super().output(h) + 0.1 * self.mean_

    def answer(self, X, values):
        other = Echo.output
        self.mean_ = np.mean([other(self, value[-1]) for value in values])
        answer = super().answer(X, values)
        del self.mean_
        return answer


class ForgetsTheSecondChunk(Echo):
    def run_all(self, parts, state):
        states = super().run_all(parts, state)
        return states[:256] + [0 * h for h in states[256:]]


class LeaksFromRowToRow(Echo):
    def run_all(self, parts, state):
        states = super().run_all(parts, state)
        for before, now in pairwise(states):
            now += 0.01 * before[-1]
        return states


class KnowsOneLength(Echo):
    def from_array(self, X, lengths):
        parts = super().from_array(X, lengths)
        if lengths is None and not np.isnan(X).any():
            n_steps = getattr(self, "n_steps_", None)
            if n_steps and hasattr(self, "coef_") and len(parts[0]) > n_steps:
                raise ValueError("steps")
            self.n_steps_ = len(parts[0])
        return parts


class IgnoresState(Echo):
    def run_all(self, parts, state):
        return super().run_all(parts, None)


class LosesStateOfLists(Echo):
    """The state of a list that went on from one is a new beginning."""

    def both(self, X, lengths, initial_state):
        answer, state = super().both(X, lengths, initial_state)
        if initial_state is not None and isinstance(X, list):
            state = 0 * state
        return answer, state


class SortsStates(Echo):
    """States in the order of length, on the way in and on the way out."""

    def both(self, X, lengths, initial_state):
        check_is_fitted(self)
        order = np.argsort([len(part) for part in self.read(X, lengths, reset=False)])
        if initial_state is not None:
            initial_state = initial_state[np.argsort(order)]
        answer, state = super().both(X, lengths, initial_state)
        return answer, state[order]


class NumbersItsStates(Echo):
    """Knows a state by the place of its row in the batch."""

    def run_all(self, parts, state):
        place = np.arange(len(parts))[:, None]
        return super().run_all(parts, None if state is None else state - place)

    def both(self, X, lengths, initial_state):
        answer, state = super().both(X, lengths, initial_state)
        state = state + np.arange(len(state))[:, None]
        return answer, state


class KeepsOneBuffer(Echo):
    """Gives a view of a buffer that the next call writes to."""

    buffer = np.zeros((999, 4))

    def both(self, X, lengths, initial_state):
        answer, state = super().both(X, lengths, initial_state)
        view = self.buffer[: len(state)]
        view[:] = state
        return answer, view


class LosesWeightsInPickle(Echo):
    def __getstate__(self):
        state = dict(super().__getstate__())
        if "W_" in state:
            state["W_"] = np.zeros((4, 4))
        return state


class KeepsStatesItself(Echo):
    """A state is a key to a memory that neither pickle nor clone takes along."""

    def fit(self, X, y, *, lengths=None):
        self.memory_ = {}
        return super().fit(X, y, lengths=lengths)

    def __getstate__(self):
        return {**super().__getstate__(), **({"memory_": {}} if hasattr(self, "memory_") else {})}

    def both(self, X, lengths, initial_state):
        if initial_state is not None:
            found = [self.memory_.get(float(key), np.zeros(4)) for key in initial_state[:, 0]]
            initial_state = np.array(found)
        answer, state = super().both(X, lengths, initial_state)
        keys = state.sum(axis=1, keepdims=True)
        self.memory_.update(zip(keys[:, 0].tolist(), state, strict=True))
        return answer, keys


class SharesWeights(Echo):
    """The clone of a fitted one learns into the same memory."""

    def __sklearn_clone__(self):
        copy = type(self)(**self.get_params())
        copy._shared = self._shared if hasattr(self, "coef_") else {}
        return copy

    def ridge(self, H, y):
        super().ridge(H, y)
        self._shared["coef"] = self.coef_

    def output(self, h):
        return h @ self._shared["coef"] + self.offset_


class IsItsClone(Echo):
    def __sklearn_clone__(self):
        return self if hasattr(self, "coef_") else type(self)(**self.get_params())


class ClonesFitted(Echo):
    def __sklearn_clone__(self):
        copy = type(self)(**self.get_params())
        vars(copy).update(vars(self))
        return copy


class AcceptsNothing(Echo):
    """Takes sequences without steps for sequences of a zero."""

    def check(self, parts, reset):
        width = max((part.shape[1] for part in parts), default=1)
        return self.check_channels(
            [part if len(part) else np.zeros((1, width)) for part in parts], reset
        )


class FillsEmptyLists(Echo):
    def from_list(self, X):
        return [part if len(part) else X[0] for part in X]


class ClipsLengths(Echo):
    def from_array(self, X, lengths):
        if lengths is not None:
            lengths = np.clip(lengths, 1, X.shape[1])
        return super().from_array(X, lengths)


class TakesNaNForAStep(Echo):
    def ends_by_nan(self, X):
        return np.maximum(1, super().ends_by_nan(X))

    def from_array(self, X, lengths):
        parts = super().from_array(X, lengths)
        return [np.nan_to_num(part) if np.isnan(part).all() else part for part in parts]


class CutsChannels(Echo):
    def check_channels(self, parts, reset):
        if not reset:
            n_channels = len(self.U_)
            parts = [np.resize(part, (len(part), n_channels)) for part in parts]
        return super().check_channels(parts, reset)


class MixesChannels(Echo):
    def check_channels(self, parts, reset):
        n_channels = parts[0].shape[1]
        parts = [np.resize(part, (len(part), n_channels)) for part in parts]
        return super().check_channels(parts, reset)


class CutsColumns(Echo):
    def as_array(self, X):
        n_columns = X.shape[1] // self.n_channels * self.n_channels
        return super().as_array(X[:, :n_columns] if X.ndim == 2 else X)


class WrongKindOfError(Echo):
    def check(self, parts, reset):
        if not all(map(len, parts)):
            raise IndexError("index out of range")
        return super().check(parts, reset)


class Rounds(Echo):
    """Answers that depend on the batch by rounding."""

    def answer(self, X, values):
        return super().answer(X, [value * (1 + 1e-10 * len(values)) for value in values])


class WithoutLists(Echo):
    def from_list(self, X):
        raise TypeError("no lists")


class AnswersNaN(Echo):
    """Of a sequence beside many."""

    def answer(self, X, values):
        return super().answer(X, values) * (np.nan if len(values) > 99 else 1)


class FlipsLabels(EchoClassifier):
    def answer(self, X, values):
        return super().answer(X, values) * (-1 if len(values) > 99 else 1)


class GivesStateOfBothWays(BothWays):
    """What BothWays does, under a name of what is wrong with it."""


class CentresByBatch(EchoTransformer):
    def transform(self, X, *, lengths=None):
        codes = super().transform(X, lengths=lengths)
        return codes - codes.mean(axis=0)
