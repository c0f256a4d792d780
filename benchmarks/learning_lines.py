"""Lines of the table of `learning.py`: who is measured on a problem, how, and by which bar."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from sklearn.base import is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

DEFAULTS = "defaults"


@dataclass
class Run:
    """What the command line asks for."""

    seeds: range = range(5)
    quick: bool = False
    params: dict = field(default_factory=dict)  # of the lines at the defaults
    grid: dict | None = None  # in place of the own grids of searches
    defaults_only: bool = False
    rivals: bool = True
    jobs: int = 1
    jsb: str | None = None
    sets: list | None = None

    def epochs(self, n=None):
        """Parameters of a training of n epochs, of the default number if None; few if quick."""
        if self.quick:
            return {"max_iter": 2, "tol": 0}
        return {} if n is None else {"max_iter": n}

    def default(self, estimator, **said):
        """Seed -> the estimator at its defaults, but for what the problem says."""
        return partial(estimator, **{**said, **self.epochs(), **self.params})

    def tuned(self, estimator, n_epochs, **said):
        """Seed -> the estimator with settings of its own, which `params` leaves alone."""
        return partial(estimator, **said, **self.epochs(n_epochs))


@dataclass
class Line:
    """Scores of one model on one problem.

    `bar` is what the mean must reach: from above for errors, from below if `larger_is_better`.
    `seconds` is the CPU time of one fit.
    """

    problem: str
    model: str
    scores: list
    unit: str
    bar: float | None = None
    larger_is_better: bool = False
    seconds: float = 0.0

    def verdict(self):
        """A word, "" where nothing is demanded."""
        if self.bar is None:
            return ""
        mean = np.mean(self.scores)
        reached = mean >= self.bar if self.larger_is_better else mean <= self.bar
        return "reached" if reached else "missed"


def told(problem, model, scores, unit, bar=None, **more):
    """A line, which is printed as soon as it is known."""
    line = Line(problem, model, [float(score) for score in scores], unit, bar, **more)
    seconds = f" ({line.seconds:.1f} s a fit)" if line.seconds else ""
    text = f"{problem}: {model}: {np.mean(line.scores):.5g}{seconds}"
    print(text, file=sys.stderr, flush=True)
    return line


def over_seeds(problem, model, score, seeds, unit, bar=None, **more):
    """A line of `score(seed)` for every seed, whose time is that of a whole call."""
    start = time.process_time()
    scores = [score(seed) for seed in seeds]
    seconds = (time.process_time() - start) / len(scores)
    return told(problem, model, scores, unit, bar, seconds=seconds, **more)


def rmse(answers, y):
    """Root mean squared error."""
    return float(np.sqrt(np.mean((answers - y) ** 2)))


def mape(answers, y):
    """Mean absolute error in per cent of y."""
    return float(100 * np.mean(np.abs((answers - y) / y)))


def accuracy(probabilities, y):
    """Share of rows whose class, an int from 0, is the most probable one."""
    return float(np.mean(probabilities.argmax(axis=1) == y))


@dataclass
class Task:
    """One problem of rows and targets, and how answers are judged.

    Attributes
    ----------
    name : str
    train : callable
        seed -> (X, y) to fit on.
    test : tuple of (X, y)
    score, unit : callable, str
        (answers, y) -> a number, and what it is.
    flat : callable
        X -> the same as a matrix, which is what models of rows are given.
    """

    name: str
    train: Callable
    test: tuple
    score: Callable = rmse
    unit: str = "RMSE"
    flat: Callable = lambda X: np.asarray(X, dtype=float).reshape(len(X), -1)
    made: dict = field(default_factory=dict, repr=False)  # model -> its answers, by seed

    @property
    def kwargs(self):
        """What all lines of the task have in common."""
        return {"unit": self.unit, "larger_is_better": self.score is accuracy}

    def line(self, model, make, seeds, bar=None, flat=False):
        """Fit `make(random_state=seed)` for every seed."""
        read = self.flat if flat else (lambda X: X)
        X_test, y_test = self.test
        answers, seconds = [], []
        for seed in seeds:
            X, y = self.train(seed)
            X, estimator = read(X), make(random_state=seed)
            start = time.process_time()
            estimator.fit(X, y)
            seconds.append(time.process_time() - start)
            answers.append(_answers(estimator, read(X_test)))
        self.made[model] = answers
        scores, mean = [self.score(answer, y_test) for answer in answers], float(np.mean(seconds))
        return told(self.name, model, scores, bar=bar, seconds=mean, **self.kwargs)

    def constant(self, model, answers, bar=None):
        """A line of answers that nobody had to be fitted for."""
        return told(self.name, model, [self.score(answers, self.test[1])], bar=bar, **self.kwargs)

    def together(self, model, bar=None):
        """The mean of the answers of all seeds of a line before."""
        answers = self.made[model]
        name = f"{model}, mean of {len(answers)} seeds"
        return self.constant(name, np.mean(answers, axis=0), bar)

    def opponents(self, run, linear=None, name="ridge"):
        """Lines of a linear model and, unless they are unwanted, of rivals on the same rows."""
        lines = [self.line(name, linear or fixed(ridge()), run.seeds[:1], flat=True)]
        if not run.rivals:
            return lines
        classify, (_, y) = self.score is accuracy, self.train(0)
        trees, epochs = ({"max_iter": 2},) * 2 if run.quick else ({}, {"max_iter": 2000})
        boosted = partial(boosting, classify, y, **trees)
        network = partial(mlp, classify, **epochs)
        return [
            *lines,
            self.line("HistGradientBoosting", boosted, run.seeds[:1], flat=True),
            self.line("MLP", network, run.seeds, flat=True),
        ]


def _answers(estimator, X):
    if not is_classifier(estimator):
        return estimator.predict(X)
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(X)
    return estimator.predict(X)[:, None] == estimator.classes_  # (n, k)


def fixed(model):
    """Seed -> a model that knows no chance."""
    return lambda random_state: model


def ridge(alphas=None):
    """Ridge on standardised columns, its strength chosen by leave-one-out."""
    alphas = np.logspace(-3, 5, 17) if alphas is None else alphas
    return make_pipeline(StandardScaler(), RidgeCV(alphas))


def logistic():
    """Logistic regression on standardised columns."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))


def boosting(classify, y, random_state, **params):
    """Gradient boosting at its defaults, one for each column of y."""
    if classify:
        return HistGradientBoostingClassifier(random_state=random_state, **params)
    model = HistGradientBoostingRegressor(random_state=random_state, **params)
    return model if np.ndim(y) == 1 else MultiOutputRegressor(model)


def mlp(classify, random_state, max_iter=2000):
    """A perceptron at its defaults on standardised columns, and targets; epochs enough."""
    scaler = StandardScaler()
    if classify:
        return make_pipeline(scaler, MLPClassifier(max_iter=max_iter, random_state=random_state))
    network = MLPRegressor(max_iter=max_iter, random_state=random_state)
    return TransformedTargetRegressor(make_pipeline(scaler, network), transformer=StandardScaler())
