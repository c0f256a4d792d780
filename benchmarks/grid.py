"""Is `RNNSequenceRegressor` ever slower than a plain PyTorch loop? Whole fits of many sizes.

    python benchmarks/grid.py [--cell NAME ...] [--units N ...] [--steps N ...] [--batch N ...]
                              [--seconds S] [--json PATH] [--markdown PATH] [--check]
    python benchmarks/grid.py --from PATH ... [--markdown PATH]     # the tables of records

Both train the same network on the same batches for as many epochs: a recurrent layer, a linear
output of the last step, Adam, 8 channels, float32; see `recurrent.py`. The clock is the CPU time
of one thread, around construction and `fit`, or around everything the loop does. A first fit in
the process, of a small network, comes before the clock starts.
"""

import run  # isort: skip  (before torch: it says how OpenMP's threads are to wait)

import argparse
import gc
import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np
from contenders import BASELINE
from recurrent import SAME, RecurrentProblem
from table import markdown_table

CELLS = ("rnn", "lstm", "gru")
UNITS = (1, 8, 32, 128, 512)
STEPS = (5, 50, 500)
BATCH = (1, 32, 200)
N_CHANNELS = 8
SECONDS = 0.2
# Some epochs rather than some batches: a fit ends with a look at the loss of up to 256 sequences,
# which would be a third of a single epoch, and nothing beside the usual two hundred.
MIN_EPOCHS, MAX_BATCHES = 3, 8
CALIBRATION = 0.05  # seconds of a fit that tells how long a batch takes
ROUNDS, ROUNDS_OF_LONG, LONG = 5, 3, 1.0  # seconds
# A ratio below this is called slower: medians of five rounds differ by some hundredths.
BAR = 0.97
NOTES = (
    "Two things to know. At 512 units a fit begins with some 10 ms for the orthogonal start, and "
    "ends with a look at 32 rows or more, which says whether the loss has fallen: both show in "
    "fits of three epochs of one batch. Over 500 steps the gradient of a loss of the last step "
    "fades to denormal numbers, with which processors are "
    "slow: the estimator has zeros for them, the loop only after `torch.set_flush_denormal`. "
    "With that, the ratio at 128 units, 500 steps, batches of 32 was 1.5 in place of 4.6 for RNN "
    "and 1.4 in place of 10 for LSTM."
)


def problem_of(cell, units, steps, batch, n_batches=1, epochs=1):
    """A fit of one size."""
    return RecurrentProblem(
        f"{cell}-{units}-{steps}-{batch}",
        cell,
        n_samples=n_batches * batch,
        n_steps=steps,
        n_channels=N_CHANNELS,
        hidden_size=units,
        batch_size=batch,
        epochs=epochs,
    )


def seconds_of_fit(contender, problem, X, seed):
    """CPU seconds of one fit."""
    gc.collect()
    start = time.process_time()
    result = contender(problem, X, seed)
    seconds = time.process_time() - start
    if result.n_epochs != problem.epochs:
        raise RuntimeError(f"{result.n_epochs} epochs trained, {problem.epochs} wanted")
    return seconds


def calibrated(size, wanted):
    """The fit that takes the loop about `wanted` seconds: epochs of at most eight batches."""
    seconds, epochs = 0, 1
    while seconds < CALIBRATION:
        epochs *= 4 if seconds else 1
        problem = problem_of(*size, epochs=epochs)
        seconds = seconds_of_fit(problem.contenders[BASELINE], problem, problem.make_data(), 0)
    n_updates = wanted * epochs / seconds
    n_batches = int(np.clip(n_updates / MIN_EPOCHS, 1, MAX_BATCHES))
    least = MIN_EPOCHS if seconds < 2 * LONG else 2  # of the longest, for want of time
    return problem_of(*size, n_batches, max(least, round(n_updates / n_batches)))


def warm_up(cells):
    """Pay for imports, once for each cell."""
    for cell in cells:
        problem = problem_of(cell, 8, 5, 32)
        for name in (BASELINE, SAME):
            seconds_of_fit(problem.contenders[name], problem, problem.make_data(), 0)


def measure(size, wanted):
    """One line of the record: the seconds of both, round by round, in turn."""
    problem = calibrated(size, wanted)
    X = problem.make_data()
    names = [BASELINE, SAME]
    contenders = problem.contenders
    times = {name: [] for name in names}
    for seed in range(ROUNDS):
        for name in run.rotated(names, seed):
            times[name].append(seconds_of_fit(contenders[name], problem, X, seed))
        if seed + 1 == ROUNDS_OF_LONG and min(times[BASELINE]) > LONG:
            break
    line = dict(zip(("cell", "units", "steps", "batch"), size, strict=True))
    line |= {"n_samples": problem.n_samples, "epochs": problem.epochs}
    line |= {"loop": times[BASELINE], "estimator": times[SAME]}
    print(f"{problem.name}: {_entry(line)}", file=sys.stderr, flush=True)
    return line


def ratios(line):
    """How many times as fast as the loop the estimator was, round by round."""
    return np.divide(line["loop"], line["estimator"])


def _entry(line):
    found = ratios(line)
    return f"{np.median(found):.2f} [{found.min():.2f}..{found.max():.2f}]"


def _sizes(line):
    return f"{line['units']} units, {line['steps']} steps, batches of {line['batch']}"


def _section(cell, lines):
    """The table of one cell: a row for units and steps, a column for batches."""
    by_size = {(line["units"], line["steps"], line["batch"]): line for line in lines}
    units, steps, batches = (sorted(set(column)) for column in zip(*by_size, strict=True))
    rows = [
        [f"{n}, {t}"] + [_entry(by_size[n, t, b]) if (n, t, b) in by_size else "" for b in batches]
        for n, t in itertools.product(units, steps)
        if any((n, t, b) in by_size for b in batches)
    ]
    header = ["units, steps", *(f"batches of {batch}" for batch in batches)]
    return f"### {cell.upper()}\n\n{markdown_table(header, rows)}"


def _smallest(cell, lines):
    """In words: the least favourable size of a cell, and how it is distributed."""
    medians = np.array([np.median(ratios(line)) for line in lines])
    least = lines[int(medians.argmin())]
    slower = int((medians < BAR).sum())
    return (
        f"- {cell.upper()}: smallest ratio {_entry(least)} ({_sizes(least)}), geometric mean "
        f"{np.exp(np.log(medians).mean()):.2f}, largest {medians.max():.2f}; "
        f"{slower} of {len(lines)} sizes below {BAR}"
    )


def render(record):
    """The record as Markdown."""
    machine = ", ".join(f"{key} {value}" for key, value in record["machine"].items())
    versions = ", ".join(f"{key} {value}" for key, value in record["versions"].items())
    found = {cell: [x for x in record["sizes"] if x["cell"] == cell] for cell in CELLS}
    found = {cell: lines for cell, lines in found.items() if lines}
    spreads = [ratios(line).max() / ratios(line).min() for line in record["sizes"]]
    return "\n".join(
        [
            f"Machine: {machine}.  ",
            f"Versions: {versions}.  ",
            f"{record['date']}, `benchmarks/grid.py`.",
            "",
            "How many times as fast as a plain PyTorch loop `RNNSequenceRegressor` fits the same "
            f"network: {N_CHANNELS} channels, a linear output of the last step, Adam, float32. "
            "CPU time of one thread, of construction and fit. Median over rounds that pair the "
            f"two, in brackets the smallest and the largest: {ROUNDS} rounds, {ROUNDS_OF_LONG} "
            f"where the loop takes more than {LONG:g} s. A fit has 1 to {MAX_BATCHES} batches an "
            f"epoch and epochs for {record['seconds']:g} s of the loop, {MIN_EPOCHS} at least "
            f"(2 where a batch takes more than {2 * LONG:g} s). Largest "
            f"divided by smallest ratio of a size: median {np.median(spreads):.2f}, at most "
            f"{max(spreads):.2f}.",
            "",
            NOTES,
            "",
            *(_smallest(cell, lines) for cell, lines in found.items()),
            "",
            "\n\n".join(_section(cell, lines) for cell, lines in found.items()),
        ]
    )


def parse(arguments):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cell", nargs="+", choices=CELLS, default=CELLS)
    parser.add_argument("--units", nargs="+", type=int, default=UNITS)
    parser.add_argument("--steps", nargs="+", type=int, default=STEPS)
    parser.add_argument("--batch", nargs="+", type=int, default=BATCH)
    parser.add_argument("--json", type=Path, help="where to write machine, versions, raw times")
    parser.add_argument("--markdown", type=Path, help="where to write the table")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a fit of the loop")
    option = parser.add_argument("--from", nargs="+", type=Path, default=[], dest="records")
    option.help = "records to make tables of; nothing is measured"
    parser.add_argument("--check", action="store_true", help=f"exit with 1 below {BAR}")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Measure, print, write; the exit status."""
    options = parse(arguments)
    records = [json.loads(path.read_text()) for path in options.records]
    if not records:
        sizes = itertools.product(options.cell, options.units, options.steps, options.batch)
        record = {"machine": run.machine(), "versions": run.versions()}
        record["date"] = time.strftime("%Y-%m-%d")
        record |= {"seconds": options.seconds, "sizes": []}
        with run.threads(1):
            warm_up(options.cell)
            for size in sizes:
                record["sizes"].append(measure(size, options.seconds))
                if options.json:  # after each: an interrupted run has its record, too
                    options.json.write_text(json.dumps(record, indent=1) + "\n")
        records = [record]
    text = "\n\n".join(map(render, records))
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n")
    lines = [line for record in records for line in record["sizes"]]
    slower = any(np.median(ratios(line)) < BAR for line in lines)
    return int(options.check and slower)


if __name__ == "__main__":
    sys.exit(main())
