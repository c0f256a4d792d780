"""Held-out error of `AutoencoderTransformer` at its defaults, divided by PCA's.

    python benchmarks/quality.py [--dataset NAME ...] [--seeds N] [--param NAME=VALUE ...]

Five shuffled folds a seed, the seed being both the split's and the estimator's. A ratio is the
squared error summed over all held-out rows, so every row counts once, divided by the same sum of
PCA with as many components, fitted on the same rows. X is standardised with the mean and standard
deviation of the training part, except digits, whose pixels share one unit.
"""

import argparse
import ast
import json
import os
import sys
import time
from pathlib import Path

# As in run.py: before the first OpenMP runtime is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler
from table import markdown_table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # this checkout

DATASETS = {
    "iris": datasets.load_iris,
    "linnerud": datasets.load_linnerud,
    "digits": datasets.load_digits,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
}
RAW = {"digits"}
COMPONENTS = {"iris": (1, 2), "linnerud": (1, 2), "digits": (2, 16)}
NOT_AVERAGED = ("linnerud", 2)  # the default code of 16 rows of 3 features: for the worst only
N_FOLDS = 5
N_SEEDS = 5
GEOMETRIC_MEAN_BAR = 0.69
WORST_BAR = 0.93


def components(dataset):
    """Code sizes tried: as listed, else 2 and a quarter of the features, each once."""
    if dataset in COMPONENTS:
        return COMPONENTS[dataset]
    n_features = DATASETS[dataset]().data.shape[1]
    return tuple(sorted({2, max(1, n_features // 4)}))


def folds(dataset, seed):
    """Yield (training part, held-out part) of every fold, scaled as the module says."""
    X = DATASETS[dataset]().data
    for train, test in KFold(N_FOLDS, shuffle=True, random_state=seed).split(X):
        if dataset in RAW:
            yield X[train], X[test]
        else:
            scaler = StandardScaler().fit(X[train])
            yield scaler.transform(X[train]), scaler.transform(X[test])


def squared_error(model, X):
    """Sum over rows and features of the squared error of going to the code and back."""
    return float(np.sum((model.inverse_transform(model.transform(X)) - X) ** 2))


def held_out_ratio(dataset, n_components, seed, **params):
    """Held-out squared error of the autoencoder divided by PCA's: below 1 is better than PCA.

    Parameters
    ----------
    dataset : str
        A key of `DATASETS`.
    n_components : int
        Code size of both.
    seed : int
        Of the folds and of the estimator.
    **params
        Parameters of `AutoencoderTransformer` other than its defaults.

    Returns
    -------
    ratio : float
    """
    from skaernn import AutoencoderTransformer

    ours = pca = 0.0
    for train, test in folds(dataset, seed):
        model = AutoencoderTransformer(n_components, random_state=seed, **params).fit(train)
        ours += squared_error(model, test)
        pca += squared_error(PCA(n_components).fit(train), test)
    return ours / pca


def measure(names, seeds, params):
    """Ratios of every data set and code size: one dict each, printed as a dot when done."""
    found = []
    for name in names:
        for n_components in components(name):
            start = time.perf_counter()
            ratios = [held_out_ratio(name, n_components, seed, **params) for seed in seeds]
            seconds = time.perf_counter() - start
            task = {"dataset": name, "n_components": n_components}
            found.append(task | {"ratios": ratios, "seconds": seconds})
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def render(tasks):
    """Markdown: a line a task, then the two figures with a bar."""
    rows = []
    for task in tasks:
        ratios = task["ratios"]
        figures = [f"{value:.3f}" for value in (np.mean(ratios), min(ratios), max(ratios))]
        rows.append(
            [task["dataset"], str(task["n_components"]), *figures, f"{task['seconds']:.1f}"]
        )
    header = ["data", "components", "mean", "min", "max", "seconds"]
    means = [np.mean(task["ratios"]) for task in tasks]
    averaged = [
        np.mean(task["ratios"])
        for task in tasks
        if (task["dataset"], task["n_components"]) != NOT_AVERAGED
    ]
    geometric_mean = float(np.exp(np.mean(np.log(averaged))))
    worst = max(max(task["ratios"]) for task in tasks)
    return "\n".join(
        [
            markdown_table(header, rows),
            "",
            f"- geometric mean of the means (without {NOT_AVERAGED[0]}, {NOT_AVERAGED[1]}): "
            f"{geometric_mean:.3f}, "
            f"bar {GEOMETRIC_MEAN_BAR}: {_word(geometric_mean <= GEOMETRIC_MEAN_BAR)}",
            f"- worst of all seeds: {worst:.3f}, bar {WORST_BAR}: {_word(worst <= WORST_BAR)}; "
            f"worst mean: {max(means):.3f}",
        ]
    )


def _word(reached):
    return "reached" if reached else "missed"


def name_and_value(text):
    """("tol", 0.1) from "tol=0.1"; what is no Python literal stays text."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def main(arguments=None):
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", nargs="+", choices=DATASETS, default=list(DATASETS))
    parser.add_argument("--seeds", type=int, default=N_SEEDS, help="how many, from 0")
    parser.add_argument(
        "--param",
        nargs="+",
        action="extend",
        type=name_and_value,
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of AutoencoderTransformer instead of its default",
    )
    parser.add_argument("--json", type=Path, help="where to write every ratio")
    options = parser.parse_args(arguments)
    params = dict(options.param)
    tasks = measure(options.dataset, range(options.seeds), params)
    if params:
        print(f"Not the defaults: {params}\n")
    print(render(tasks))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"params": params, "tasks": tasks}, indent=1) + "\n")


if __name__ == "__main__":
    main()
