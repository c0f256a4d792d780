"""How many of the contracts of `skaernn.testing.check_contracts` estimators keep.

python benchmarks/contracts.py            prints the table
python benchmarks/contracts.py --write    writes it to benchmarks/results/contracts.md
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import sklearn
import skorch
import torch
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPClassifier, MLPRegressor
from torch import nn

import skaernn
from skaernn.testing import check_contracts

RESULT = Path(__file__).parent / "results" / "contracts.md"
EPOCHS = 20


class Perceptron(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1))


class SkorchRegressor(skorch.NeuralNetRegressor):
    """What a user writes around it: float32 in, a column of targets, a flat answer."""

    def fit(self, X, y):
        return super().fit(np.asarray(X, np.float32), np.asarray(y, np.float32)[:, None])

    def predict_proba(self, X):  # which `predict` calls
        return super().predict_proba(np.asarray(X, np.float32))

    def predict(self, X):
        return super().predict(X)[:, 0]


def estimators() -> dict:
    net = SkorchRegressor(Perceptron, max_epochs=EPOCHS, verbose=0, train_split=None, lr=0.01)
    return {
        "skaernn AutoencoderTransformer": skaernn.AutoencoderTransformer(max_iter=EPOCHS),
        "skaernn VariationalAutoencoderTransformer": skaernn.VariationalAutoencoderTransformer(
            max_iter=EPOCHS
        ),
        "skaernn SequenceAutoencoderTransformer": skaernn.SequenceAutoencoderTransformer(
            max_iter=EPOCHS
        ),
        "skaernn RNNSequenceRegressor": skaernn.RNNSequenceRegressor(max_iter=EPOCHS),
        "skaernn RNNSequenceClassifier": skaernn.RNNSequenceClassifier(max_iter=EPOCHS),
        "scikit-learn PCA": PCA(2),
        "scikit-learn MLPRegressor": MLPRegressor(max_iter=EPOCHS),
        "scikit-learn MLPClassifier": MLPClassifier(max_iter=EPOCHS),
        "skorch NeuralNetRegressor": net,
    }


def table() -> str:
    lines = [
        "| estimator | kept | broken | without meaning | which are broken |",
        "|---|---|---|---|---|",
    ]
    for name, estimator in estimators().items():
        results = check_contracts(estimator, on_fail=None)
        by = {
            status: [
                r["check_name"].removeprefix("check_") for r in results if r["status"] == status
            ]
            for status in ("passed", "failed", "not applicable")
        }
        counts = " | ".join(str(len(found)) for found in by.values())
        lines.append(f"| {name} | {counts} | {', '.join(by['failed'])} |")
    versions = f"scikit-learn {sklearn.__version__}, skorch {skorch.__version__}"
    return (
        "\n".join([*lines, "", f"{versions}, torch {torch.__version__.partition('+')[0]}."]) + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = table()
    print(found)
    if parser.parse_args().write:
        RESULT.write_text(found)


if __name__ == "__main__":
    main()
