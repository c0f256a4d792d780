"""How the time of an answer grows with rows, steps and units; and the picture of it."""

import answers
import numpy as np

CELL = "lstm"
FEW_STEPS = 10  # of many rows, lest memory be what is measured
SIZES = {
    "rows": (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000),
    "steps": (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000),
    "units": (4, 8, 16, 32, 64, 128, 256, 512),
}
QUICK_SIZES = {"rows": (1, 100, 10_000), "steps": (1, 100, 1000), "units": (4, 32, 256)}
TITLES = {
    "rows": f"sequences of {FEW_STEPS} steps, {answers.N_UNITS} units",
    "steps": f"steps of one sequence, {answers.N_UNITS} units",
    "units": f"units, one sequence of {answers.N_STEPS} steps",
}
# Okabe and Ito's colours, which everybody can tell apart; lines differ in kind as well.
STYLES = {
    answers.OURS: {"color": "#0072B2", "linestyle": "-", "linewidth": 2.4},
    answers.LAYER: {"color": "#D55E00", "linestyle": "--", "linewidth": 1.8},
    answers.MODULE: {"color": "#555555", "linestyle": ":", "linewidth": 1.8},
}
WORDS = {
    answers.OURS: "skaernn predict",
    answers.LAYER: "torch nn.LSTM",
    answers.MODULE: "its module_",
}


def tasks(dtypes, quick):
    """Ours beside torch's layer and our own module, at all sizes."""
    for dtype in dtypes:
        fitted = answers.Recurrent(CELL, dtype)
        for axis, sizes in (QUICK_SIZES if quick else SIZES).items():
            for size in sizes:
                if axis == "units":
                    fitted = answers.Recurrent(CELL, dtype, size)
                n, n_steps = (size, FEW_STEPS) if axis == "rows" else (1, answers.N_STEPS)
                n_steps = size if axis == "steps" else n_steps
                task = answers.sequences(fitted, n, n_steps, only=STYLES)
                task.group, task.column = f"{answers.LABELS[CELL]}, {TITLES[axis]}", axis
                task.facts = {"size": size}
                yield task


def draw(record, path):
    """A row of panels for each type of number, a column for each size; all axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    lines = [line for line in record["lines"] if line["part"] == "growth"]
    dtypes = list(dict.fromkeys(line["dtype"] for line in lines))
    shape = len(dtypes), len(SIZES)
    with plt.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure, panels = plt.subplots(
            *shape,
            figsize=(9.5, 0.7 + 2.4 * len(dtypes)),
            sharex="col",
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for dtype, row in zip(dtypes, panels, strict=True):
            for axis, panel in zip(SIZES, row, strict=True):
                found = [x for x in lines if x["dtype"] == dtype and x["column"] == axis]
                _draw_panel(panel, axis, found)
            row[0].set_ylabel(f"CPU time, {dtype}")
        for axis, panel in zip(SIZES, panels[-1], strict=True):
            panel.set_xlabel(TITLES[axis])
        for panel in panels[:, -1]:  # last, for what is drawn moves the limits
            _label_ends(panel)
        figure.savefig(path, dpi=200)
    plt.close(figure)


def _draw_panel(panel, axis, lines):
    """Medians, with a band from the smallest to the largest time."""
    sizes = [line["facts"]["size"] for line in lines]
    for name, style in STYLES.items():
        times = [line["seconds"][name] for line in lines]
        panel.loglog(sizes, [np.median(t) for t in times], label=WORDS[name], **style)
        low, high = [min(t) for t in times], [max(t) for t in times]
        panel.fill_between(sizes, low, high, color=style["color"], alpha=0.15, linewidth=0)
    if axis == "units":
        panel.set_xscale("log", base=2)
        panel.set_xticks(sizes, [str(size) for size in sizes])
    else:
        ticks = 10 ** np.arange(np.log10(max(sizes)) + 0.5, dtype=int)
        panel.set_xticks(ticks, [f"{t // 1000}k" if t >= 1000 else f"{t}" for t in ticks])
    panel.xaxis.minorticks_off()
    panel.yaxis.set_major_formatter(lambda seconds, _: _in_words(seconds))
    panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)


def _in_words(seconds):
    """100 µs, 1 ms."""
    for factor, unit in ((1e6, "µs"), (1e3, "ms")):
        if seconds * factor < 999:
            return f"{seconds * factor:g} {unit}"
    return f"{seconds:g} s"


def _label_ends(panel, gap=0.11):
    """Name lines where they end, apart from each other by a share of the panel's height."""
    lines = sorted(panel.get_lines(), key=lambda line: np.log(line.get_ydata()).mean())
    low, high = np.log(panel.get_ylim())
    heights = np.array([(np.log(line.get_ydata()[-1]) - low) / (high - low) for line in lines])
    apart = gap * np.arange(len(lines))
    pushed = apart + np.maximum.accumulate(heights - apart)  # upwards, and half of it back
    pushed -= np.mean(pushed - heights)
    for line, height in zip(lines, pushed, strict=True):
        panel.annotate(
            line.get_label(),
            (1.02, height),
            xycoords="axes fraction",
            color=line.get_color(),
            va="center",
            fontweight="bold" if line.get_linestyle() == "-" else "normal",
        )
