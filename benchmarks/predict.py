"""How long answers take: `predict`, `transform` and streams beside torch's layers and others.

    python benchmarks/predict.py [--quick] [--parts PART ...] [--streams N ...]
                                 [--keras PYTHON] [--out FOLDER] [--check]
    python benchmarks/predict.py --from RECORD.json [--out FOLDER]    # tables of a record

Three parts, all on one thread, in CPU seconds, in float32 and float64: "latency" (one sequence,
one step, one row), "throughput" (many of them in a call), "growth" (with rows, steps and units).
Contenders take turns in every round. Before the clock starts each one's answers are compared
with those of torch in float64; where they differ nothing is reported and the exit status is 2.

`--keras` names the Python of an environment with Keras 3 and JAX. `--out` is where predict.json,
predict.md and predict.png (which wants matplotlib) are written.
"""

import run  # isort: skip  (before torch: it says how OpenMP's threads are to wait)

import argparse
import contextlib
import gc
import io
import json
import math
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import answers
import growth
import numpy as np
from answers import Bar
from keras_peer import KerasPeer
from predict_table import failures, render

import skaernn

PARTS = ("latency", "throughput", "growth")
CELLS = ("rnn", "lstm", "gru", "mingru")
DTYPES = ("float32", "float64")
# of the largest number of the answer: some ulps of fifty steps
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}

# What is demanded. One answer: seconds beyond `StandardScaler.transform` of the same numbers.
BEYOND_SCALER = {"sequence": 80e-6, "step": 80e-6, "row": 60e-6}
STREAM_STEP = 15e-6  # seconds of one step by a stream
SPEED_OF_LAYER = {"lstm": 1.0, "gru": 2.0, "rnn": 2.0}  # of 5000 sequences, at once or in parts
SPEED_OF_MODULE = 1.0  # of 200 000 rows, beside our own module in chunks
STEPS_A_SECOND = {("gru", "float32"): 3e6}  # of many streams

N_SEQUENCES, N_ROWS, N_STREAMS = 5000, 200_000, 100_000
ROUNDS_OF_LONG = 3
OF_NETWORK = f"{answers.N_CHANNELS} channels, {answers.N_UNITS} units"


@dataclass(frozen=True)
class Effort:
    """How often and how long is measured."""

    rounds: dict
    sample: float  # seconds of a contender's turn, at least a call
    long: float = 1.0  # seconds of a call from which on fewer rounds do


FULL = Effort({"latency": 21, "throughput": 9, "growth": 5}, sample=0.01)
QUICK = Effort({"latency": 5, "throughput": 2, "growth": 1}, sample=0.003)


class Disagreement(RuntimeError):
    """Contenders do not do the same work."""


def check_agreement(task):
    """Refuse contenders whose answers are not those that are expected, or of another type."""
    for name, contender in task.contenders.items():
        found = contender.answer()
        expected = getattr(contender, "expected", None)
        expected = task.expected if expected is None else expected
        where = f"{task.group}, {task.column} {task.dtype}, {name}"
        if found.dtype != task.dtype or found.shape != expected.shape:
            raise Disagreement(
                f"{where}: {found.dtype} of shape {found.shape}, not {task.dtype} of shape "
                f"{expected.shape}"
            )
        error = float(np.abs(found - expected).max() / np.abs(expected).max())
        if not error <= TOLERANCE[task.dtype]:  # NaN too
            raise Disagreement(f"{where}: answers differ by {error:.1e} of the largest")


def calls_a_turn(contender, sample):
    """How many calls a turn is made of; the answer has been looked at, so it has run once."""
    first = contender.seconds(1)
    if first < sample:  # the first calls are slower than those that follow
        n = max(1, min(10, int(sample / max(first, 1e-7))))
        first = contender.seconds(n) / n
    return max(1, math.ceil(sample / max(first, 1e-7)))


def measure(task, part, effort):
    """A line of the record: seconds of a call, round by round, in turn."""
    check_agreement(task)
    n_calls = {name: calls_a_turn(c, effort.sample) for name, c in task.contenders.items()}
    times = {name: [] for name in task.contenders}
    for i in range(effort.rounds[part]):
        gc.collect()
        for name in run.rotated(task.contenders, i):
            if i < ROUNDS_OF_LONG or min(times[name]) < effort.long:
                times[name].append(task.contenders[name].seconds(n_calls[name]) / n_calls[name])
    line = {"part": part, "group": task.group, "column": task.column, "dtype": task.dtype}
    line |= {"n_items": task.n_items, "seconds": times, "left_out": task.left_out}
    other = [
        name for name, c in task.contenders.items() if getattr(c, "expected", None) is not None
    ]
    line |= {"other_work": other, "bars": [asdict(bar) for bar in task.bars], "facts": task.facts}
    medians = ", ".join(f"{name} {1e6 * np.median(s):.0f}" for name, s in times.items())
    print(f"{task.group}, {task.column} {task.dtype} (µs): {medians}", file=sys.stderr, flush=True)
    return line


def latency(peer):
    """Tasks of one answer."""
    for dtype in DTYPES:
        for cell in CELLS:
            fitted = answers.Recurrent(cell, dtype)
            task = answers.sequences(fitted, 1, answers.N_STEPS, peer)
            task.group = f"One sequence of {answers.N_STEPS} steps, {OF_NETWORK}"
            answers.add_scaler(
                task, answers.noise(1, answers.N_STEPS * answers.N_CHANNELS, dtype=dtype)
            )
            task.bars = [Bar(answers.OURS, "beyond", BEYOND_SCALER["sequence"], answers.SCALER)]
            yield task
            task = answers.steps(fitted, 1, peer)
            task.group = f"One step with state, {OF_NETWORK}"
            answers.add_scaler(task, answers.noise(1, answers.N_CHANNELS, dtype=dtype))
            task.bars = [
                Bar(answers.STEP, "beyond", BEYOND_SCALER["step"], answers.SCALER),
                Bar(answers.STREAM, "at most", STREAM_STEP),
            ]
            yield task
        task = answers.rows(dtype, 1, peer)
        task.group = "One row to its code"
        task.bars = [Bar(answers.ROWS, "beyond", BEYOND_SCALER["row"], answers.SCALER)]
        yield task


def throughput(peer, n_streams):
    """Tasks of many answers."""
    for dtype in DTYPES:
        for cell in CELLS:
            fitted = answers.Recurrent(cell, dtype)
            task = answers.sequences(fitted, N_SEQUENCES, answers.N_STEPS, peer)
            task.group = f"{N_SEQUENCES} sequences of {answers.N_STEPS} steps, {OF_NETWORK}"
            if cell in SPEED_OF_LAYER:
                task.bars = [
                    Bar(answers.OURS, "speed", SPEED_OF_LAYER[cell], beside)
                    for beside in (answers.LAYER, answers.LAYER_FEW)
                ]
            yield task
            for n in n_streams:
                task = answers.steps(fitted, n, peer)
                task.group = f"{n} streams, one step each, {OF_NETWORK}"
                name = answers.STREAM if answers.STREAM in task.contenders else answers.STEP
                if (cell, dtype) in STEPS_A_SECOND:
                    task.bars = [Bar(name, "rate", STEPS_A_SECOND[cell, dtype])]
                yield task
        task = answers.rows(dtype, N_ROWS, peer)
        task.group = f"{N_ROWS} rows to their codes"
        task.bars = [Bar(answers.ROWS, "speed", SPEED_OF_MODULE, answers.MODULE_CHUNKS)]
        yield task


def kernels():
    """What computes our answers, as `skaernn.show_versions` says it."""
    said = io.StringIO()
    if hasattr(skaernn, "show_versions"):
        with contextlib.redirect_stdout(said):
            skaernn.show_versions()
    found = [line.split(":")[1] for line in said.getvalue().splitlines() if "in use:" in line]
    return found[0].strip() if found else "torch"


def tasks_of(part, options, peer):
    """What a part consists of."""
    if part == "latency":
        return latency(peer)
    if part == "throughput":
        return throughput(peer, options.streams)
    return growth.tasks(DTYPES, options.quick)


def measure_all(options, peer):
    """The record."""
    effort = QUICK if options.quick else FULL
    versions = run.versions() | {"kernels of skaernn": kernels()}
    record = {"machine": run.machine(), "versions": versions | (peer.versions if peer else {})}
    rounds = ", ".join(f"{part} {effort.rounds[part]}" for part in options.parts)
    record["settings"] = (
        f"{time.strftime('%Y-%m-%d')}, `benchmarks/predict.py`; one thread, CPU time; rounds: "
        f"{rounds} ({ROUNDS_OF_LONG} where a call takes over {effort.long:g} s), a turn of "
        f"{effort.sample:g} s or one call."
    )
    record |= {"quick": options.quick, "lines": []}
    with run.threads(1):
        for part in options.parts:
            for task in tasks_of(part, options, peer):
                record["lines"].append(measure(task, part, effort))
    return record


def write(record, folder):
    """The record, its tables and its picture."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "predict.json").write_text(json.dumps(record, indent=1) + "\n")
    (folder / "predict.md").write_text(render(record) + "\n")
    if any(line["part"] == "growth" for line in record["lines"]):
        growth.draw(record, folder / "predict.png")


def parse(arguments):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="see that all runs; few rounds")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--streams", nargs="+", type=int, default=[N_STREAMS], metavar="N")
    parser.add_argument("--keras", metavar="PYTHON", help="of an environment with Keras and JAX")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to write the results")
    parser.add_argument("--from", type=Path, dest="record", metavar="JSON", help="measure nothing")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bar is missed")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Measure, print, write; the exit status."""
    options = parse(arguments)
    if options.record:
        record = json.loads(options.record.read_text())
    else:
        peer = KerasPeer(options.keras) if options.keras else None
        try:
            record = measure_all(options, peer)
        except Disagreement as error:
            print(f"Nothing is reported: {error}", file=sys.stderr)
            return 2
        finally:
            if peer:
                peer.close()
    print(render(record))
    if options.out:
        write(record, options.out)
    return int(options.check and bool(failures(record)))


if __name__ == "__main__":
    sys.exit(main())
