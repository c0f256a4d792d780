"""What the recurrent estimators learn, beside baselines in the same run.

    python benchmarks/learning.py [--problem NAME ...] [--seeds N] [--quick] [--json PATH]
                                  [--markdown PATH] [--packages DIR] [--jsb PATH]
                                  [--params JSON] [--grid JSON] [--defaults-only] [--no-rivals]
                                  [--jobs N] [--sets NAME ...]

One line a model: mean, spread and worst of its scores over the seeds, the bar and whether the
mean reaches it. The settings of each model stand in `learning_problems.py`; those of the
regularised network for the vowels were chosen by five-fold cross-validation on the training part
alone. `--params` changes the lines called "defaults" and their kin, for experiments.

All of it takes hours. With --json the problems can be run one by one: each run replaces its own
part of the record, and --markdown writes all parts. Packages that hold data (see README.md) may
lie in the folder that --packages or LEARNING_PACKAGES names. The chorales (Boulanger-Lewandowski
et al., 2012) are read from the file that --jsb or JSB_CHORALES names. A problem whose data are
not there is left out.
"""

import argparse
import json
import os
import sys
import time
import warnings
from dataclasses import asdict
from pathlib import Path

# As in run.py: before the first OpenMP runtime is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from learning_archive import archive
from learning_chorales import jsb
from learning_lines import Line, Run
from learning_problems import (
    adding_problem,
    co2,
    covid_deaths,
    load_chosen,
    load_day,
    load_next,
    load_whole_day,
    mackey_glass,
    vowels,
)
from sequences import LeftOut
from sklearn.exceptions import ConvergenceWarning
from table import markdown_table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # this checkout

PROBLEMS = {
    "load": load_next,
    "load-chosen": load_chosen,
    "load-48": load_day,
    "load-day": load_whole_day,
    "mackey-glass": mackey_glass,
    "co2": co2,
    "vowels": vowels,
    "covid": covid_deaths,
    "jsb": jsb,
    "adding": adding_problem,
    "ucr": archive,
}


def render(record):
    """Markdown of all parts: a line a model."""
    header = ["problem", "model", "score", "mean", "spread", "worst", "bar", "s a fit", "verdict"]
    parts = [record[name] for name in PROBLEMS if name in record]
    rows = [_row(Line(**line), part["quick"]) for part in parts for line in part["lines"]]
    dates = ", ".join(f"{name} {record[name]['date']}" for name in PROBLEMS if name in record)
    seeds = sorted({part["seeds"] for part in parts})
    varied = [
        f"In {name} the defaults are changed: `{json.dumps(record[name]['params'])}`.\n"
        for name in PROBLEMS
        if record.get(name, {}).get("params")
    ]
    return (
        f"{' or '.join(map(str, seeds))} seeds, one thread; spread is the standard deviation over "
        "seeds, s a fit the CPU time\nof one fit. Each problem is a run of "
        f"its own of `benchmarks/learning.py`: {dates}.\n{''.join(varied)}\n"
        f"{markdown_table(header, rows)}\n"
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
        f"{line.seconds:.1f}" if line.seconds >= 0.05 else "",
        "reduced run, no verdict" if quick and line.bar is not None else line.verdict(),
    ]


def measure(name, run):
    """The part of the record of one problem, or None where its data are not there."""
    try:
        lines = PROBLEMS[name](run)
    except LeftOut as why:
        print(f"{name}: left out, {why}", file=sys.stderr)
        return None
    return {
        "date": time.strftime("%Y-%m-%d"),
        "seeds": len(run.seeds),
        "quick": run.quick,
        "params": run.params,
        "lines": [asdict(line) for line in lines],
    }


def parsed(arguments):
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="see that all runs; no verdicts")
    parser.add_argument("--json", type=Path, help="record to read, if there, and to complete")
    parser.add_argument("--markdown", type=Path, help="where to write the table")
    parser.add_argument("--jsb", default=os.environ.get("JSB_CHORALES"), help="JSB_Chorales.mat")
    parser.add_argument(
        "--packages",
        default=os.environ.get("LEARNING_PACKAGES"),
        help="folder of packages that hold data",
    )
    parser.add_argument(
        "--params", type=json.loads, default={}, help="of the lines at the defaults, as JSON"
    )
    parser.add_argument("--grid", type=json.loads, help="of load-chosen, in place of its own")
    parser.add_argument("--jobs", type=int, default=1, help="processes of load-chosen")
    parser.add_argument("--sets", nargs="+", help="of ucr, in place of its twenty")
    parser.add_argument(
        "--defaults-only", action="store_true", help="no lines of settings chosen otherwise"
    )
    parser.add_argument("--no-rivals", action="store_true", help="no boosting and no MLP")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Measure, print, write; the exit status."""
    options = parsed(arguments)
    if options.packages:
        sys.path.append(options.packages)  # last: what is installed goes first
    torch.set_num_threads(1)
    if options.quick:
        warnings.simplefilter("ignore", ConvergenceWarning)
    run = Run(
        seeds=range(1 if options.quick else options.seeds),
        quick=options.quick,
        params=options.params,
        grid=options.grid,
        defaults_only=options.defaults_only,
        rivals=not options.no_rivals,
        jobs=options.jobs,
        jsb=options.jsb,
        sets=options.sets,
    )
    record, measured = {}, {}
    if options.json and options.json.exists():
        record = json.loads(options.json.read_text())
    for name in options.problem:
        part = measure(name, run)
        if part is None:
            continue
        record[name] = measured[name] = part
        if options.json:  # after each problem: nothing is lost where the next one fails
            options.json.write_text(json.dumps(record, indent=1) + "\n")
    if not record:
        return 1
    print(render(record))
    if options.markdown:
        options.markdown.write_text(render(record))
    lines = [Line(**line) for part in measured.values() for line in part["lines"]]
    return int(not options.quick and any(line.verdict() == "missed" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
