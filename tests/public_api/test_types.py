"""Do type checkers see parameters, fitted attributes and results of the public names?"""

import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import skaernn

ROOT = Path(__file__).parents[2]
CLASSES = [getattr(skaernn, name) for name in skaernn.__all__ if name[0].isupper()]
ESTIMATORS = [thing for thing in CLASSES if hasattr(thing, "fit")]
needs_mypy = pytest.mark.skipif(
    importlib.util.find_spec("mypy") is None, reason="mypy is an extra of developers"
)

GOOD = """
from typing import Any

import numpy as np
from typing_extensions import assert_type
import skaernn
from skaernn import (
    AutoencoderTransformer,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
    SequenceVectorizer,
    VariationalAutoencoderTransformer,
    sliding_windows,
)
from skaernn.networks import (
    OwnRecurrentNetwork,
    RecurrentNetwork,
    VariationalModule,
    recurrent_network,
)
from skaernn.testing import check_sequence_estimator

X = np.zeros((4, 3))
autoencoder = AutoencoderTransformer(2, (8,), random_state=0).fit(X)
assert_type(autoencoder, AutoencoderTransformer)
assert_type(autoencoder.partial_fit(X), AutoencoderTransformer)
assert_type(autoencoder.transform(X), np.ndarray)
assert_type(autoencoder.score(X), float)
assert_type(autoencoder.loss_curve_, list[float])
assert_type(autoencoder.n_components_, int)
assert_type(autoencoder.fit_transform(X), np.ndarray)
assert_type(autoencoder.max_iter, int)
assert_type(autoencoder.dtype, str | None)
autoencoder.module_.encode
variational = VariationalAutoencoderTransformer().fit(X)
assert_type(variational.module_, VariationalModule)
assert_type(variational.noise_variance_, float | np.ndarray | None)
model = RNNSequenceClassifier("gru", class_weight="balanced").fit(X, [0, 1, 0, 1])
assert_type(model, RNNSequenceClassifier)
assert_type(model.classes_, np.ndarray)
assert_type(model.members_, list[RNNSequenceClassifier])
assert_type(model.members_[0].predict(X), np.ndarray)
assert_type(model.predict(X), np.ndarray)
assert_type(model.predict_proba(X, return_state=True), tuple[np.ndarray, np.ndarray])
regressor = RNNSequenceRegressor().partial_fit([X, X[:2]], [0.5, 1.5], lengths=None)
assert_type(regressor, RNNSequenceRegressor)
assert_type(regressor.best_loss_, float | None)
assert_type(regressor.predict([X]), np.ndarray)
assert_type(regressor.predict([X], return_std=True), tuple[np.ndarray, np.ndarray])
regressor.predict([X], return_state=bool(X.any()))
three = regressor.predict([X], return_state=True, return_std=True)
assert_type(three, tuple[np.ndarray, np.ndarray, np.ndarray])
assert_type(regressor.forecast([X], 2), np.ndarray)
codes = SequenceAutoencoderTransformer().fit([X, X[:2]])
assert_type(codes, SequenceAutoencoderTransformer)
assert_type(codes.n_steps_, int | None)
assert_type(codes.transform([X]), np.ndarray)
series, speakers = skaernn.datasets.load_japanese_vowels(return_X_y=True)
assert_type(series, list[np.ndarray])
assert_type(check_sequence_estimator(model)[0]["status"], Any)
network = recurrent_network("gru", 2, 3, 1)
assert_type(network, RecurrentNetwork | OwnRecurrentNetwork)
vectorizer = SequenceVectorizer(analyzer=str.split, vocabulary={"to": 1, "be": 2})
assert_type(vectorizer.fit(["to be"], None), SequenceVectorizer)
assert_type(vectorizer.transform(("to be",)), list[np.ndarray])
assert_type(vectorizer.vocabulary_, dict[Any, int])
assert_type(vectorizer.get_feature_names_out(), np.ndarray)
windows, targets = sliding_windows(X, 2)
assert_type(targets, np.ndarray)
"""
BAD = """
from skaernn import AutoencoderTransformer, RNNSequenceRegressor

AutoencoderTransformer(max_iter="many")
AutoencoderTransformer(epochs=3)
RNNSequenceRegressor(hidden_size=None)
RNNSequenceRegressor().fit([[1.0]], [1.0], sample_weigth=None)
AutoencoderTransformer().sample("many")
RNNSequenceRegressor().predict([[1.0]], return_state=True).shape
from skaernn import Autoencoder
from skaernn.networks import recurrent_network
recurrent_network("gru", "two", 3, 1)
"""


def checked(program, path):
    file = path / "program.py"
    file.write_text(program)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(ROOT / "pyproject.toml"),
        str(file),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return [int(line) for line in re.findall(r"program.py:(\d+): error", done.stdout)], done.stdout


@needs_mypy
def test_right_programs_have_their_types(tmp_path):
    lines, said = checked(GOOD, tmp_path)
    assert not lines, said
    assert "Success" in said, said


@needs_mypy
def test_wrong_programs_are_told(tmp_path):
    lines, said = checked(BAD, tmp_path)
    assert lines == [4, 5, 6, 7, 8, 9, 10, 12], said


@pytest.mark.parametrize("estimator", CLASSES)
def test_signatures_are_annotated(estimator):
    assert (Path(skaernn.__file__).parent / "py.typed").exists()
    methods = [
        member
        for name, member in inspect.getmembers(estimator, inspect.isfunction)
        if name == "__init__" or not name.startswith("_")
        if member.__module__.startswith("skaernn")
    ]
    assert len(methods) > 2
    for method in methods:
        signature = inspect.signature(method)
        _, *parameters = signature.parameters.values()
        assert all(p.annotation is not p.empty for p in parameters), method
        assert signature.return_annotation is not signature.empty, method


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_fitted_attributes_are_declared(estimator):
    section = inspect.getdoc(estimator).split("\nAttributes\n----------\n")[1]
    section = re.split(r"\n\w[\w ]*\n-{3,}\n", section)[0]
    heads = re.findall(r"^(\w[\w, ]*?) ?:", section, flags=re.MULTILINE)
    documented = {name.strip() for head in heads for name in head.split(",")}
    declared = {name for cls in estimator.__mro__ for name in vars(cls).get("__annotations__", {})}
    properties = {k for k, v in inspect.getmembers(estimator) if isinstance(v, property)}
    assert documented <= declared | properties
