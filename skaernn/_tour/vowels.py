"""Second room of the tour: who spoke? Sequences of unequal length, and their classes."""

from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skaernn import RNNSequenceClassifier
from skaernn.datasets import load_japanese_vowels

from .words import fit_watched, heading, say, table, timed

FOLDS = 3
EPOCHS = 60
VOTERS = 5
LONGEST = 29  # steps, of all utterances
DRAWN_SPEAKERS = (1, 4, 9)


class Vowels(NamedTuple):
    """Utterances, arrays of shape (n_steps_i, 12), and who spoke."""

    X_train: list
    X_test: list
    y_train: np.ndarray
    y_test: np.ndarray


def visit(device):
    """Show the room; return what its picture needs."""
    vowels = load()
    lengths = [len(utterance) for utterance in vowels.X_train + vowels.X_test]
    heading("Sequences of unequal length: RNNSequenceClassifier")
    say(
        "Nine men said the Japanese vowels /ae/: who was it? An utterance is a sequence of "
        f"{min(lengths)} to {max(lengths)} steps of 12 channels. {len(vowels.X_train)} are for "
        f"training; the other {len(vowels.X_test)}, recorded on other occasions, are held out. "
        "The network takes them as they are, as a list of arrays. A logistic regression needs "
        "rows of one length: it gets them flattened, zeros behind the shorter ones. "
        "GridSearchCV chooses for both, on the training utterances alone: the penalty of the one, "
        "whether the other reads from both ends. The GRU's other parameters are the defaults, "
        f"but for {EPOCHS} epochs instead of 200 and 32-bit numbers, to be quick. A network "
        f"differs from seed to seed, so {VOTERS} of them vote as well, in VotingClassifier."
    )
    linear, recurrent = search_linear(), search_recurrent(device)
    linear.fit(vowels.X_train, vowels.y_train)
    label = f"GRU, {len(recurrent.param_grid['bidirectional']) * FOLDS} fits"
    fit_watched(recurrent, vowels.X_train, vowels.y_train, label)
    voting = committee(recurrent.best_estimator_)
    with timed(f"GRU, {VOTERS} more fits"):
        voting.fit(vowels.X_train, vowels.y_train)
    print()
    print_scores(linear, recurrent, voting, vowels)
    return vowels, voting


def load():
    """Return utterances and speakers, each for training and held out."""
    X_train, y_train = load_japanese_vowels(subset="train", return_X_y=True)
    X_test, y_test = load_japanese_vowels(subset="test", return_X_y=True)
    return Vowels(X_train, X_test, y_train, y_test)


def folds():
    """Return how the training utterances, sorted by speaker, are divided for both."""
    return StratifiedKFold(FOLDS, shuffle=True, random_state=0)


def search_recurrent(device):
    """Return a search over GRUs that read in one direction, or in both."""
    gru = RNNSequenceClassifier(
        "gru", max_iter=EPOCHS, random_state=0, device=device, dtype="float32"
    )
    return GridSearchCV(gru, {"bidirectional": [False, True]}, cv=folds())


def committee(model):
    """Return a classifier that means the probabilities of models from several seeds."""
    members = [(f"seed {i}", clone(model).set_params(random_state=i)) for i in range(VOTERS)]
    return VotingClassifier(members, voting="soft")


def search_linear():
    """Return a search over the penalty of a logistic regression on flattened utterances."""
    flattened = make_pipeline(
        FunctionTransformer(flatten), StandardScaler(), LogisticRegression(max_iter=1000)
    )
    return GridSearchCV(flattened, {"logisticregression__C": [0.1, 1.0, 10.0]}, cv=folds())


def flatten(utterances):
    """Return one row an utterance, all steps one after the other, then zeros."""
    rows = np.zeros((len(utterances), LONGEST, utterances[0].shape[1]))
    for row, utterance in zip(rows, utterances, strict=True):
        row[: len(utterance)] = utterance
    return rows.reshape(len(rows), -1)


def print_scores(linear, recurrent, voting, vowels):
    """Print how all do in cross-validation and on the held-out utterances."""
    say(
        "Share of utterances whose speaker was found (higher is better), of the best candidate "
        f"of each: the mean of {FOLDS} folds, by which it was chosen, and that on the held-out "
        "ones:"
    )
    rows = []
    for name, found in (("logistic regression, padded", linear), ("GRU", recurrent)):
        chosen = ", ".join(
            f"{parameter.removeprefix('logisticregression__')}={value}"
            for parameter, value in found.best_params_.items()
        )
        share = found.score(vowels.X_test, vowels.y_test)
        rows.append([name, f"{found.best_score_:.1%}", f"{share:.1%}", chosen])
    together = voting.score(vowels.X_test, vowels.y_test)
    rows.append([f"{VOTERS} GRUs, voting", "", f"{together:.1%}", "the same"])
    table(["", "folds", "held out", "parameters"], rows)
    labels = voting.le_.transform(vowels.y_test)
    alone = [member.score(vowels.X_test, labels) for member in voting.estimators_]
    say(verdict(linear.score(vowels.X_test, vowels.y_test), alone, together, len(labels)))


def verdict(linear, alone, together, n_test):
    """Say who is ahead on the held-out utterances, by the shares that were found."""
    first = (
        f"Alone, the {len(alone)} GRUs find {min(alone):.1%} to {max(alone):.1%}; an utterance "
        f"is {1 / n_test:.1%}, and a handful may be luck. "
    )
    difference = round((together - linear) * n_test)
    if difference == 0:
        return first + "Together they are level with the logistic regression."
    place = "ahead of" if difference > 0 else "behind"
    return first + (
        f"Together they are {place} the logistic regression, by {abs(difference)} of {n_test}."
    )


# The picture


def draw(figure, vowels, voting):
    """Draw some utterances on the left, who was taken for whom on the right."""
    left, right = figure.subfigures(1, 2, width_ratios=(6, 5))
    draw_utterances(left, vowels)
    draw_confusion(right, vowels, voting.predict(vowels.X_test))


def draw_utterances(figure, vowels):
    """Draw the first held-out utterance of some speakers, channels over steps."""
    axes = figure.subplots(len(DRAWN_SPEAKERS), 1, sharex=True)
    for ax, speaker in zip(axes, DRAWN_SPEAKERS, strict=True):
        utterance = vowels.X_test[int(np.flatnonzero(vowels.y_test == speaker)[0])]
        image = ax.imshow(utterance.T, aspect="auto", cmap="RdBu_r", vmin=-1.5, vmax=1.5)
        ax.set(xlim=(-0.5, LONGEST - 0.5), yticks=[0, 11], yticklabels=["1", "12"])
        ax.set_ylabel("channel")
        ax.text(0.99, 0.9, f"speaker {speaker}", transform=ax.transAxes, ha="right", va="top")
    axes[-1].set_xlabel("step (6.4 ms)")
    figure.colorbar(image, ax=axes, shrink=0.6, label="cepstrum coefficient")
    figure.suptitle("Three held-out utterances, as the GRUs read them", weight="bold")


def draw_confusion(figure, vowels, predicted):
    """Draw how often a speaker was taken for another."""
    counts = confusion_matrix(vowels.y_test, predicted)
    speakers = np.unique(vowels.y_test)
    ax = figure.subplots()
    ax.imshow(counts / counts.sum(axis=1, keepdims=True), cmap="Blues", vmin=0, vmax=1.2)
    for i, j in zip(*np.nonzero(counts), strict=True):
        color = "white" if i == j else "black"
        ax.text(j, i, counts[i, j], ha="center", va="center", color=color)
    ax.set(xticks=range(len(speakers)), yticks=range(len(speakers)))
    ax.set(xticklabels=speakers, yticklabels=speakers, xlabel="speaker found", ylabel="speaker")
    accuracy = np.mean(predicted == vowels.y_test)
    figure.suptitle(f"{len(predicted)} held-out utterances: {accuracy:.1%} right", weight="bold")
