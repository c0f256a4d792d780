"""Twenty sets of the UCR archive, for `learning.py`: accuracy beside a linear classifier."""

import sys

import numpy as np
from learning_lines import DEFAULTS, Task, accuracy, fixed, told
from sequences import archive_names, archive_set
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

MAX_ROWS, MAX_STEPS = 1000, 600
N_SETS = 20
EVERY = 6
LINEAR = "RidgeClassifierCV"
COLUMNS = "RidgeClassifierCV, columns standardised as well"


def chosen():
    """Names of twenty sets, in alphabetical order: every sixth of those that are small enough.

    The package 0.0.6 holds 51 of the 128 sets, A to G, and 41 of these are small enough: there
    every second is taken. In general it is the largest step up to six that leaves twenty.
    """
    small = [name for name in archive_names() if _small(archive_set(name)[0][0])]
    step = max(1, min(EVERY, len(small) // N_SETS))
    return small[::step][:N_SETS]


def _small(X):
    return len(X) <= MAX_ROWS and X.shape[1] <= MAX_STEPS


def archive(run):
    """Accuracy on each set, and what the models have above the linear one, in points."""
    names = run.sets or chosen()
    print(f"UCR archive, {len(names)} sets: {', '.join(names)}", file=sys.stderr)
    lines = [line for name in names[: 2 if run.quick else None] for line in one_set(name, run)]
    return lines + summaries(lines)


def one_set(name, run):
    """Lines of one set."""
    from skaernn import RNNSequenceClassifier

    train, test = ((X.astype(np.float32)[..., None], y) for X, y in archive_set(name))
    task = Task(f"UCR {name}", lambda seed: train, test, accuracy, "accuracy", flat=_filled)
    linear = RidgeClassifierCV(np.logspace(-3, 3, 10))
    columns = make_pipeline(StandardScaler(), linear)
    return [
        *task.opponents(run, fixed(linear), LINEAR),
        task.line(COLUMNS, fixed(columns), run.seeds[:1], flat=True),
        task.line(DEFAULTS, run.default(RNNSequenceClassifier), run.seeds),
    ]


def _filled(X):
    return np.nan_to_num(X[..., 0].astype(float))  # zeros behind the end, the mean of the rows


def summaries(lines):
    """What each model has above the linear ones: mean over sets, and on the worst of them."""
    sets = {}
    for line in lines:
        sets.setdefault(line.problem, {})[line.model] = np.array(line.scores)
    models = [model for model in next(iter(sets.values())) if model != LINEAR]
    found = [line for model in models for line in above(sets, model, LINEAR, model == DEFAULTS)]
    return found + above(sets, DEFAULTS, COLUMNS)


def above(sets, model, linear, judged=False):
    """Two lines of differences in points; the worst is that of the mean over seeds."""
    points = {name: 100 * (scores[model] - scores[linear]) for name, scores in sets.items()}
    means = {name: scores.mean() for name, scores in points.items()}
    worst = min(means, key=means.get)
    by_seed = np.mean(list(points.values()), axis=0)
    reference = "columns" if linear == COLUMNS else "rows"
    kwargs = {"unit": f"points above ridge, standard {reference}", "larger_is_better": True}
    name, at = f"UCR, {len(sets)} sets", worst.removeprefix("UCR ")
    mean_bar, worst_bar = (3.0, -2.0) if judged else (None, None)
    return [
        told(name, f"{model}: mean", by_seed, bar=mean_bar, **kwargs),
        told(name, f"{model}: worst, {at}", [means[worst]], bar=worst_bar, **kwargs),
    ]
