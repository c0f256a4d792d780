"""Do names, documentation, README, the tour and the direction of imports agree with the code?"""

import ast
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
    VariationalAutoencoderTransformer,
)
from skaernn._likelihoods import LIKELIHOODS
from skaernn._losses import LOSSES
from skaernn._solvers import SCHEDULES, SOLVERS
from skaernn._target_losses import TARGET_LOSSES
from skaernn.networks import (
    ACTIVATIONS,
    ARCHITECTURES,
    CELLS,
    CORRUPTIONS,
    PENALTIES,
    POOLINGS,
)

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skaernn"
PUBLIC = [getattr(skaernn, name) for name in skaernn.__all__]
ESTIMATORS = [thing for thing in PUBLIC if inspect.isclass(thing)]
OPTIONAL = {"matplotlib", "rich"}

# Who may import whom: a file imports from lower floors only.
FLOORS = [
    {"networks"},
    {"_losses", "_device", "_content", "_compat", "_warnings"},
    {"_constraints"},
    {"_rows", "_target_losses", "_likelihoods"},
    {"_sequence_rows"},
    {"_training", "_principal", "_chunks", "_class_weight"},
    {"_solvers", "_autoencoding"},
    {"_callbacks"},
    {"_objectives", "_validation"},
    {"_sequences", "_windows"},
    {"_targets", "_states", "_sequence_prediction", "_recurrent_objective"},
    {"_bounds", "_reconstruction_objective"},
    {"_estimator", "_forecast", "_sequence_scores", "_recurrent_fitting"},
    {"_design", "_reconstruction", "_sequence_regression", "_sequence_classification"},
    {"_sequence_reconstruction"},
    {"_base_autoencoder", "_base_recurrent", "_base_sequence_autoencoder"},
    {"_autoencoder", "_variational", "_sequence_autoencoder"},
    {"_recurrent_regressor", "_recurrent_classifier"},
    {"__init__"},
    {"_tour_words"},
    {"_tour_digits", "_tour_family", "_tour_vowels", "_tour_co2"},
    {"_tour"},
    {"__main__"},
]


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


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_fitted_attribute_is_documented(estimator):
    import pandas as pd

    iris = load_iris()
    X = pd.DataFrame(iris.data, columns=list("abcd"))
    model = estimator(max_iter=1).fit(X, iris.target)
    public = {name for name in vars(model) if name.endswith("_") and not name.startswith("_")}
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
}


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_entry_of_a_registry_has_its_bullet(estimator):
    doc = inspect.getdoc(estimator)
    names = [name for registry in BULLETS[estimator] for name in registry]
    assert [name for name in names if f'- "{name}":' not in doc] == []
    assert all(f'"{name}"' in doc for name in SCHEDULES)


def test_every_output_activation_is_named():
    doc = inspect.getdoc(RNNSequenceRegressor)
    assert [name for name in ACTIVATIONS if f'"{name}"' not in doc] == []


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_only_two_parameters_are_positional(estimator):
    kinds = [p.kind for p in inspect.signature(estimator).parameters.values()]
    assert kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) == 2


def _public_objects():
    for estimator in ESTIMATORS:
        yield estimator
        for name, member in inspect.getmembers(estimator):
            if not name.startswith("_") and "skaernn" in (getattr(member, "__module__", "") or ""):
                yield member


def test_every_public_method_has_a_docstring_with_shapes():
    for member in _public_objects():
        doc = inspect.getdoc(member)
        assert doc, member
        assert "Returns" in doc or inspect.isclass(member), member


def _imports(path):
    """Modules imported by a file, as (absolute name or file of the package, at the top?)."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        top = node in tree.body
        if isinstance(node, ast.Import):
            yield from ((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = node.level == 1 and path.parent == PACKAGE
            if inside and node.module is None:
                yield from ((f".{alias.name}", top) for alias in node.names)
            else:
                yield f".{node.module}" if node.level else node.module, top


def test_imports_point_downwards():
    floor = {name: i for i, names in enumerate(FLOORS) for name in names}
    files = sorted(PACKAGE.glob("*.py"))
    assert {path.stem for path in files} | {"networks"} == set(floor)
    for path in files:
        for name, top in _imports(path):
            inner = name.removeprefix(".").removeprefix("skaernn.").split(".")[0]
            if name.startswith((".", "skaernn")) and inner in floor and top:
                assert floor[inner] < floor[path.stem], f"{path.name} imports {name}"


def test_networks_are_pure_torch():
    allowed = {"torch"} | set(sys.stdlib_module_names)
    for path in sorted((PACKAGE / "networks").glob("*.py")):
        outer = {name.split(".")[0] for name, _ in _imports(path) if not name.startswith(".")}
        assert outer <= allowed, path.name


def test_training_knows_neither_numpy_nor_scikit_learn():
    for name in ("_training", "_solvers", "_losses"):
        outer = {module for module, _ in _imports(PACKAGE / f"{name}.py")}
        assert not {module for module in outer if module.startswith(("numpy", "sklearn"))}, name


def test_private_names_of_scikit_learn_are_imported_in_one_place():
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
                names = [*node.module.split("."), *(alias.name for alias in node.names)]
                private = [name for name in names if name.startswith("_")]
                assert not private or path.name == "_compat.py", f"{path.name}: {private}"


def test_runtime_dependencies_are_three():
    standard = set(sys.stdlib_module_names) | {"skaernn"}
    for path in sorted(PACKAGE.rglob("*.py")):
        for name, top in _imports(path):
            outer = name.split(".")[0]
            if outer and outer not in standard | {"numpy", "sklearn", "torch"}:
                assert outer in OPTIONAL, f"{path.name} imports {name}"
                assert not top, f"{path.name} imports {name} before it is used"


def test_importing_is_light():
    code = (
        "import sys, torch, sklearn.base, sklearn.utils.validation; before = set(sys.modules);"
        "import skaernn; print(*sorted(set(sys.modules) - before))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    heavy = ("torch.optim", "torch._dynamo", "sklearn.decomposition", "matplotlib", "pandas")
    assert [name for name in found if name.startswith(heavy)] == []


def test_sources_keep_to_their_size():
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text()
        assert text.count("\n") <= 400, path.name
        for node in ast.walk(ast.parse(text)):
            # but for the one loop, and for what names every parameter twice
            if isinstance(node, ast.FunctionDef) and node.name not in ("train", "__init__"):
                doc = ast.get_docstring(node) or ""
                length = node.end_lineno - node.lineno - doc.count("\n")
                assert length <= 65, f"{path.name}: {node.name}"


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


@pytest.mark.parametrize("record", ["speed", "family", "recurrent"])
def test_readme_shows_the_table_of_the_record(record):
    path = f"benchmarks/results/{record}.json"
    command = [sys.executable, "benchmarks/table.py", "--summary", path]
    table = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert table.strip() in (ROOT / "README.md").read_text()
