"""Build hook of hatchling: compiles the kernels, where there is a C++ compiler.

Where there is none, the wheel is a pure one, and torch computes everything. The kernels know
nothing of Python, so that one wheel, ``py3-none-<platform>``, serves all its versions.

``SKAERNN_NATIVE=require`` makes an error of a failure, ``SKAERNN_NATIVE=skip`` builds none,
``CXX`` names the compiler: GCC, Clang or zig, which the package ``ziglang`` holds (install it
with hatchling, and build without isolation); MSVC has no vectors.
``python build_native.py`` builds into the source tree alone, as an editable install does.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = Path(__file__).parent / "skaernn" / "_native"
SOURCE = str(PACKAGE / "src" / "kernels.cpp")
FLAGS = [
    *("-std=c++17", "-O3", "-g0", "-shared", "-fno-exceptions", "-fno-rtti"),
    *("-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden"),
]
X86 = {
    "baseline": [],
    "avx2": ["-mavx2", "-mfma"],
    "avx512": [
        *("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"),
        "-mprefer-vector-width=512",
    ],
}


def compilers():
    """Commands to try: the one that CXX names and no other, or the usual ones, zig the last."""
    if named := os.environ.get("CXX"):
        return [shlex.split(named, posix=os.name != "nt")]
    # not on Windows: there GCC aligns the stack too badly for vectors of 32 bytes (its bug 54412)
    names = () if os.name == "nt" else ("c++", "g++", "clang++")
    usual = [[name] for name in names if shutil.which(name)]
    # `zig c++` would first build a C++ library, for a minute; for this processor, unless told
    zig = [sys.executable, "-m", "ziglang", "cc", "-x", "c++", "-mcpu=baseline"]
    return [*usual, zig] if find_spec("ziglang") else usual


def libraries(platform):
    """Files to build for a platform, named as in a wheel's tag, and the flags of each."""
    x86 = X86 if platform.endswith(("x86_64", "amd64", "universal2")) else {"baseline": []}
    if platform.startswith("win"):
        return {f"kernels-{name}.dll": flags for name, flags in x86.items()}
    if not platform.startswith("macosx"):  # the driver for C++ names its library: leave it out
        elf = ["-fPIC", "-Wl,--as-needed,-z,defs"]
        return {f"kernels-{name}.so": [*flags, *elf] for name, flags in x86.items()}
    oldest = "-mmacosx-version-min={}.{}".format(*re.findall(r"\d+", platform))
    arm, intel = ["-arch", "arm64"], ["-arch", "x86_64"]
    archs = {name: arm if platform.endswith("arm64") else intel for name in x86}
    if platform.endswith("universal2"):
        archs["baseline"] = [*arm, *intel]
    return {f"kernels-{name}.dylib": [*x86[name], *archs[name], oldest, "-fPIC"] for name in x86}


def build(platform, folder):
    """Compile all libraries into a folder with the first compiler that can; return their paths."""
    said = "no C++ compiler was found"
    for compiler in compilers():
        commands = [
            [*compiler, *FLAGS, *flags, SOURCE, "-o", str(folder / name)]
            for name, flags in libraries(platform).items()
        ]
        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(_run, commands))
            return [folder / name for name in libraries(platform)]
        except OSError as error:
            said = f"{compiler[0]}: {error}"
    raise RuntimeError(said)


def clear_tree():
    """Take away what an earlier build left beside the Python files."""
    for old in PACKAGE.glob("kernels-*"):
        old.unlink()


def build_in_tree(platform, folder):
    """Put the libraries beside the Python files."""
    for path in build(platform, folder):
        shutil.move(path, PACKAGE / path.name)


def _run(command):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise OSError(done.stderr.strip() or f"exit status {done.returncode}")


class NativeHook(BuildHookInterface):
    """Adds the kernels to a wheel, or to the tree that an editable install points to."""

    def initialize(self, version, build_data):
        """Compile, and name the wheel's platform if that went well."""
        self.scratch = tempfile.TemporaryDirectory(prefix="skaernn-")
        folder = Path(self.scratch.name)
        platform = self.build_config.builder.get_best_matching_tag().rpartition("-")[2]
        asked = os.environ.get("SKAERNN_NATIVE", "")
        if asked not in ("", "require", "skip"):
            raise ValueError(f"SKAERNN_NATIVE is {asked!r}, but must be require or skip, or empty")
        if version == "editable":
            clear_tree()
        if asked == "skip":
            return
        try:
            if version == "editable":
                build_in_tree(platform, folder)
                return
            for path in build(platform, folder):
                build_data["force_include"][str(path)] = f"skaernn/_native/{path.name}"
        except RuntimeError as error:
            if asked == "require":
                raise
            lines = str(error).splitlines()
            why = next((line for line in lines if "error" in line), lines[0])
            self.app.display_warning(f"skaernn without compiled kernels, torch serves: {why}")
            return
        build_data["tag"], build_data["pure_python"] = f"py3-none-{platform}", False

    def finalize(self, version, build_data, artifact_path):
        """Clear away what the wheel now holds."""
        self.scratch.cleanup()


if __name__ == "__main__":
    clear_tree()
    with tempfile.TemporaryDirectory() as scratch:
        build_in_tree(re.sub(r"[-.]", "_", sysconfig.get_platform()), Path(scratch))
