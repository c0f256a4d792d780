"""Speed of one training in several libraries, and the memory and import time of skaernn.

    python benchmarks/run.py [--problem NAME ...] [--repeats N] [--json PATH] [--quick] [--check]
                             [--spin] [--no-footprint]

Times the call that builds and trains, nothing else; the reached loss is computed after the clock
has stopped. The contenders take turns within every round, so that a slow minute of the machine
hits them all, and are compared round by round.
"""

import os
import sys

# Read once, when the first OpenMP runtime is loaded, so set before anything numeric is imported:
# threads that spin between two products collapse as soon as another process wants their core.
os.environ["OMP_WAIT_POLICY"] = "ACTIVE" if "--spin" in sys.argv else "PASSIVE"

import argparse
import gc
import importlib.metadata
import json
import platform
import time
from contextlib import contextmanager
from pathlib import Path

import footprint
import numpy as np
import torch
from contenders import BASELINE
from family import FAMILY_PROBLEMS
from problems import PROBLEMS
from recurrent import RECURRENT_PROBLEMS
from table import all_verdicts, footprint_verdict, render
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(footprint.ROOT))  # measure this checkout, installed or not

ALL_PROBLEMS = (*PROBLEMS, *FAMILY_PROBLEMS, *RECURRENT_PROBLEMS)
# name in the record: threads, clock
MODES = {"cpu_1": (1, time.process_time), "wall_2": (2, time.perf_counter)}
REPEATS, QUICK_REPEATS = 9, 2
QUICK_ROWS = 100_000
# Seconds for the threads of the contender before to fall asleep: OpenBLAS's spin for some 30 ms,
# on a core that wall time wants, on the clock that counts the CPU time of the whole process.
SETTLING = 0.1
IMPORT_REPEATS, QUICK_IMPORT_REPEATS = 9, 3
FAILURES = {"missed", "not comparable", "not measured"}


@contextmanager
def threads(n):
    """Give n threads to torch and to the BLAS behind numpy, and take them back."""
    before = torch.get_num_threads()
    with threadpool_limits(limits=n):
        torch.set_num_threads(n)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def timed_fit(contender, problem, X, seed, mode):
    """Seconds of one fit on the mode's clock, and the mean squared error it reached."""
    n_threads, clock = MODES[mode]
    with threads(n_threads):
        gc.collect()
        time.sleep(SETTLING)
        start = clock()
        result = contender(problem, X, seed)
        seconds = clock() - start
        error = float(np.mean((result.predict(X).astype(np.float64) - problem.target(X)) ** 2))
    if result.n_epochs != problem.epochs:
        raise RuntimeError(f"{result.n_epochs} epochs trained, {problem.epochs} wanted")
    return seconds, error


def warm_up(problem, X):
    """Run each contender once; what can run, and why the rest cannot."""
    ready, left_out = {}, {}
    for name, contender in problem.contenders.items():
        try:
            timed_fit(contender, problem, X, 0, "wall_2")
            ready[name] = contender
        except ImportError as error:
            left_out[name] = str(error)
    return ready, left_out


def rotated(items, by):
    """The items, starting with another one each round: none always follows the same rival."""
    items = list(items)
    by %= len(items)
    return items[by:] + items[:by]


def measure(problem, repeats):
    """All rounds of one problem, as the record keeps them. The seed is the round's number."""
    X = problem.make_data()
    contenders, left_out = warm_up(problem, X)
    times = {name: {"cpu_1": [], "wall_2": [], "loss": []} for name in contenders}
    for seed in range(repeats):
        print(f"{problem.name}: round {seed + 1} of {repeats}", file=sys.stderr)
        for mode in MODES:
            for name in rotated(contenders, seed):
                seconds, error = timed_fit(contenders[name], problem, X, seed, mode)
                times[name][mode].append(seconds)
                times[name]["loss"].append(error)
    return {
        "name": problem.name,
        "description": problem.describe(X),
        "baseline": BASELINE,
        "same_training": list(problem.same_training),
        "bars": problem.bars,
        "contenders": times,
        "left_out": left_out,
        "notes": list(problem.notes),
    }


def measure_memory(quick):
    """Memory of `transform`; judged at the full number of rows only."""
    rows = QUICK_ROWS if quick else footprint.FULL_ROWS
    try:
        found = footprint.transform_memory(rows)
    except RuntimeError as error:
        return {"error": str(error), "verdict": "not measured"}
    word = footprint_verdict(found["bytes_beyond"], footprint.MEMORY_BAR, judged=not quick)
    return found | {"bar": footprint.MEMORY_BAR, "verdict": word}


def measure_import(quick):
    """Time of `import skaernn` after torch and scikit-learn."""
    try:
        seconds = footprint.import_times(QUICK_IMPORT_REPEATS if quick else IMPORT_REPEATS)
    except RuntimeError as error:
        return {"error": str(error), "verdict": "not measured"}
    word = footprint_verdict(np.median(seconds), footprint.IMPORT_BAR, judged=not quick)
    return {"seconds": seconds, "bar": footprint.IMPORT_BAR, "verdict": word}


def machine():
    """What the numbers were measured on; the load tells whether others were at work."""
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    load = f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "CPU": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load at the start": load,
    }


def versions():
    """Versions of Python and of what takes part."""
    found = {"Python": platform.python_version()}
    for name in ("numpy", "torch", "scikit-learn", "skorch", "skaernn"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    if found["skaernn"] == "not installed":
        found["skaernn"] = "of this checkout, not installed"
    return found


def parse(arguments):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [problem.name for problem in ALL_PROBLEMS]
    parser.add_argument("--problem", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--repeats", type=int, help=f"rounds, {REPEATS} unless --quick")
    parser.add_argument("--json", type=Path, help="where to write machine, versions, raw times")
    parser.add_argument("--quick", action="store_true", help="see that all runs; no verdicts")
    parser.add_argument("--no-footprint", action="store_true", help="no memory, no import time")
    parser.add_argument("--spin", action="store_true", help="let idle OpenMP threads spin")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bar is missed")
    options = parser.parse_args(arguments)
    if options.repeats is None:
        options.repeats = QUICK_REPEATS if options.quick else REPEATS
    if options.repeats < 1:
        parser.error("--repeats must be at least 1")
    return options


def main(arguments=None):
    """Measure, print, write; the exit status."""
    options = parse(arguments)
    footprints = not options.no_footprint
    record = {
        "machine": machine(),
        "versions": versions(),
        "settings": f"{options.repeats} rounds, {time.strftime('%Y-%m-%d')}, "
        f"OMP_WAIT_POLICY={os.environ['OMP_WAIT_POLICY']}.",
        "problems": [
            measure(problem, options.repeats)
            for problem in ALL_PROBLEMS
            if problem.name in options.problem
        ],
        "memory": measure_memory(options.quick) if footprints else None,
        "import": measure_import(options.quick) if footprints else None,
    }
    print(render(record))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    return int(options.check and not FAILURES.isdisjoint(all_verdicts(record)))


if __name__ == "__main__":
    sys.exit(main())
