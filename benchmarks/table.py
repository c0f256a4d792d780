"""Turns the record of a run into Markdown: `python benchmarks/table.py results/FILE.json`.

`run.py` prints the same text. Nothing is computed anywhere else: the record holds raw times.
"""

import argparse
import json
from pathlib import Path

import numpy as np

MODES = {"cpu_1": "CPU ms, 1 thread", "wall_2": "wall ms, 2 threads"}
MAX_SPREAD = 1.5
MAX_LOSS_RATIO = 1.1
MIN_REPEATS = 5
MAX_SLOWDOWN = 1.2
READING = (
    "Times are median [min..max]. Speed is how many times as fast as the PyTorch loop: the median "
    "of the ratios within each round. Spread is the 90th percentile of the times divided by the "
    f"10th; above {MAX_SPREAD}, of a contender or of the loop, there is no verdict. Loss is the "
    "mean squared error on X after training, the median over rounds."
)


def spread(times):
    """90th percentile divided by the 10th."""
    low, high = np.quantile(times, [0.1, 0.9])
    return high / low


def median_ratio(numerators, denominators):
    """Median of the ratios round by round, so that drift of the machine cancels."""
    return float(np.median(np.divide(numerators, denominators)))


def ratio_of_medians(numerators, denominators):
    """For losses: one seed draws other weights in each library, so rounds are no pairs."""
    return float(np.median(numerators) / np.median(denominators))


def verdict(problem, name, mode):
    """Whether a contender reaches its bar: a word or two, "" where nothing is demanded.

    Parameters
    ----------
    problem : dict
        One problem of the record.
    name : str
        The contender.
    mode : str
        A key of `MODES`.
    """
    bar = problem["bars"].get(name)
    if bar is None:
        return ""
    contender = problem["contenders"].get(name)
    if contender is None:
        return "not measured"
    loop = problem["contenders"][problem["baseline"]]
    times, loop_times = contender[mode], loop[mode]
    if len(times) < MIN_REPEATS:
        return "too few repeats"
    loss_ratio = ratio_of_medians(contender["loss"], loop["loss"])
    if name in problem["same_training"] and not loss_ratio <= MAX_LOSS_RATIO:  # NaN too
        return "not comparable"
    if max(spread(times), spread(loop_times)) > MAX_SPREAD:
        return "noisy, no verdict"
    return "reached" if median_ratio(loop_times, times) >= bar else "missed"


def footprint_verdict(value, bar, judged=True):
    """The same for a number that must not exceed its bar."""
    if not judged:
        return "reduced run, no verdict"
    return "reached" if value <= bar else "missed"


def all_verdicts(record):
    """Every verdict of the record, empty ones left out."""
    found = [
        verdict(problem, name, mode)
        for problem in record["problems"]
        for name in problem["bars"]
        for mode in MODES
    ]
    found += [part["verdict"] for part in (record["memory"], record["import"]) if part]
    return [word for word in found if word]


def slow_loop(problem):
    """A warning where two threads hurt the loop itself: its rivals win wall time for nothing."""
    loop = problem["contenders"][problem["baseline"]]
    slowdown = median_ratio(loop["wall_2"], loop["cpu_1"])
    if slowdown <= MAX_SLOWDOWN:
        return []
    speeds = [
        f"{name} {median_ratio(loop['cpu_1'], problem['contenders'][name]['wall_2']):.2f}"
        for name in problem["contenders"]
        if name != problem["baseline"]
    ]
    return [
        f"Two threads slow the loop itself down {slowdown:.1f} times. Wall time of two threads "
        f"against the loop on one: {', '.join(speeds)}."
    ]


def _milliseconds(times):
    digits = 0 if np.median(times) >= 1 else 1
    low, middle, high = (f"{1000 * t:.{digits}f}" for t in np.quantile(times, [0, 0.5, 1]))
    return f"{middle} [{low}..{high}]"


def _row(problem, name):
    contender, loop = problem["contenders"][name], problem["contenders"][problem["baseline"]]
    cells = [name]
    for mode in MODES:
        times = contender[mode]
        ratio = median_ratio(loop[mode], times)
        cells += [_milliseconds(times), f"{spread(times):.2f}", f"{ratio:.2f}"]
    loss_ratio = ratio_of_medians(contender["loss"], loop["loss"])
    cells += [f"{np.median(contender['loss']):.5f}", f"{loss_ratio:.3f}"]
    bar = problem["bars"].get(name)
    words = [verdict(problem, name, mode) for mode in MODES]
    return [*cells, "" if bar is None else f"{bar:g}", *words]


def markdown_table(header, rows):
    """A Markdown table padded for the eye; the first column to the left, the rest right."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    align = [str.ljust, *[str.rjust] * (len(header) - 1)]
    padded = [
        [pad(cell, width) for pad, cell, width in zip(align, line, widths, strict=True)]
        for line in (header, rule, *rows)
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in padded)


def _problem_section(problem):
    header = ["contender"]
    for label in MODES.values():
        header += [label, "spread", "speed"]
    header += ["loss", "loss ratio", "bar", "CPU verdict", "wall verdict"]
    rows = [_row(problem, name) for name in problem["contenders"]]
    lines = [f"### {problem['name']}", "", problem["description"], ""]
    lines.append(markdown_table(header, rows))
    left_out = [f"{name} was left out: {why}." for name, why in problem["left_out"].items()]
    for note in problem["notes"] + slow_loop(problem) + left_out:
        lines += ["", note]
    return "\n".join(lines)


def _footprint_section(record):
    lines = ["### Memory and import", ""]
    memory, imports = record["memory"], record["import"]
    if memory and "error" in memory:
        lines.append(f"- memory of `transform`: not measured ({memory['error']})")
    elif memory:
        lines.append(
            f"- `transform` of {memory['rows']:,} rows of 100 float32 features: "
            f"{memory['bytes_beyond'] / 1e6:.0f} MB beyond X ({memory['bytes_x'] / 1e6:.0f} MB) "
            f"and the result ({memory['bytes_result'] / 1e6:.0f} MB), in "
            f"{memory['seconds']:.2f} s; bar {memory['bar'] / 1e6:.0f} MB: {memory['verdict']}"
        )
    if imports and "error" in imports:
        lines.append(f"- `import skaernn`: not measured ({imports['error']})")
    elif imports:
        seconds = imports["seconds"]
        lines.append(
            f"- `import skaernn` after torch and scikit-learn: {np.median(seconds):.3f} s "
            f"[{min(seconds):.3f}..{max(seconds):.3f}], {len(seconds)} processes; "
            f"bar {imports['bar']:g} s: {imports['verdict']}"
        )
    return "\n".join(lines)


def summary(record):
    """The README's table: speed on one thread, and the loss that was reached.

    Parameters
    ----------
    record : dict
        What ``run.py --json`` wrote.
    """
    tables = {}
    for problem in record["problems"]:
        tables.setdefault(tuple(problem["contenders"]), []).append(problem)
    return "\n\n".join(_summary_of(names, problems) for names, problems in tables.items())


def _summary_of(names, problems):
    """One table of those that the same contenders took part in."""
    rows = []
    for problem in problems:
        loop = problem["contenders"][problem["baseline"]]
        cells = [problem["description"].split(", Adam")[0]]
        for name in names:
            contender = problem["contenders"][name]
            speed = median_ratio(loop["cpu_1"], contender["cpu_1"])
            loss = ratio_of_medians(contender["loss"], loop["loss"])
            cells.append(f"{speed:.1f} ({loss:.2f})")
        rows.append(cells)
    return markdown_table(["training", *names], rows)


def render(record):
    """The whole record as Markdown."""
    machine = ", ".join(f"{key} {value}" for key, value in record["machine"].items())
    versions = ", ".join(f"{key} {value}" for key, value in record["versions"].items())
    parts = [f"Machine: {machine}.  ", f"Versions: {versions}.  ", record["settings"], "", READING]
    for problem in record["problems"]:
        parts += ["", _problem_section(problem)]
    if record["memory"] or record["import"]:
        parts += ["", _footprint_section(record)]
    return "\n".join(parts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Markdown table of a record of run.py")
    parser.add_argument("path", type=Path, help="what run.py --json wrote")
    parser.add_argument("--summary", action="store_true", help="the README's table only")
    arguments = parser.parse_args()
    record = json.loads(arguments.path.read_text())
    print(summary(record) if arguments.summary else render(record))
