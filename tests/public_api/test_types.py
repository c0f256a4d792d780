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
ESTIMATORS = [getattr(skaernn, name) for name in skaernn.__all__ if name[0].isupper()]
needs_mypy = pytest.mark.skipif(
    importlib.util.find_spec("mypy") is None, reason="mypy is an extra of developers"
)

GOOD = """
import numpy as np
from typing_extensions import assert_type
from skaernn import AutoencoderTransformer, RNNSequenceClassifier, sliding_windows

X = np.zeros((4, 3))
autoencoder = AutoencoderTransformer(2, (8,), random_state=0).fit(X)
assert_type(autoencoder, AutoencoderTransformer)
assert_type(autoencoder.partial_fit(X), AutoencoderTransformer)
assert_type(autoencoder.transform(X), np.ndarray)
assert_type(autoencoder.score(X), float)
assert_type(autoencoder.loss_curve_, list[float])
assert_type(autoencoder.n_components_, int)
autoencoder.module_.encode
model = RNNSequenceClassifier("gru", class_weight="balanced").fit(X, [0, 1, 0, 1])
assert_type(model, RNNSequenceClassifier)
assert_type(model.classes_, np.ndarray)
windows, targets = sliding_windows(X, 2)
assert_type(targets, np.ndarray)
"""
BAD = """
from skaernn import AutoencoderTransformer, RNNSequenceRegressor

AutoencoderTransformer(max_iter="many")
AutoencoderTransformer(epochs=3)
RNNSequenceRegressor(hidden_size=None)
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
    assert lines == [4, 5, 6], said


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_signatures_are_annotated(estimator):
    assert (Path(skaernn.__file__).parent / "py.typed").exists()
    methods = [
        member
        for name, member in inspect.getmembers(estimator, inspect.isfunction)
        if name == "__init__" or not name.startswith("_")
        if member.__module__.startswith("skaernn")
    ]
    assert len(methods) > 5
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
    assert documented <= declared
