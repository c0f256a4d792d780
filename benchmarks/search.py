"""Grid searches: `AutoencoderTransformer` beside the same network in skorch, wall time.

    python benchmarks/search.py [--problem NAME ...] [--rounds N] [--markdown PATH] [--check]

24 candidates by 5 folds, without a refit: four learning rates, three codes, two sizes of batches.
Both train the same networks for as many epochs and are scored on the fold held out, skorch by R2
of its reconstruction, the transformer by the share of variance that it explains. skorch searches
with two processes (`n_jobs=2`), which is its fastest; the transformer in the same way, with two
threads, and with one process. All take turns in a round; processes are started before the clock.
"""

import run  # isort: skip  (before torch: it says how OpenMP's threads are to wait)

import argparse
import platform
import sys
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from contenders import QUIET, build_network, transformer
from joblib import parallel_backend
from problems import Problem, scaled_digits, uniform_noise
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from table import markdown_table

SHARED = {"learning_rate": 1e-3, "bar": None, "linear_path_bar": None}
ROUNDS = 5
GRID = {"learning_rate": [1e-3, 2e-3, 5e-3, 1e-2], "batch_size": [32, 64]}


@dataclass(frozen=True)
class Search:
    """A problem, the codes that are tried, and how many times as fast as skorch it should be."""

    problem: Problem
    codes: tuple[int, int, int]
    bar: float


def breast_cancer():
    """569 rows of 30 standardised features."""
    return scale(load_breast_cancer().data).astype(np.float32)


SEARCHES = (
    Search(
        Problem("10-5-10", uniform_noise, 5, (), "relu", "relu", "logistic", 32, 100, **SHARED),
        (3, 5, 7),
        30.0,
    ),
    Search(
        Problem(
            "30-64-8", breast_cancer, 8, (64,), "relu", "identity", "identity", 32, 20, **SHARED
        ),
        (4, 8, 16),
        10.0,
    ),
    Search(
        Problem(
            "digits", scaled_digits, 32, (128,), "relu", "identity", "identity", 64, 10, **SHARED
        ),
        (16, 32, 48),
        4.0,
    ),
)


def ours(search):
    """The transformer with the grid of its parameters."""
    model = transformer(search.problem, 0, linear_path=False, scaling=None)
    return model, {"n_components": list(search.codes), **GRID}


def network_of(problem, n_features, n_components):
    """The problem's network with another code."""
    return build_network(replace(problem, n_components=n_components), n_features)


def skorchs(search, n_features):
    """The same as a net of skorch's."""
    from skorch import NeuralNetRegressor

    problem = search.problem
    net = NeuralNetRegressor(
        network_of,
        module__problem=problem,
        module__n_features=n_features,
        module__n_components=problem.n_components,
        max_epochs=problem.epochs,
        **QUIET,
    )
    grid = {"lr": GRID["learning_rate"], "batch_size": GRID["batch_size"]}
    return net, {"module__n_components": list(search.codes), **grid}


def seconds(model, grid, data, n_jobs, backend="loky"):
    """Wall seconds of one search."""
    search = GridSearchCV(model, grid, cv=5, n_jobs=n_jobs, refit=False)
    with parallel_backend(backend), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        search.fit(*data)
        found = time.perf_counter() - start
    if not np.isfinite(search.cv_results_["mean_test_score"]).all():
        raise RuntimeError("a candidate failed")
    return found


def contenders(search):
    """What takes turns: names with functions that search once."""
    X = search.problem.make_data()
    mine, net = ours(search), skorchs(search, X.shape[1])
    return {
        "skorch, n_jobs=2": lambda: seconds(*net, (X, X), 2),
        "n_jobs=2": lambda: seconds(*mine, (X,), 2),
        "two threads": lambda: seconds(*mine, (X,), 2, "threading"),
        "n_jobs=1": lambda: seconds(*mine, (X,), 1),
    }


def measure(search, rounds):
    """Seconds of each contender, round by round."""
    functions = contenders(search)
    for function in functions.values():
        function()  # processes, imports
    times = {name: [] for name in functions}
    names = list(functions)
    for i in range(rounds):
        for name in run.rotated(names, i):
            times[name].append(functions[name]())
    return times


def _entry(values):
    return f"{np.median(values):.3g} [{min(values):.3g}..{max(values):.3g}]"


def row(search, times):
    """A line of the table, and the best of the transformer's ratios."""
    first, *others = times
    ratios = {name: np.divide(times[first], times[name]) for name in others}
    best = max(np.median(found) for found in ratios.values())
    cells = [search.problem.name, f"{np.median(times[first]):.2f} s"]
    cells += [_entry(found) for found in ratios.values()]
    verdict = "reached" if best >= search.bar else "missed"
    return [*cells, f"{search.bar:g}", verdict], best


def main(arguments=None):
    """Measure, print, write; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [search.problem.name for search in SEARCHES]
    parser.add_argument("--problem", nargs="+", choices=names, default=names)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--markdown", type=Path, help="where to write the table")
    parser.add_argument("--check", action="store_true", help="exit with 1 below a bar")
    options = parser.parse_args(arguments)
    rows, good = [], True
    for search in SEARCHES:
        if search.problem.name in options.problem:
            line, best = row(search, measure(search, options.rounds))
            print(line, file=sys.stderr, flush=True)
            rows.append(line)
            good &= best >= search.bar
    header = ["network", "skorch, n_jobs=2", "n_jobs=2", "two threads", "n_jobs=1", "bar", ""]
    machine = ", ".join(f"{key} {value}" for key, value in run.machine().items())
    versions = ", ".join(f"{key} {value}" for key, value in run.versions().items())
    text = "\n".join(
        [
            f"Machine: {machine}.  ",
            f"Versions: {versions}.  ",
            f"{time.strftime('%Y-%m-%d')}, `benchmarks/search.py`, Python "
            f"{platform.python_version()}.",
            "",
            "GridSearchCV of 24 candidates by 5 folds, wall time: how many times as fast as the "
            "same search by skorch with two processes. Median over "
            f"{options.rounds} rounds that pair them, in brackets the smallest and the largest.",
            "",
            markdown_table(header, rows),
            "",
        ]
    )
    print(text)
    if options.markdown:
        options.markdown.write_text(text)
    return int(options.check and not good)


if __name__ == "__main__":
    sys.exit(main())
