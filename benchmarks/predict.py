"""What answers cost: one sequence, one step, one row, many of each, and how it grows.

    python benchmarks/predict.py                       # ten minutes on one core
    python benchmarks/predict.py --quick               # does everything run? no verdicts
    python benchmarks/predict.py --parts latency growth
    python benchmarks/predict.py --write               # records, tables and picture in results/
    python benchmarks/predict.py --keras /path/to/python   # an environment with keras and jax

CPU seconds of one thread. Contenders take turns within every round; a figure is the median over
rounds, a ratio the median of the ratios within a round. Before a clock runs, all must have given
the same answers. torch's layer is the layer of the fitted network itself, with the scaling and
the linear output around it, on whole arrays under `inference_mode`.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

import skaernn
from skaernn import AutoencoderTransformer, RNNSequenceRegressor, Stream
from skaernn._native.library import kernels

RESULTS = Path(__file__).with_name("results")
CHANNELS, STEPS, UNITS = 4, 50, 32
CELLS = ("rnn", "lstm", "gru", "mingru")
TYPES = ("float32", "float64")
OURS, LAYER, SCALER = "skaernn", "torch's layer", "StandardScaler, a row"


@dataclass
class Task:
    """One thing that is asked of every contender, and what is demanded of ours.

    Parameters
    ----------
    name : str
    contenders : dict of str to callable
        Without arguments; ours among them.
    bar : callable or None
        From the seconds of each contender, by name, to whether it is reached.
    demand : str
        The bar in words.
    unit : float
        How many answers one call gives.
    """

    name: str
    contenders: dict
    bar: object = None
    demand: str = ""
    unit: int = 1
    seconds: dict = field(default_factory=dict)

    def run(self, rounds, least):
        """Time all by turns: CPU seconds of a call, a list for each."""
        repeats = {}
        for name, call in self.contenders.items():
            call()
            begin = time.process_time()
            call()
            repeats[name] = max(1, int(least / max(time.process_time() - begin, 1e-6)))
        self.seconds = {name: [] for name in self.contenders}
        for _ in range(rounds):
            for name, call in self.contenders.items():
                begin = time.process_time()
                for _ in range(repeats[name]):
                    call()
                self.seconds[name].append((time.process_time() - begin) / repeats[name])
        return self

    def median(self, name):
        return statistics.median(self.seconds[name])

    def speed(self, name):
        """How many times as fast as `name` ours is: the median of the rounds."""
        ratios = zip(self.seconds[name], self.seconds[OURS], strict=True)
        return statistics.median(theirs / ours for theirs, ours in ratios)

    def spread(self):
        """Of our own times: the 90th percentile over the 10th."""
        low, high = np.quantile(self.seconds[OURS], [0.1, 0.9])
        return high / low

    def verdict(self):
        if self.bar is None:
            return ""
        return "reached" if self.bar(self) else "missed"


def data(n, dtype, steps=STEPS):
    return np.random.default_rng(0).normal(size=(n, steps, CHANNELS)).astype(dtype)


def fitted(cell, dtype, units=UNITS):
    X = data(200, dtype)
    model = RNNSequenceRegressor(cell, units, max_iter=1, random_state=0)
    return model.fit(X, X.sum((1, 2)))


def layer_of(model):
    """The same answers by the layers and the output of a fitted network, as one would write it."""
    module = model.module_

    def run(x):
        with torch.inference_mode():
            scaled = (torch.from_numpy(x) - module.x_mean) / module.x_scale
            h, _ = module.layers(scaled.to(module.dtype), None)
            u = torch.cat([h[:, -1], scaled[:, -1].to(module.dtype)], dim=1)
            return (module.output(u) * module.y_scale + module.y_mean)[:, 0].numpy()

    return run


def same(answers, dtype):
    """Refuse to time what does not do the same."""
    first, *others = answers
    for other in others:
        np.testing.assert_allclose(other, first, rtol=0, atol=1e-3 if dtype == "float32" else 1e-9)


def near_the_scaler(extra):
    return lambda task: task.median(OURS) <= task.median(SCALER) + extra


def latency(options):
    """One sequence of 50 steps; one step with its state; one row."""
    for dtype in TYPES:
        row = data(1, dtype)[:, 0]
        scaler = StandardScaler().fit(data(50, dtype)[:, 0])
        for cell in CELLS:
            model = fitted(cell, dtype)
            x, step = data(1, dtype), data(1, dtype)[:, :1]
            state = model.predict(x, return_state=True)[1]
            contenders = {OURS: partial(model.predict, x)}
            if cell != "mingru":
                layer = layer_of(model)
                same([model.predict(x), layer(x)], dtype)
                contenders[LAYER] = partial(layer, x)
            contenders[SCALER] = partial(scaler.transform, row)
            yield Task(
                f"one sequence, {cell}, {dtype}",
                contenders | keras_contender(options, cell, dtype, x),
                near_the_scaler(80e-6),
                "the scaler + 80 µs",
            )
            yield Task(
                f"one step with state, {cell}, {dtype}",
                {
                    OURS: partial(model.predict, step, initial_state=state, return_state=True),
                    SCALER: partial(scaler.transform, row),
                },
                near_the_scaler(80e-6),
                "the scaler + 80 µs",
            )
            stream = Stream(model)
            yield Task(
                f"one step of a stream, {cell}, {dtype}",
                {OURS: partial(stream.push, step[:, 0])},
                lambda task: task.median(OURS) <= 15e-6,
                "15 µs",
            )
        yield from rows(dtype)


def rows(dtype):
    """One row of 64, and 200 000 of them, to 16 through 128."""
    X = np.random.default_rng(0).normal(size=(200_000, 64)).astype(dtype)
    model = AutoencoderTransformer(16, (128,), max_iter=1, random_state=0).fit(X[:500])
    scaler = StandardScaler().fit(X[:500])
    pca = PCA(16).fit(X[:500])
    mlp = MLPRegressor(hidden_layer_sizes=(128, 16, 128), max_iter=1).fit(X[:500], X[:500])
    module = model.module_

    def chunks(X):
        with torch.inference_mode():
            parts = torch.from_numpy(X).split(4096)
            return torch.cat([module.encode(part) for part in parts]).numpy()

    same([model.transform(X), chunks(X)], dtype)
    row = X[:1]
    yield Task(
        f"transform of a row, {dtype}",
        {
            OURS: partial(model.transform, row),
            LAYER: partial(chunks, row),
            SCALER: partial(scaler.transform, row),
            "PCA, a row": partial(pca.transform, row),
            "MLPRegressor, a row": partial(mlp.predict, row),
        },
        near_the_scaler(60e-6),
        "the scaler + 60 µs",
    )
    yield Task(
        f"transform of 200 000 rows, {dtype}",
        {
            OURS: partial(model.transform, X),
            LAYER: partial(chunks, X),
            "PCA": partial(pca.transform, X),
        },
        lambda task: task.speed(LAYER) >= 1,
        "its module in chunks of 4096",
        len(X),
    )


def throughput(options):
    """5000 sequences of 50 steps."""
    for dtype in TYPES:
        X = data(5000, dtype)
        for cell, least in (("rnn", 2), ("lstm", 1), ("gru", 2), ("mingru", None)):
            model = fitted(cell, dtype)
            contenders = {OURS: partial(model.predict, X)}
            if least:
                layer = layer_of(model)
                same([model.predict(X), layer(X)], dtype)
                contenders[LAYER] = partial(layer, X)
                contenders |= skorch_contender(model, X, dtype)
            yield Task(
                f"5000 sequences, {cell}, {dtype}",
                contenders | keras_contender(options, cell, dtype, X),
                least and (lambda task, least=least: task.speed(LAYER) >= least),
                f"{least} times torch's layer" if least else "",
                len(X),
            )


def streams(options):
    """Many live sequences, one step of each."""
    n = 1_000_000
    for dtype in TYPES:
        x = np.random.default_rng(0).normal(size=(n, CHANNELS)).astype(dtype)
        for cell in CELLS:
            stream = Stream(fitted(cell, dtype), n)
            wanted = cell == "gru" and dtype == "float32"
            yield Task(
                f"a million streams, a step each, {cell}, {dtype}",
                {OURS: partial(stream.push, x)},
                (lambda task: n / task.median(OURS) >= 3e6) if wanted else None,
                "3 million steps a second" if wanted else "",
                n,
            )
            print(f"  {stream.states.nbytes // n} bytes a stream", file=sys.stderr)


def growth(options):
    """A GRU with rows, with steps, with units: names end in the number."""
    sizes = {
        "sequences": [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000],
        "steps": [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000],
        "units": [4, 8, 16, 32, 64, 128, 256, 512],
    }
    if options.quick:
        sizes = {name: values[:4] for name, values in sizes.items()}
    for dtype in TYPES:
        for name, values in sizes.items():
            for value in values:
                units = value if name == "units" else UNITS
                model = fitted("gru", dtype, units)
                n = {"sequences": value, "steps": 1, "units": 200}[name]
                X = data(n, dtype, value if name == "steps" else STEPS)
                layer = layer_of(model)
                same([model.predict(X), layer(X)], dtype)
                yield Task(
                    f"{name} {dtype} {value}",
                    {OURS: partial(model.predict, X), LAYER: partial(layer, X)},
                )


def skorch_contender(model, X, dtype):
    """skorch around the same module, as far as it is installed."""
    try:
        from skorch import NeuralNetRegressor
    except ImportError:
        return {}
    net = NeuralNetRegressor(model.module_, train_split=None, batch_size=1024).initialize()
    same([model.predict(X), net.predict(X)[:, 0]], dtype)
    return {"skorch, the same module": partial(net.predict, X)}


class Keras:
    """A process of another Python, which answers with CPU seconds of its calls."""

    code = """
import json, os, sys, time
os.environ.update(KERAS_BACKEND="jax", XLA_FLAGS="--xla_cpu_multi_thread_eigen=false",
                  OMP_NUM_THREADS="1", JAX_ENABLE_X64="1")
import keras, numpy as np
kinds = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
for line in sys.stdin:
    cell, dtype, n, steps, channels, units = json.loads(line)
    inputs = keras.Input((steps, channels), dtype=dtype)
    layer = kinds[cell](units, dtype=dtype)
    model = keras.Model(inputs, keras.layers.Dense(1, dtype=dtype)(layer(inputs)))
    X = np.random.default_rng(0).normal(size=(n, steps, channels)).astype(dtype)
    call = lambda: model.predict(X, batch_size=1024, verbose=0)
    call(); call()
    times = []
    for _ in range(5):
        begin = time.process_time(); call(); times.append(time.process_time() - begin)
    print(json.dumps(sorted(times)[2]), flush=True)
"""

    def __init__(self, python):
        self.process = subprocess.Popen(
            ["taskset", "-c", "0", python, "-c", self.code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def seconds(self, *what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def keras_contender(options, cell, dtype, X):
    """Not by turns: its median stands in the table beside the others' for orientation."""
    if options.keras is not None and cell != "mingru":
        seconds = options.keras.seconds(cell, dtype, *X.shape, UNITS)
        options.beside[f"{len(X)} {cell} {dtype}"] = seconds
    return {}


PARTS = {"latency": latency, "throughput": throughput, "streams": streams, "growth": growth}


def amount(seconds):
    """Three digits, in the unit that suits."""
    factor, unit = next(
        (f, u) for f, u in ((1, "s"), (1e3, "ms"), (1e6, "µs")) if seconds * f >= 1 or u == "µs"
    )
    return f"{seconds * factor:.3g} {unit}"


def table(tasks):
    lines = [
        "| asked | skaernn | others | speed | bar | verdict | spread |",
        "| --- | --: | --- | --: | --- | --- | --: |",
    ]
    for task in tasks:
        others = [name for name in task.contenders if name != OURS]
        times = "; ".join(f"{name} {amount(task.median(name))}" for name in others)
        speed = f"{task.speed(others[0]):.1f}" if others else ""
        if not others and task.unit > 1:
            speed = f"{task.unit / task.median(OURS) / 1e6:.1f} million/s"
        cells = [task.name, amount(task.median(OURS)), times, speed, task.demand]
        lines.append("| " + " | ".join([*cells, task.verdict(), f"{task.spread():.2f}"]) + " |")
    return lines


def picture(tasks, path):
    """Seconds of a call over rows, steps and units, on logarithmic scales."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    labels = {
        "sequences": f"sequences of {STEPS} steps",
        "steps": "steps of one sequence",
        "units": "units, 200 sequences",
    }
    lines = {
        ("float32", OURS): ("#0072b2", "-"),
        ("float64", OURS): ("#0072b2", "--"),
        ("float32", LAYER): ("#d55e00", "-"),
        ("float64", LAYER): ("#d55e00", "--"),
    }
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.4), sharey=True, layout="constrained")
    for axis, (what, label) in zip(axes, labels.items(), strict=True):
        for (dtype, name), (colour, style) in lines.items():
            found = [task for task in tasks if task.name.startswith(f"{what} {dtype} ")]
            x = [int(task.name.split()[-1]) for task in found]
            y = [task.median(name) * 1e3 for task in found]
            axis.plot(x, y, style, color=colour, marker="o", markersize=3, linewidth=1.5)
            if axis is axes[-1]:
                axis.annotate(
                    f"{'skaernn' if name == OURS else 'torch'} {dtype}",
                    (x[-1], y[-1]), (6, 0), textcoords="offset points",
                    color=colour, va="center", fontsize=8, annotation_clip=False,
                )  # fmt: skip
        axis.set(xscale="log", yscale="log", xlabel=label)
        axis.grid(which="major", alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("CPU ms of a call")
    axes[0].set_title("GRU, 32 units, 4 channels", loc="left", fontsize=9)
    figure.savefig(path, dpi=140)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--keras", type=lambda python: Keras(python))
    options = parser.parse_args()
    options.beside = {}
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(1)
    rounds, least = (2, 1e-3) if options.quick else (9, 2e-2)
    found = {}
    for part in options.parts:
        few = rounds if part != "growth" else min(rounds, 5)
        found[part] = []
        for task in PARTS[part](options):
            found[part].append(task.run(few, least))
            print(*table([task])[2:], flush=True)
    about = (
        f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, one thread, kernels "
        f"{kernels()}; skaernn {skaernn.__version__}, torch {torch.__version__}, numpy "
        f"{np.__version__}. CPU seconds, median of {rounds} rounds."
    )
    text = ["# What answers cost", "", about, ""]
    for part, tasks in found.items():
        text += [f"## {PARTS[part].__doc__}", "", *table(tasks), ""]
    if options.beside:
        text += ["## Keras 3 on JAX, the same sizes, other weights; not by turns", ""]
        text += [f"- {name}: {amount(seconds)}" for name, seconds in options.beside.items()]
    if options.quick:
        text.append("Quick run: no verdict counts.")
    if options.write:
        RESULTS.joinpath("predict.md").write_text("\n".join(text) + "\n")
        record = {task.name: task.seconds for tasks in found.values() for task in tasks}
        RESULTS.joinpath("predict.json").write_text(json.dumps(record, indent=1) + "\n")
        if "growth" in found:
            picture(found["growth"], RESULTS / "predict.png")


if __name__ == "__main__":
    main()
