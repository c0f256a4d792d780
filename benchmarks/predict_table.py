"""Turns the record of `predict.py` into Markdown: `python benchmarks/predict_table.py RECORD`.

`predict.py` prints the same text. Nothing is computed anywhere else: the record holds raw times.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from table import markdown_table, spread

READING = (
    "Times are medians over rounds. In brackets stands how many times as fast as that contender "
    "the first one of the table is: the median of the ratios within each round. Answers of all "
    "contenders were compared with torch's in float64 before the clock started; those marked * "
    "do another work, and were compared with what that should give."
)
# columns of the README's table: contenders by the beginnings of their names
SUMMARISED = {
    "torch": ("torch's layer", "its own module_"),
    "skorch": ("skorch",),
    "Keras": ("Keras",),
    "MLPRegressor": ("MLPRegressor",),
}


def paired(times, others):
    """Both as arrays of the rounds in which both took part: who is slow has fewer of them."""
    n = min(len(times), len(others))
    return np.array(times[:n]), np.array(others[:n])


def speed(times, others):
    """How many times as fast as the others: the median of the ratios round by round."""
    ours, theirs = paired(times, others)
    return float(np.median(theirs / ours))


def judged(line, bar):
    """What was found of a bar, in its unit; None where its contender was not there."""
    times = line["seconds"]
    if bar["contender"] not in times or (bar["beside"] and bar["beside"] not in times):
        return None
    ours = times[bar["contender"]]
    if bar["kind"] == "beyond":
        ours, theirs = paired(ours, times[bar["beside"]])
        return float(np.median(ours - theirs))
    if bar["kind"] == "at most":
        return float(np.median(ours))
    if bar["kind"] == "speed":
        return speed(ours, times[bar["beside"]])
    return line["n_items"] / float(np.median(ours))


def verdict(line, bar):
    """In a word or two."""
    found = judged(line, bar)
    if found is None:
        return "not measured"
    up = bar["kind"] in ("speed", "rate")
    return "reached" if (found >= bar["value"] if up else found <= bar["value"]) else "missed"


def failures(record):
    """Bars that were not reached."""
    found = [verdict(line, bar) for line in record["lines"] for bar in line["bars"]]
    return [word for word in found if word != "reached"]


def _in_units(kind, value):
    if kind == "speed":
        return f"{value:.2f} times"
    if kind == "rate":
        return f"{value / 1e6:.2f} million/s"
    return f"{1e6 * value:.1f} µs"


def _bar_rows(record):
    for line in record["lines"]:
        for bar in line["bars"]:
            found, kind = judged(line, bar), bar["kind"]
            beside = f", beyond {bar['beside']}" if kind == "beyond" else ""
            beside = f", speed of {bar['beside']}" if kind == "speed" else beside
            contender = f"{bar['contender']}{beside}"
            times = line["seconds"].get(bar["contender"])
            yield [
                line["group"].split(",")[0],
                f"{line['column']} {line['dtype']}",
                contender,
                "" if found is None else _in_units(kind, found),
                "" if times is None else f"{spread(times):.2f}",
                ("at least " if kind in ("speed", "rate") else "at most ")
                + _in_units(kind, bar["value"]),
                verdict(line, bar),
            ]


def _number(value):
    """With two digits or three."""
    return f"{value:.{3 if value < 1 else 1 if value < 10 else 0}f}"


def _cell(line, name):
    times = line["seconds"].get(name)
    if times is None:
        return ""
    text = _number((1e6 if line["part"] == "latency" else 1e3) * np.median(times))
    first = next(iter(line["seconds"]))
    return text if name == first else f"{text} ({speed(line['seconds'][first], times):.2f})"


def _section(group, lines):
    """The table of a group: a row for each contender, a column for each cell and type."""
    names = dict.fromkeys(name for line in lines for name in line["seconds"])
    other = {name for line in lines for name in line["other_work"]}
    unit = "µs" if lines[0]["part"] == "latency" else "ms"
    # in the order of the longest of them
    names = sorted(names, key=lambda name: max(_place(line, name) for line in lines))
    header = [f"{unit}", *(f"{line['column']} {line['dtype']}" for line in lines)]
    rows = [
        [name + " *" * (name in other), *(_cell(line, name) for line in lines)] for name in names
    ]
    parts = [f"### {group}", "", markdown_table(header, rows), ""]
    largest = max((spread(s), name) for line in lines for name, s in line["seconds"].items())
    parts.append(f"Largest spread: {largest[0]:.2f}, of {largest[1]}.")
    for name, values in _facts(lines).items():
        parts.append(f"{name[0].upper()}{name[1:]}: {values}.")
    left_out = dict.fromkeys(
        f"{name} was left out{_of(lines, name)}: {why}."
        for line in lines
        for name, why in line["left_out"].items()
    )
    return "\n".join([*parts, *left_out])


def _place(line, name):
    names = list(line["seconds"])
    return names.index(name) if name in names else -1


def _of(lines, name):
    without = dict.fromkeys(line["column"] for line in lines if name in line["left_out"])
    everywhere = len(without) == len({line["column"] for line in lines})
    return "" if everywhere else f" of {', '.join(without)}"


def _facts(lines):
    names = dict.fromkeys(name for line in lines for name in line["facts"])
    return {
        name: ", ".join(
            f"{line['column']} {line['dtype']} {line['facts'][name]:g}"
            for line in lines
            if name in line["facts"]
        )
        for name in names
    }


def _growth_section(group, lines):
    """How time goes with a size: a row for each, ours beside the others."""
    names = list(lines[0]["seconds"])
    dtypes = list(dict.fromkeys(line["dtype"] for line in lines))
    found = {(line["facts"]["size"], line["dtype"]): line for line in lines}
    sizes = sorted({size for size, _ in found})
    header = [lines[0]["column"], *(f"{name}, {dtype}" for dtype in dtypes for name in names)]
    rows = [
        [str(size), *(_cell(found[size, dtype], name) for dtype in dtypes for name in names)]
        for size in sizes
    ]
    ratios = {
        (size, dtype): speed(*(line["seconds"][name] for name in names[:2]))
        for (size, dtype), line in found.items()
    }
    worst = min(ratios, key=ratios.get)
    note = (
        f"Least favourable beside {names[1]}: {ratios[worst]:.2f} times as fast, at {worst[0]} "
        f"{lines[0]['column']} in {worst[1]}; slower at "
        f"{sum(ratio < 1 for ratio in ratios.values())} of {len(ratios)}."
    )
    return f"### Growth: {group} (ms)\n\n{markdown_table(header, rows)}\n\n{note}"


def render(record):
    """The whole record as Markdown."""
    machine = ", ".join(f"{key} {value}" for key, value in record["machine"].items())
    versions = ", ".join(f"{key} {value}" for key, value in record["versions"].items())
    parts = [f"Machine: {machine}.  ", f"Versions: {versions}.  ", record["settings"], ""]
    if record["quick"]:
        parts += ["A quick run: too few rounds for the verdicts to mean much.", ""]
    bars = list(_bar_rows(record))
    if bars:
        header = ["what", "network", "contender", "found", "spread", "bar", "verdict"]
        parts += [markdown_table(header, bars), ""]
    parts.append(READING)
    groups = {}
    for line in record["lines"]:
        groups.setdefault((line["part"] == "growth", line["group"]), []).append(line)
    for (grows, group), lines in groups.items():
        parts += ["", (_growth_section if grows else _section)(group, lines)]
    return "\n".join(parts)


def summary(record, column="LSTM", dtype="float32"):
    """The README's table: our time of an answer, and how many times as fast as others that is."""
    rows = []
    for line in record["lines"]:
        if line["part"] == "growth" or line["dtype"] != dtype:
            continue
        if line["column"] not in (column, "64-128-16"):
            continue
        seconds = line["seconds"]
        ours = "Stream.push" if "Stream.push" in seconds else next(iter(seconds))
        unit, factor = ("µs", 1e6) if line["part"] == "latency" else ("ms", 1e3)
        what = f"{line['group'].split(', 4 channels')[0]}, {line['column']}"
        cells = [what, f"`{ours}`", f"{_number(factor * np.median(seconds[ours]))} {unit}"]
        for prefixes in SUMMARISED.values():  # of each its fastest way
            names = [name for name in seconds if name.startswith(prefixes)]
            names = [name for name in names if name not in line["other_work"]]
            fastest = min((np.median(seconds[name]), name) for name in names)[1] if names else None
            cells.append(f"{speed(seconds[ours], seconds[fastest]):.1f}" if fastest else "")
        rows.append(cells)
    return markdown_table(["answer", "by", "time", *SUMMARISED], rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Markdown tables of a record of predict.py")
    parser.add_argument("path", type=Path, help="predict.json, which predict.py --out wrote")
    parser.add_argument("--summary", action="store_true", help="the README's table only")
    arguments = parser.parse_args()
    record = json.loads(arguments.path.read_text())
    print(summary(record) if arguments.summary else render(record))
