"""What the recurrent estimators learn, beside baselines in the same run.

    python benchmarks/learning.py [--problem NAME ...] [--seeds N] [--quick] [--json PATH]
                                  [--markdown PATH] [--jsb PATH]

One line a model: mean, spread and worst of its scores over the seeds, the bar and whether the
mean reaches it. The settings of each model stand in the code below; those of the regularised
network for the vowels were chosen by five-fold cross-validation on the training part alone.

All of it takes half an hour or more. With --json the problems can be run one by one: each run
replaces its own part of the record, and --markdown writes all parts. The chorales (Boulanger-
Lewandowski et al., 2012) are read from the file that --jsb or JSB_CHORALES names.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

# As in run.py: before the first OpenMP runtime is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from sequences import adding, chorales, padded, windows_ahead
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from table import markdown_table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # this checkout

N_SEEDS = 5


@dataclass
class Line:
    """Scores of one model on one problem.

    `bar` is what the mean must reach: from above for errors, from below if `larger_is_better`.
    """

    problem: str
    model: str
    scores: list
    unit: str
    bar: float | None = None
    larger_is_better: bool = False
    seconds: float = 0.0

    def verdict(self):
        """A word, "" where nothing is demanded."""
        if self.bar is None:
            return ""
        mean = np.mean(self.scores)
        reached = mean >= self.bar if self.larger_is_better else mean <= self.bar
        return "reached" if reached else "missed"


def over_seeds(problem, model, score, seeds, unit, bar=None, **more):
    """A line of `score(seed)` for every seed."""
    start = time.perf_counter()
    scores = [score(seed) for seed in seeds]
    line = Line(problem, model, scores, unit, bar, **more)
    line.seconds = (time.perf_counter() - start) / len(scores)
    print(f"{problem}: {model}: {np.mean(scores):.5g}", file=sys.stderr, flush=True)
    return line


def rmse(model, X, y):
    """Root mean squared error."""
    return float(np.sqrt(np.mean((model.predict(X) - y) ** 2)))


def vowels(seeds, quick, options):
    """Japanese Vowels: accuracy on the 370 test series."""
    from skaernn import RNNSequenceClassifier
    from skaernn.datasets import load_japanese_vowels

    X, y = load_japanese_vowels(return_X_y=True, subset="train")
    X_test, y_test = load_japanese_vowels(return_X_y=True, subset="test")
    longest = max(map(len, [*X, *X_test]))
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    logistic.fit(padded(X, longest), y)
    base = logistic.score(padded(X_test, longest), y_test)
    kwargs = {"unit": "accuracy", "larger_is_better": True}
    lines = [Line("vowels", "logistic, padded and flattened", [base], **kwargs)]
    regular = {"hidden_size": 64, "dropout": 0.5}
    wide = {**regular, "pooling": "max", "input_skip": False, **_epochs(quick, 200)}
    # By five-fold cross-validation of a GRU in one direction: accuracy .965 with this, .961 with
    # 32 units, maxima and no skip, .93 to .96 with 11 others. The test part had no say.
    small = {**regular, "pooling": "attention", "batch_size": 32, **_epochs(quick, 60)}
    for name, params, bar in (
        ("GRU, maxima, 200 epochs", wide, None),
        ("GRU, attention, batches of 32, 60 epochs", small, 0.97),
        ("bidirectional GRU, maxima", {**wide, "bidirectional": True}, max(base, 0.978)),
    ):

        def score(seed, params=params):
            model = RNNSequenceClassifier("gru", random_state=seed, **params)
            return model.fit(X, y).score(X_test, y_test)

        lines.append(over_seeds("vowels", f"{name}, 64 units", score, seeds, bar=bar, **kwargs))
    return lines


def adding_problem(seeds, quick, options):
    """The adding problem at T = 100."""
    from skaernn import RNNSequenceRegressor

    lines, n_samples = [], 500 if quick else 20_000
    X_test, y_test = adding(2000, 100, seed=10_000)
    for cell in ("lstm", "gru"):

        def score(seed, cell=cell):
            X, y = adding(n_samples, 100, seed)
            model = RNNSequenceRegressor(cell, random_state=seed, **_epochs(quick, 40))
            return rmse(model.fit(X, y), X_test, y_test)

        name = f"{cell.upper()}, 20 000 sequences, 40 epochs"
        lines.append(over_seeds("adding, T = 100", name, score, seeds, "RMSE", 0.0105))
    X, y = adding(2000, 100, seed=0)
    ridge = RidgeCV(np.logspace(-3, 5, 17)).fit(X.reshape(len(X), -1), y)
    base = rmse(ridge, X_test.reshape(len(X_test), -1), y_test)

    def default(seed):
        X, y = adding(500 if quick else 2000, 100, seed)
        return rmse(
            RNNSequenceRegressor(random_state=seed, **_epochs(quick, 200)).fit(X, y),
            X_test,
            y_test,
        )

    name = "defaults, 2 000 sequences"
    lines.append(Line("adding, T = 100", "ridge, flattened", [base], "RMSE"))
    lines.append(over_seeds("adding, T = 100", name, default, seeds, "RMSE", base))
    return lines


def mackey_glass_ahead(seeds, quick, options):
    """Mackey-Glass, six steps ahead and one."""
    from skaernn import RNNSequenceRegressor

    lines = []
    precise = {"cell": "gru", "batch_size": 50, **_epochs(quick, 500)}
    for horizon, name, params in (
        (6, "defaults (LSTM, 32 units)", _epochs(quick, 200)),
        (1, "defaults (LSTM, 32 units)", _epochs(quick, 200)),
        (1, "GRU, batches of 50, 500 epochs", precise),
    ):
        (X, y), (X_test, y_test) = windows_ahead(horizon)
        flat, flat_test = X[..., 0].astype(np.float64), X_test[..., 0].astype(np.float64)
        problem = f"Mackey-Glass, {horizon} ahead"
        errors = {
            "ridge": rmse(RidgeCV(np.logspace(-12, 2, 15)).fit(flat, y), flat_test, y_test),
            "HistGradientBoosting": rmse(
                HistGradientBoostingRegressor(random_state=0).fit(flat, y), flat_test, y_test
            ),
        }
        if name.startswith("defaults"):
            lines += [Line(problem, base, [error], "RMSE") for base, error in errors.items()]

        def score(seed, params=params, X=X, y=y, X_test=X_test, y_test=y_test):
            return rmse(
                RNNSequenceRegressor(random_state=seed, **params).fit(X, y), X_test, y_test
            )

        bar = min(errors.values()) if horizon > 1 else 2 * errors["ridge"]
        if horizon == 1 and name.startswith("defaults"):
            bar = None
        lines.append(over_seeds(problem, name, score, seeds, "RMSE", bar))
    return lines


def jsb(seeds, quick, options):
    """JSB chorales: nats per frame of the next frame's 88 keys."""
    from skaernn import RNNSequenceRegressor

    if not options.jsb:
        print("JSB chorales: left out, no --jsb and no JSB_CHORALES", file=sys.stderr)
        return []
    (X, y), (X_val, y_val), (X_test, y_test) = chorales(options.jsb)
    target = np.concatenate(y_test)
    share = np.concatenate(y).mean(axis=0).clip(1e-6)

    def nats(p):
        p = np.clip(p, 1e-7, 1 - 1e-7)
        return float(-(target * np.log(p) + (1 - target) * np.log1p(-p)).sum(axis=1).mean())

    def score(seed):
        epochs = _epochs(quick, 80)
        model = RNNSequenceRegressor(
            "lstm",
            300,
            loss="binary_cross_entropy",
            return_sequences=True,
            scaling=None,
            dropout=0.7,
            batch_size=20,
            early_stopping=True,
            n_iter_no_change=epochs["max_iter"],
            random_state=seed,
            **epochs,
        )
        model.fit(X, y, X_val=X_val, y_val=y_val)
        return nats(np.concatenate(model.predict(X_test)).astype(np.float64))

    name = "LSTM, 300 units, dropout .7, best epoch by validation"
    return [
        Line("JSB chorales", "share of each key", [nats(share[None])], "nats a frame"),
        over_seeds("JSB chorales", name, score, seeds, "nats a frame", 8.50),
    ]


PROBLEMS = {
    "vowels": vowels,
    "adding": adding_problem,
    "mackey-glass": mackey_glass_ahead,
    "jsb": jsb,
}


def _epochs(quick, n):
    return {"max_iter": 2 if quick else n, "tol": 0 if quick else 1e-4}


def render(record):
    """Markdown of all parts: a line a model."""
    header = ["problem", "model", "score", "mean", "spread", "worst", "bar", "s a fit", "verdict"]
    parts = [record[name] for name in PROBLEMS if name in record]
    rows = [_row(Line(**line), part["quick"]) for part in parts for line in part["lines"]]
    dates = ", ".join(f"{name} {record[name]['date']}" for name in PROBLEMS if name in record)
    seeds = sorted({part["seeds"] for part in parts})
    return (
        f"{' or '.join(map(str, seeds))} seeds, one thread; spread is the standard deviation over "
        "seeds, s a fit the wall time\nof one fit beside other programs. Each problem is a run of "
        f"its own of `benchmarks/learning.py`: {dates}.\n\n{markdown_table(header, rows)}\n"
    )


def _row(line, quick):
    worst = min(line.scores) if line.larger_is_better else max(line.scores)
    return [
        line.problem,
        line.model,
        line.unit,
        f"{np.mean(line.scores):.4g}",
        f"{np.std(line.scores):.2g}" if len(line.scores) > 1 else "",
        f"{worst:.4g}",
        "" if line.bar is None else f"{line.bar:.4g}",
        f"{line.seconds:.0f}" if line.seconds else "",
        "reduced run, no verdict" if quick and line.bar is not None else line.verdict(),
    ]


def main(arguments=None):
    """Measure, print, write; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--seeds", type=int, default=N_SEEDS)
    parser.add_argument("--quick", action="store_true", help="see that all runs; no verdicts")
    parser.add_argument("--json", type=Path, help="record to read, if there, and to complete")
    parser.add_argument("--markdown", type=Path, help="where to write the table")
    parser.add_argument("--jsb", default=os.environ.get("JSB_CHORALES"), help="JSB_Chorales.mat")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    seeds = range(1 if options.quick else options.seeds)
    record = {}
    if options.json and options.json.exists():
        record = json.loads(options.json.read_text())
    for name in options.problem:
        lines = PROBLEMS[name](seeds, options.quick, options)
        record[name] = {
            "date": time.strftime("%Y-%m-%d"),
            "seeds": len(seeds),
            "quick": options.quick,
            "lines": [asdict(line) for line in lines],
        }
        if options.json:  # after each problem: nothing is lost where the next one fails
            options.json.write_text(json.dumps(record, indent=1) + "\n")
    print(render(record))
    if options.markdown:
        options.markdown.write_text(render(record))
    lines = [Line(**line) for name in options.problem for line in record[name]["lines"]]
    return int(not options.quick and any(line.verdict() == "missed" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
