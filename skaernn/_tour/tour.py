"""What ``python -m skaernn`` shows, room by room, on real data.

Everything is done through public interfaces, so the rooms are examples as well: `digits`,
`family`, `vowels` and `co2`.
"""

import time

from . import co2, digits, family, vowels
from .words import heading, installed, say


def run(*, device, picture):
    """Print the tour, and draw its pictures where matplotlib is installed.

    Parameters
    ----------
    device : str
        Where networks are trained.
    picture : Path
        Of the first picture; the others are beside it.
    """
    start = time.perf_counter()
    of_digits = digits.visit(device)
    of_family = family.visit(of_digits[0], device)
    of_vowels = vowels.visit(device)
    of_co2 = co2.visit(device)
    show_pictures(of_digits, of_family, of_vowels, of_co2, picture)
    say(
        f"Done in {time.perf_counter() - start:.0f} s. To go on from here: "
        "help(skaernn.AutoencoderTransformer), help(skaernn.VariationalAutoencoderTransformer), "
        "help(skaernn.RNNSequenceClassifier), "
        "help(skaernn.RNNSequenceRegressor)"
    )


def show_pictures(of_digits, of_family, of_vowels, of_co2, path):
    """Draw the pictures, or say how to get them."""
    heading("The pictures")
    if not installed("matplotlib"):
        say('There are none without matplotlib: pip install "skaernn[plot]"')
        return
    from matplotlib.figure import Figure  # no pyplot: no window, no global state

    figure = Figure(figsize=(10, 9), layout="constrained")
    digits.draw(figure, *of_digits)
    figure.savefig(path, dpi=120)
    say(f"Held-out digits before and after, and their codes of two numbers: {path}")

    beside = path.with_stem(f"{path.stem}_family")
    figure = Figure(figsize=(10, 5), layout="constrained")
    family.draw(figure, of_family)
    figure.savefig(beside, dpi=100)
    say(f"Digits without their noise, new ones, and some between two: {beside}")

    beside = path.with_stem(f"{path.stem}_sequences")
    figure = Figure(figsize=(10, 9), layout="constrained")
    above, below = figure.subfigures(2, 1)
    co2.draw(above, *of_co2)
    vowels.draw(below, *of_vowels)
    figure.savefig(beside, dpi=120)
    say(f"A year of CO2 as it was forecast, and who was taken for whom: {beside}")
