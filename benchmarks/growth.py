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
    answers.MODULE: "module_",
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


def draw(record, path, dtype="float32"):
    """A panel for each size, both axes logarithmic; lines are labelled where they end."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    lines = [x for x in record["lines"] if x["part"] == "growth" and x["dtype"] == dtype]
    figure, panels = plt.subplots(1, 3, figsize=(10, 3.6), sharey=True, layout="constrained")
    for panel, axis in zip(panels, TITLES, strict=True):
        of_axis = [line for line in lines if line["column"] == axis]
        sizes = [line["facts"]["size"] for line in of_axis]
        for name, style in STYLES.items():
            times = np.array([np.median(line["seconds"][name]) for line in of_axis])
            panel.loglog(sizes, times, **style)
        panel.set_xlabel(TITLES[axis])
    figure.savefig(path, dpi=150)
    plt.close(figure)
