"""Builds the compiled kernels into the package, where there is a compiler.

The kernels are plain shared libraries, opened with ctypes: there is no Python in them, and one
wheel serves every Python. Without a compiler, or where it fails, the wheel is a pure one, and
torch does the kernels' work. The environment may say otherwise: ``SKAERNN_NATIVE=require`` makes
that an error, ``SKAERNN_NATIVE=skip`` builds nothing; ``CXX`` names another compiler.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("skaernn", "_native")
FLAGS = ["-std=c++17", "-O3", "-shared", "-fno-exceptions", "-fno-rtti", "-fno-math-errno",
         "-ffp-contract=off", "-fvisibility=hidden", "-Wno-psabi",
         "-Wno-ignored-attributes"]  # fmt: skip
X86 = {
    "baseline": [],
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma",
               "-mprefer-vector-width=512"],
}  # fmt: skip
SUFFIXES = {"win32": ".dll", "darwin": ".dylib"}


class CompiledKernels(BuildHookInterface):
    """Adds one library for each instruction set, and names the platform they are for."""

    def initialize(self, version, build_data):
        """Build before the package is put together; an editable one is built in its sources."""
        wanted = os.environ.get("SKAERNN_NATIVE", "")
        if self.target_name != "wheel" or wanted == "skip":
            return
        try:
            built = build(Path(self.root))
        except (OSError, subprocess.SubprocessError) as error:
            if wanted == "require":
                raise
            said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            reason = next((line for line in said if "error" in line), said[0] if said else "")
            self.app.display_warning(f"skaernn without compiled kernels: {reason}")
            return
        build_data["artifacts"] += [f"/{path.as_posix()}" for path in built]
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{_platform()}"


def build(root):
    """Compile all instruction sets of this processor's family; paths relative to `root`."""
    compiler, targets = _compiler(), _architectures()
    is_x86 = (targets or [platform.machine().lower()])[0] in ("x86_64", "amd64")
    where = [flag for target in targets for flag in ("-arch", target)]
    place = [] if sys.platform == "win32" else ["-fPIC"]
    built = []
    for name, flags in (X86 if is_x86 and len(targets) < 2 else {"baseline": []}).items():
        path = FOLDER / f"kernels-{name}{SUFFIXES.get(sys.platform, '.so')}"
        source = root / FOLDER / "src" / "kernels.cpp"
        new = root / f"{path}.new"
        command = [*compiler, *FLAGS, *place, *where, *flags, str(source), "-o", str(new)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        new.replace(root / path)  # who has opened the old one keeps it
        built.append(path)
    return built


def _compiler():
    """The command of a compiler that has vector extensions: GCC, Clang, or Zig's."""
    if "CXX" in os.environ:
        return shlex.split(os.environ["CXX"])
    for name in ("g++", "clang++"):
        if shutil.which(name):
            return [name]
    if find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "c++"]
    raise FileNotFoundError("there is no C++ compiler: neither g++ nor clang++ nor ziglang")


def _architectures():
    """What macOS is told to build for by ARCHFLAGS, which may be two at once."""
    words = os.environ.get("ARCHFLAGS", "").split()
    return [word for word in words if word != "-arch"] if sys.platform == "darwin" else []


def _platform():
    system, _, machine = sysconfig.get_platform().rpartition("-")
    targets = _architectures() or [machine]
    machine = "universal2" if len(targets) > 1 else targets[0]
    return "_".join([system, machine] if system else [machine]).replace("-", "_").replace(".", "_")
