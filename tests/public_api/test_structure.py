"""Is the package still the house it was drawn as: floors, rooms, sizes?"""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import skaernn

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "skaernn"
FILES = sorted(PACKAGE.rglob("*.py"))
OPTIONAL = {"matplotlib", "rich", "typing_extensions"}  # the last for type checkers alone
RUNTIME = {"numpy", "sklearn", "torch"}

# Who may import whom: a folder imports from lower floors only, and files within a folder, too,
# never in a circle. Imports for type checkers and inside functions count like all others.
FLOORS = [
    {"_core"},
    {"_native"},
    {"networks", "datasets", "testing"},
    {"_losses", "_rows"},
    {"_training", "_inputs"},
    {"_inference"},
    {"_estimators"},
    {"__init__"},
    {"_tour"},
    {"__main__"},
]
ROOMS_OF_NETWORKS = [
    {"_activations", "_layout", "_linear"},
    {"_operations"},
    {"_carried"},
    {"_vectors", "_sequences"},
]


def _name(path):
    """The dotted name of a file, without the package's and without `__init__` of a folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {_name(path): path for path in FILES}


def _imported(path):
    """What a file imports, wherever it does, and whether at its top: absolute dotted names."""
    tree = ast.parse(path.read_text())
    package = list(path.relative_to(PACKAGE.parent).parts[:-1])
    for node in ast.walk(tree):
        top = node in tree.body
        if isinstance(node, ast.Import):
            yield from ((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # a name may be a module of its own
            yield from ((f"{module}.{alias.name}", top) for alias in node.names)


def _inner(path):
    """Files of the package that a file imports."""
    for name, _ in _imported(path):
        if name.split(".")[0] != "skaernn":
            continue
        dotted = name.removeprefix("skaernn").removeprefix(".")
        while dotted and dotted not in MODULES:
            dotted = dotted.rpartition(".")[0]
        yield dotted or "__init__"


GRAPH = {name: set(_inner(path)) - {name} for name, path in MODULES.items()}


def _assert_downwards(floors, room_of, files):
    floor = {name: i for i, names in enumerate(floors) for name in names}
    assert {room_of(name) for name in files} == set(floor)
    for name in files:
        for other in GRAPH[name] & files:
            here, there = room_of(name), room_of(other)
            assert floor[there] < floor[here] or there == here, f"{name} imports {other}"


def test_folders_import_from_lower_floors_only():
    _assert_downwards(FLOORS, lambda name: name.split(".")[0], set(MODULES))


def test_rooms_of_networks_import_downwards():
    inside = {name for name in MODULES if name.startswith("networks.")}
    _assert_downwards(ROOMS_OF_NETWORKS, lambda name: name.split(".")[1], inside)


def test_no_file_imports_itself_in_a_circle():
    try:
        list(TopologicalSorter(GRAPH).static_order())
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_few_modules_stand_beside_the_folders():
    beside = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert len(beside) <= 4


def test_files_of_private_folders_have_plain_names_and_of_public_ones_private_names():
    for path in FILES:
        folders = path.relative_to(PACKAGE).parts[:-1]
        if not folders or path.stem == "__init__":
            continue
        private = any(folder.startswith("_") for folder in folders)
        assert path.stem.startswith("_") != private, path
        if private:
            assert not (path.parent / "__init__.py").read_text(), path.parent


def test_networks_are_pure_torch():
    allowed = {"torch"} | set(sys.stdlib_module_names)
    for name, path in MODULES.items():
        pure = name == "_core.noise" or (
            name in {f"_native.{part}" for part in ("functions", "operations", "structures")}
        )
        if name.split(".")[0] == "networks" or pure:
            outer = {module.split(".")[0] for module, _ in _imported(path)} - {"skaernn"}
            assert outer <= allowed, name
            assert {n for n in GRAPH[name] if not n.startswith("networks")} <= {
                "_core.noise",
                "_core.interrupts",
                "_native.functions",
                "_native.library",
                "_native.operations",
                "_native.structures",
            }


def test_training_knows_neither_numpy_nor_scikit_learn():
    for name, path in MODULES.items():
        if name.startswith("_losses.") or name in ("_training.loop", "_training.solvers"):
            outer = {module.split(".")[0] for module, _ in _imported(path)}
            assert not outer & {"numpy", "sklearn"}, name
        if name.startswith("_training.") and name != "_training.reports":
            assert "sklearn" not in {module.split(".")[0] for module, _ in _imported(path)}, name


def test_private_names_of_scikit_learn_are_imported_in_one_place():
    for name, path in MODULES.items():
        for module, _ in _imported(path):
            parts = module.split(".")
            private = parts[0] == "sklearn" and any(part.startswith("_") for part in parts)
            assert not private or name == "_core.compat", f"{name}: {module}"


def test_runtime_dependencies_are_three():
    # joblib is scikit-learn's, and there wherever that is
    known = set(sys.stdlib_module_names) | RUNTIME | {"skaernn", "joblib"}
    for name, path in MODULES.items():
        for module, top in _imported(path):
            outer = module.split(".")[0]
            if outer not in known:
                assert outer in OPTIONAL, f"{name} imports {module}"
                assert not top, f"{name} imports {module} before it is used"


def _loaded_by(code):
    """Modules that a new process has loaded for `code`, beyond torch and scikit-learn."""
    program = (
        "import sys, torch, sklearn.base, sklearn.utils.validation; before = set(sys.modules);"
        f"{code}; print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()


def test_importing_is_light():
    code = "; ".join(f"from skaernn import {name}" for name in skaernn.__all__)
    heavy = ("torch.optim", "torch._dynamo", "sklearn.decomposition", "matplotlib", "pandas")
    assert [name for name in _loaded_by(code) if name.startswith(heavy)] == []


def test_public_names_are_imported_when_they_are_asked_for():
    inside = [name for name in _loaded_by("import skaernn") if name.startswith("skaernn")]
    assert inside == ["skaernn"]
    assert set(skaernn.__all__) <= set(dir(skaernn))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = skaernn.nothing


def _lines(node, text):
    """Lines of a definition or of a file, without docstrings."""
    docs = [
        ast.get_docstring(inner, clean=False)
        for inner in ast.walk(node)
        if isinstance(inner, (ast.Module, ast.ClassDef, ast.FunctionDef))
    ]
    return text.count("\n") - sum(doc.count("\n") + 1 for doc in docs if doc)


def test_sources_keep_to_their_size():
    for path in FILES:
        text = path.read_text()
        tree = ast.parse(text)
        assert _lines(tree, text) <= 400, path.name
        for node in ast.walk(tree):
            # `__init__` of an estimator names every parameter twice
            if isinstance(node, ast.FunctionDef) and node.name != "__init__":
                length = _lines(node, ast.get_source_segment(text, node))
                assert length <= (90 if node.name == "train" else 60), f"{path.name}: {node.name}"


@pytest.mark.parametrize("name", [n for n in skaernn.__all__ if n[0].isupper()])
def test_an_estimator_stands_on_few_classes_of_ours(name):
    ours = [
        cls
        for cls in getattr(skaernn, name).__mro__
        # the stand-in for a class that old versions of scikit-learn lack is theirs in spirit
        if cls.__module__.startswith("skaernn") and cls.__module__ != "skaernn._core.compat"
    ]
    assert len(ours) <= 4, ours
