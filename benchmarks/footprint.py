"""Memory of `transform` and time of `import skaernn`, each in a process of its own.

The parent calls `transform_memory` and `import_times`; the child is this file run as a script,
which imports nothing heavy before the part that measures it.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEMORY_BAR = 200e6  # bytes beyond X and the result
IMPORT_BAR = 0.1  # seconds beyond torch and the parts of scikit-learn any estimator needs
FULL_ROWS = 1_000_000


def _in_fresh_process(*arguments):
    """Run this file with the arguments; the JSON it prints, or a RuntimeError with its cry."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},  # this checkout, installed or not
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "no output").splitlines()[-1])
    return json.loads(done.stdout)


def transform_memory(n_rows):
    """Bytes needed by `transform` of (n_rows, 100) float32 beyond X and the result."""
    return _in_fresh_process("memory", n_rows)


def import_times(repeats):
    """Seconds of `import skaernn` in fresh processes that have imported torch and sklearn."""
    _in_fresh_process("import")  # writes the bytecode files
    return [_in_fresh_process("import")["seconds"] for _ in range(repeats)]


def _resident_bytes():
    """Memory resident now; where /proc is missing, the peak so far."""
    return _status_bytes("VmRSS") or _peak_bytes()


def _peak_bytes():
    """Largest memory resident so far.

    Linux carries `ru_maxrss` of a parent over into the program it starts, so that a large
    parent hides what a small child does; VmHWM starts anew.
    """
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return _status_bytes("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status_bytes(key):
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    values = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(values[key].split()[0]) * 1024 if key in values else None


def _measure_memory(n_rows):
    import numpy as np

    from skaernn import AutoencoderTransformer

    rng = np.random.default_rng(0)
    model = AutoencoderTransformer(max_iter=2, random_state=0)
    model.fit(rng.random((1000, 100), dtype=np.float32))
    X = rng.random((n_rows, 100), dtype=np.float32)
    before = _resident_bytes()
    start = time.perf_counter()
    codes = model.transform(X)
    seconds = time.perf_counter() - start
    return {
        "rows": n_rows,
        "bytes_beyond": _peak_bytes() - before - codes.nbytes,
        "bytes_x": X.nbytes,
        "bytes_result": codes.nbytes,
        "seconds": seconds,
    }


def _measure_import():
    for name in ("torch", "sklearn.base", "sklearn.utils.validation"):
        importlib.import_module(name)
    start = time.perf_counter()
    importlib.import_module("skaernn")
    return {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    task, *numbers = sys.argv[1:]
    measurement = {"memory": _measure_memory, "import": _measure_import}[task]
    print(json.dumps(measurement(*map(int, numbers))))
