"""How the tour speaks: paragraphs, tables, and lines beside a fit that takes a while."""

import importlib.util
import textwrap
import time
from contextlib import contextmanager


def heading(text):
    """Print a heading."""
    print(f"\n{text}\n{'-' * len(text)}")


def say(text):
    """Print a paragraph, and an empty line."""
    print(textwrap.fill(text, width=78, break_long_words=False, break_on_hyphens=False) + "\n")


def installed(*names):
    """Tell whether all these packages and modules are there."""
    return all(importlib.util.find_spec(name) for name in names)


def table(headers, rows):
    """Print a table of strings, with an empty line: by rich, or as plain text without it."""
    draw = _rich_table if installed("rich") else _plain_table
    draw([str(header) for header in headers], [[str(cell) for cell in row] for row in rows])
    print(flush=True)


def _rich_table(headers, rows):
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text  # cells are no markup

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for i, header in enumerate(headers):
        drawn.add_column(Text(header), justify="right" if i else "left")
    for row in rows:
        drawn.add_row(*map(Text, row))
    Console(highlight=False).print(drawn)


def _plain_table(headers, rows):
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    for first, *others in (headers, rule, *rows):
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join(["  " + first.ljust(widths[0]), *cells]).rstrip())


def fit_watched(model, X, y, label):
    """Fit under a progress bar, or beside a line of text."""
    if not installed("sklearn.callback", "rich"):  # the first: since scikit-learn 1.9
        with timed(label):
            return model.fit(X, y)
    from sklearn.callback import ProgressBar

    print(f"  {label}", flush=True)
    model.set_callbacks(ProgressBar(max_propagation_depth=0))
    model.fit(X, y)
    model.set_callbacks()
    return model


@contextmanager
def timed(label):
    """Context that prints what is being done, and how long it took."""
    start = time.perf_counter()
    print(f"  {label} ... ", end="", flush=True)
    yield
    print(f"{time.perf_counter() - start:.1f} s", flush=True)


def listed(values):
    """Return the values as words: 2, 8 and 16."""
    *first, last = map(str, values)
    return f"{', '.join(first)} and {last}" if first else last
