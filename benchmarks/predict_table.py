"""Turns the record of `predict.py` into Markdown. Nothing is computed anywhere else."""

import numpy as np
from table import markdown_table, median_ratio, spread

READING = (
    "Times are medians over rounds. In brackets stands how many times as fast as that contender "
    "the first one of the table is: the median of the ratios within each round. Answers of all "
    "contenders were compared with torch's in float64 before the clock started; those marked * "
    "do another work, and were compared with what that should give."
)


def judged(line, bar):
    """What was found of a bar, in its unit; None where its contender was not there."""
    times = line["seconds"]
    if bar["contender"] not in times or (bar["beside"] and bar["beside"] not in times):
        return None
    ours = np.array(times[bar["contender"]])
    if bar["kind"] == "beyond":
        return float(np.median(ours - times[bar["beside"]]))
    if bar["kind"] == "at most":
        return float(np.median(ours))
    if bar["kind"] == "speed":
        return median_ratio(times[bar["beside"]], ours)
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
    return f"{1e6 * value:.0f} µs"


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


def _cell(line, name):
    times = line["seconds"].get(name)
    if times is None:
        return ""
    factor = 1e6 if line["part"] == "latency" else 1e3
    first = next(iter(line["seconds"]))
    text = f"{factor * np.median(times):.{1 if factor * np.median(times) < 10 else 0}f}"
    if name == first:
        return text
    return f"{text} ({median_ratio(times, line['seconds'][first]):.2f})"


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
        parts.append(f"{name}: {values}.".capitalize())
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
    return f"### Growth: {group} (ms)\n\n{markdown_table(header, rows)}"


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
