"""Do names, documentation, README and the tour agree with the code?"""

import doctest
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

import skaernn
from skaernn import (
    AutoencoderTransformer,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
    SequenceVectorizer,
    VariationalAutoencoderTransformer,
)
from skaernn._estimators.base import NeuralEstimator
from skaernn._inputs.texts import ANALYZERS
from skaernn._losses.likelihoods import LIKELIHOODS
from skaernn._losses.reconstruction import LOSSES
from skaernn._losses.targets import TARGET_LOSSES
from skaernn._training.solvers import SCHEDULES, SOLVERS
from skaernn.networks import (
    ACTIVATIONS,
    ARCHITECTURES,
    CELLS,
    CORRUPTIONS,
    PENALTIES,
    POOLINGS,
)

ROOT = Path(__file__).parents[2]
PUBLIC = [getattr(skaernn, name) for name in skaernn.__all__]
CLASSES = [thing for thing in PUBLIC if inspect.isclass(thing)]
ESTIMATORS = [thing for thing in CLASSES if hasattr(thing, "fit")]


def _section(doc, title):
    """Names in a numpydoc section."""
    body = re.split(r"\n\w[\w ]*\n-{3,}\n", doc.split(f"\n{title}\n{'-' * len(title)}\n")[1])[0]
    heads = re.findall(r"^(\w[\w, ]*?) ?:", body, flags=re.MULTILINE)
    return [name.strip() for head in heads for name in head.split(",")]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_parameter_is_documented_in_order(estimator):
    signature = list(inspect.signature(estimator).parameters)
    assert _section(inspect.getdoc(estimator), "Parameters") == signature
    assert list(estimator._parameter_constraints) != []
    assert set(estimator._parameter_constraints) == set(signature)


def _fitted(estimator):
    import pandas as pd

    if estimator is SequenceVectorizer:
        return estimator().fit(pd.Series(["a text", "another"]))
    iris = load_iris()
    X = pd.DataFrame(iris.data, columns=list("abcd"))
    return estimator(max_iter=1).fit(X, iris.target)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_fitted_attribute_is_documented(estimator):
    model = _fitted(estimator)
    names = {*vars(model), *(k for k, v in inspect.getmembers(estimator) if type(v) is property)}
    public = {name for name in names if name.endswith("_") and not name.startswith("_")}
    assert set(_section(inspect.getdoc(estimator), "Attributes")) == public


BULLETS = {
    AutoencoderTransformer: [
        ACTIVATIONS,
        ARCHITECTURES,
        CORRUPTIONS,
        LOSSES,
        PENALTIES,
        SOLVERS,
    ],
    VariationalAutoencoderTransformer: [
        ACTIVATIONS,
        ARCHITECTURES,
        LIKELIHOODS,
        [name for name, solver in SOLVERS.items() if not solver.full_batch],
    ],
    RNNSequenceRegressor: [CELLS, POOLINGS, TARGET_LOSSES, SOLVERS],
    RNNSequenceClassifier: [CELLS, POOLINGS, SOLVERS],
    SequenceAutoencoderTransformer: [CELLS, LOSSES, SOLVERS],
    SequenceVectorizer: [ANALYZERS],
}


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_entry_of_a_registry_has_its_bullet(estimator):
    doc = inspect.getdoc(estimator)
    names = [name for registry in BULLETS[estimator] for name in registry]
    assert [name for name in names if f'- "{name}":' not in doc] == []
    if issubclass(estimator, NeuralEstimator):
        assert all(f'"{name}"' in doc for name in SCHEDULES)


def test_every_output_activation_is_named():
    doc = inspect.getdoc(RNNSequenceRegressor)
    assert [name for name in ACTIVATIONS if f'"{name}"' not in doc] == []


@pytest.mark.parametrize("estimator", CLASSES)
def test_only_two_parameters_are_positional(estimator):
    kinds = [p.kind for p in inspect.signature(estimator).parameters.values()]
    n_positional = 0 if estimator is SequenceVectorizer else 2  # as of CountVectorizer: none
    assert kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) == n_positional


def _public_objects():
    for estimator in CLASSES:
        yield estimator
        for name, member in inspect.getmembers(estimator):
            if not name.startswith("_") and "skaernn" in (getattr(member, "__module__", "") or ""):
                yield member


@pytest.mark.parametrize("name", skaernn.__all__)
def test_examples_of_docstrings_run(name):
    """Those of the estimators, which pytest does not look for under their public names."""
    thing = getattr(skaernn, name)
    module = inspect.getmodule(getattr(thing, "fit", thing))
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=options)
    home = sys.modules[f"skaernn{skaernn._HOMES[name]}"]
    found = doctest.DocTestFinder(exclude_empty=True).find(thing, name, module=False, globs={})
    assert any(test.examples for test in found), module
    for test in found:
        test.globs = dict(vars(home))
        runner.run(test)
    assert not runner.summarize(verbose=False).failed


def test_every_public_method_has_a_docstring_with_shapes():
    for member in _public_objects():
        doc = inspect.getdoc(member)
        assert doc, member
        assert "Returns" in doc or inspect.isclass(member), member


def _readme_blocks():
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)


@pytest.mark.parametrize("block", range(len(_readme_blocks())))
def test_readme_code_runs(block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    state = np.random.get_state()  # noqa: NPY002 - its code may use the global generator
    exec(compile(_readme_blocks()[block], f"README block {block}", "exec"), {})
    np.random.set_state(state)  # noqa: NPY002


def test_readme_names_the_two_commands():
    readme = (ROOT / "README.md").read_text()
    assert 'pip install -c .ci/constraints.txt ".[plot]" && python -m skaernn' in readme
    assert 'pip install -c .ci/constraints.txt -e ".[test]" && pytest' in readme
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", readme):
        assert (ROOT / link).exists(), link


def test_changelog_names_the_version():
    assert f"## {skaernn.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def _command(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "skaernn", *arguments], capture_output=True, text=True, cwd=cwd
    )


def test_tour_explains_itself_and_refuses_clearly(tmp_path):
    shown = _command("--help", cwd=tmp_path)
    assert shown.returncode == 0
    assert "--device" in shown.stdout
    for arguments, word in ((["--devise", "cpu"], "--devise"), (["--device", "gpu"], "gpu")):
        refused = _command(*arguments, cwd=tmp_path)
        assert refused.returncode == 2
        assert word in refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("program", "record"),
    [
        ("table", "speed"),
        ("table", "family"),
        ("table", "recurrent"),
        ("predict_table", "predict"),
    ],
)
def test_readme_shows_the_table_of_the_record(program, record):
    path = f"benchmarks/results/{record}.json"
    command = [sys.executable, f"benchmarks/{program}.py", "--summary", path]
    table = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert table.strip() in (ROOT / "README.md").read_text()


def test_readme_has_the_table_of_contracts():
    table = (ROOT / "benchmarks/results/contracts.md").read_text().split("\n\n")[0]
    assert table in (ROOT / "README.md").read_text()
