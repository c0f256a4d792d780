"""Which kernels an installation has, and what says so."""

import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import skaernn
from skaernn._native import library

ROOT = Path(__file__).parents[2]


@pytest.fixture
def asked(monkeypatch):
    """Sets the environment variable, for kernels that are looked for anew."""

    def ask(name):
        monkeypatch.setenv(library.VARIABLE, name)
        library.compiled_kernels.cache_clear()

    yield ask
    monkeypatch.undo()
    library.compiled_kernels.cache_clear()


@pytest.mark.parametrize("name", [*library.built(), library.TORCH])
def test_every_kind_that_is_here_can_be_chosen(asked, name):
    asked(name)
    assert library.kernels() == name


def test_an_unknown_kind_is_refused_with_those_that_there_are(asked):
    asked("sse9")
    with pytest.raises(ValueError, match=r"SKAERNN_KERNELS='sse9' .* these are: .*torch"):
        library.kernels()


@pytest.mark.skipif(not library.built(), reason="no kernels are built here")
def test_kernels_of_another_version_are_left_alone_and_said_so(asked, monkeypatch):
    monkeypatch.setattr(library, "ABI", library.ABI + 1)
    asked(library.built()[0])
    with pytest.warns(UserWarning, match=r"of no use here .*Install skaernn again"):
        assert library.kernels() == library.TORCH


@pytest.mark.skipif(not library.built(), reason="no kernels are built here")
def test_kernels_that_cannot_be_opened_are_left_alone_and_said_so(asked, monkeypatch, tmp_path):
    (tmp_path / library._path("baseline").name).write_bytes(b"no library")
    monkeypatch.setattr(library, "_FOLDER", tmp_path)
    asked("baseline")
    with pytest.warns(UserWarning, match="of no use here"):
        assert library.kernels() == library.TORCH


def test_versions_say_which_kernels_are_at_work(capsys):
    skaernn.show_versions()
    said = capsys.readouterr().out
    assert f"in use: {library.kernels()}" in said
    for name in ("python", "skaernn", "torch", "scikit-learn", "numpy"):
        assert f"{name}: " in said


@pytest.mark.skipif(find_spec("hatchling") is None, reason="needs hatchling, to build at once")
@pytest.mark.parametrize("how", [{"CXX": "/no/such/compiler"}, {"SKAERNN_NATIVE": "skip"}])
def test_without_a_compiler_the_wheel_is_a_pure_one(tmp_path, how):
    assert _built(tmp_path, how).returncode == 0
    [wheel] = tmp_path.glob("*-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "skaernn/_native/library.py" in names
    assert not [name for name in names if "_native/kernels-" in name]


@pytest.mark.skipif(find_spec("hatchling") is None, reason="needs hatchling, to build at once")
def test_a_compiler_may_be_required(tmp_path):
    how = {"CXX": "/no/such/compiler", "SKAERNN_NATIVE": "require"}
    assert _built(tmp_path, how).returncode != 0
    assert not list(tmp_path.iterdir())


def _built(folder, how):
    environment = {**os.environ, "SKAERNN_NATIVE": "", **how}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True)
